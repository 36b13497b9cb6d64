"""The secrets that sign deliveries: several at once, each of one source, replaced while it runs."""

import base64
import binascii
import re
from pathlib import Path

from perennial.errors import BadInput

VARIABLE, FILE = "PERENNIAL_WEBHOOK_SECRETS", "PERENNIAL_WEBHOOK_SECRETS_FILE"
_SHORTEST = 16
_SOURCE = re.compile(r"[a-z][a-z0-9-]{0,39}")
_STANDARD = "whsec_"  # Standard Webhooks: the rest is base64 of the key

Pairs = tuple[tuple[str, bytes], ...]


class Secrets:
    """`source=secret` pairs of the environment and of a file, which is read again once it changed.

    The environment of a process never changes: what is rotated without a restart stands in the
    file. A source may have several, of which any is believed.
    """

    def __init__(self, given: str, path: Path | None) -> None:
        """Raises BadInput where there is none, one could be guessed, or the file is not readable.

        `given` separates its pairs by commas, the file by lines.
        """
        self._given = _parsed(given.split(","), VARIABLE)
        self._path, self._seen, self._of_file = path, (0, 0, 0), tuple[tuple[str, bytes], ...]()
        if not self.pairs():
            raise BadInput(
                f"nothing could sign a delivery; set {VARIABLE} to `source=secret` pairs, or "
                f"{FILE} to a file with one on each line"
            )

    def pairs(self) -> Pairs:
        """All that are valid now; raises BadInput while the file cannot be read or understood.

        Then nobody is believed: the old ones may be what the file was changed to withdraw.
        """
        if self._path is None:
            return self._given
        try:
            about = self._path.stat()
            seen = (about.st_mtime_ns, about.st_size, about.st_ino)
            if seen != self._seen:
                lines = self._path.read_text(encoding="utf-8").splitlines()
                self._of_file = _parsed(lines, f"{FILE} {self._path}")
                self._seen = seen
        except (OSError, UnicodeDecodeError) as error:
            self._seen = (0, 0, 0)
            raise BadInput(f"{FILE} {self._path} cannot be read; write it anew") from error
        return (*self._given, *self._of_file)


def _parsed(entries: list[str], where: str) -> Pairs:
    """The pairs; no message holds a word of what was read."""
    pairs = []
    for number, entry in enumerate(entries, 1):
        if not entry.strip() or entry.lstrip().startswith("#"):
            continue
        source, equals, secret = (part.strip() for part in entry.partition("="))
        if not equals or not _SOURCE.fullmatch(source):
            raise BadInput(f"entry {number} of {where} is not `source=secret`; write it so")
        if len(secret) < _SHORTEST:
            raise BadInput(
                f"the secret of {source} in {where} has fewer than {_SHORTEST} characters; make "
                "one with `python -c 'import secrets; print(secrets.token_urlsafe(32))'`"
            )
        pairs.append((source, _key(secret, source, where)))
    return tuple(pairs)


def _key(secret: str, source: str, where: str) -> bytes:
    if not secret.startswith(_STANDARD):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_STANDARD), validate=True)
    except (binascii.Error, ValueError):
        raise BadInput(
            f"the secret of {source} in {where} begins with {_STANDARD} and is no base64 after it; "
            "copy it again"
        ) from None
