"""Personal data in queries, replaced by its kind: what no log of searches should have kept."""

import ipaddress
import re
from collections.abc import Callable

KINDS = ("email", "iban", "card", "ip", "phone", "digits")

# Few queries have an @, two colons or four digits: the others are not looked at any further.
_SUSPICIOUS = re.compile(r"[@\uff20]|:.*:|\d(?:\D*\d){3}", re.DOTALL)
_EMAIL = re.compile(r"(?<![\w.%+'-])[\w.%+'-]+[@\uff20](?:[\w-]+\.)+[^\W\d_]{2,}")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?:[ -]?[A-Z\d]){11,30}(?!\w)", re.IGNORECASE | re.ASCII)
_CARD = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?!\w)")
_IP = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[\da-f]*:[\da-f:]*:[\da-f]*)(?![\w:]|\.\d)", re.I
)
# +49 30 1234567, (030) 123 45 67, 555-123-4567
_PHONE = re.compile(
    r"(?<![\w.])(?:(?:\+|00)\d(?:[ ()./-]{0,2}\d){7,14}"
    r"|\(?0\d{1,4}\)?[ /-]\d{2,4}(?:[ -]?\d{2,4}){1,3}"
    r"|\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4})(?!\w)"
)
_DIGITS = re.compile(r"(?<!\d)(?<!\d\.)\d{9,}")  # a date has eight; decimals are not looked at


def redact(query: str) -> tuple[str, dict[str, int]]:
    """The query with placeholders such as `<email>`, and {kind: findings}; idempotent."""
    found = dict.fromkeys(KINDS, 0)
    before = None
    while query != before and _SUSPICIOUS.search(query):
        before = query  # what a placeholder frees of its neighbour may be found in its turn
        for kind, pattern, is_one in _RULES:
            query = pattern.sub(_replacing(kind, is_one, found), query)
    return query, found


def _replacing(
    kind: str, is_one: Callable[[str], bool], found: dict[str, int]
) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        if not is_one(match[0]):
            return match[0]
        found[kind] += 1
        return f"<{kind}>"

    return replace


def _is_iban(text: str) -> bool:
    """ISO 13616: country and check digits to the end, letters from 10; 1 modulo 97."""
    plain = re.sub("[ -]", "", text)
    return int("".join(str(int(sign, 36)) for sign in plain[4:] + plain[:4])) % 97 == 1


def _is_card(text: str) -> bool:
    """Luhn, ISO/IEC 7812-1: every second digit from the right doubled; 0 modulo 10."""
    digits = [int(sign) for sign in reversed(text) if sign.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _is_ip(text: str) -> bool:
    """False for a[1::2] and for std::abs, which are no addresses of anybody."""
    groups = [group for group in text.split(":") if group]
    if ":" in text and (len(groups) < 2 or len(groups[0]) < 4):
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_any(text: str) -> bool:
    return True


_RULES = (
    ("email", _EMAIL, _is_any),
    ("iban", _IBAN, _is_iban),
    ("card", _CARD, _is_card),
    ("ip", _IP, _is_ip),
    ("phone", _PHONE, _is_any),
    ("digits", _DIGITS, _is_any),
)
