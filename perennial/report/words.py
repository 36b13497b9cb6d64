"""How outcomes, numbers and systems are said to people, on the page and in the terminal."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from perennial.quality.metrics import JUDGED, METRICS, TITLES

SYSTEMS = {"lexical": "Lexical baseline", "champion": "Champion", "candidate": "Candidate"}
ARMS = {"stable": "Champion", "candidate": "Candidate"}
OUTCOMES = {
    "promote": ("Promote", "the candidate takes over", "good"),
    "advance": ("Advance", "the candidate gets more traffic", "good"),
    "reject": ("Reject", "the champion stays", "bad"),
    "rollback": ("Roll back", "the champion comes back", "bad"),
    "page": ("Page", "a person must look", "bad"),
    "inconclusive": ("Not enough evidence", "the champion stays", "open"),
    "none": ("Nothing to do", "the champion stays", "open"),
    "reindex": ("Reindex", "the catalogue has moved", "open"),
    "retrain": ("Retrain", "the searches have moved", "open"),
}
MISSING = "–"  # noqa: RUF001 - the dash of an empty cell


def is_number(value: object) -> bool:
    """Finite; a bool is no number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(value: Any, digits: int = 3) -> str:
    """0.641, or a dash where nothing is known; never "nan"."""
    return f"{value:.{digits}f}" if is_number(value) else MISSING


def signed(value: Any, digits: int = 3) -> str:
    """+0.064, with a true minus sign."""
    if not is_number(value):
        return MISSING
    rounded = round(value, digits) + 0.0
    return f"{rounded:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def interval(bounds: Mapping[str, Any], *, sign: bool = False) -> str:
    """[0.612, 0.670], or why there is none."""
    if not is_number(bounds.get("low")) or not is_number(bounds.get("high")):
        return "no interval"
    say = signed if sign else number
    return f"[{say(bounds['low'])}, {say(bounds['high'])}]"


def percent(value: Any, digits: int = 1) -> str:
    """41.2 %, with a narrow space."""
    return f"{100 * value:.{digits}f}\N{NARROW NO-BREAK SPACE}%" if is_number(value) else MISSING


def count(value: Any) -> str:
    """13 702, grouped by narrow spaces."""
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}") if is_number(value) else MISSING


def duration(seconds: float) -> str:
    """0.42 s, 12.3 s, 3 min 05 s."""
    if seconds < 59.95:
        return f"{seconds:.{2 if seconds < 1 else 1}f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def moment(at: datetime) -> str:
    """21 November 2026, 00:35 UTC."""
    utc = at.astimezone(UTC)
    return f"{utc.day} {utc:%B %Y, %H:%M} UTC"


def metric_title(name: str) -> str:
    """nDCG@10 for ndcg@10; a name that is not a metric's stays."""
    return TITLES.get(name, name)


def system_title(name: str) -> str:
    """Champion for champion, and for the stable arm of a canary, which is the champion's."""
    return (SYSTEMS | ARMS).get(name, name)


def capitalized(name: str) -> str:
    """The first letter large, the others as they are."""
    return name[:1].upper() + name[1:]


def metrics_of(comparison: Mapping[str, Any]) -> list[str]:
    """The metrics that were compared, in our order, then any others; judged@10 is none of them."""
    compared = list(comparison["differences"]["candidate-champion"])
    known = [name for name in METRICS if name in compared]
    return known + [name for name in compared if name not in known and name != JUDGED]


def gate_metric(decision: Mapping[str, Any], comparison: Mapping[str, Any]) -> str:
    """The metric that decided: the first one among the evidence, or else nDCG@10."""
    compared = metrics_of(comparison)
    named = [item["name"] for item in decision["evidence"] if item["name"] in compared]
    return named[0] if named else ("ndcg@10" if "ndcg@10" in compared else compared[0])
