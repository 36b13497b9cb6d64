"""Whether something is broken: the log stopped, it lacks what belongs there, answers are empty."""

from perennial.quality.drift.hourly import Hourly
from perennial.quality.drift.rates import Shift, Side, rate_shift
from perennial.quality.drift.signal import Signal
from perennial.quality.drift.volume import volume_shift

_GONE = {
    "events": "searches were followed by any event",
    "impressions": "answers have the documents that they showed in the log",
}
_COME = {
    "blank queries": "queries are empty",
    "zero results": "searches found nothing",
}
MOST = 1 + len(_GONE) + len(_COME)  # signals of a span of hours


def operation_signals(
    counts: Hourly,
    requests: Hourly,
    *,
    span: int,
    max_gone: float,
    max_lost: float,
    max_come: float,
) -> list[Signal]:
    """The last `span` hours. Broken is a log without the share `max_gone` of its usual requests, or
    whose requests lost the share `max_lost` of what usually follows them, or which has `max_come`
    more of what should not be there; anything less is no outage."""
    found = []
    if shift := volume_shift(requests.trials, requests.hours, span=span):
        said = f"{shift.n:,} requests came, where {shift.expected:,.0f} are usual at these hours"
        found.append(_signal("requests", span, _lost(shift), max_gone, shift, said))
    for name, title in _GONE.items():
        if name in counts.hits and (gone := _shift(counts, name, span, "below")):
            found.append(_signal(name, span, _lost(gone), max_lost, gone, _said(gone, title)))
    for name, title in _COME.items():
        if name in counts.hits and (more := _shift(counts, name, span, "above")):
            moved = more.value - more.expected
            found.append(_signal(name, span, moved, max_come, more, _said(more, title)))
    return found


def _shift(counts: Hourly, name: str, span: int, side: Side) -> Shift | None:
    return rate_shift(counts.trials, counts.hits[name], counts.hours, span=span, side=side)


def _lost(shift: Shift) -> float:
    return 1 - shift.value / shift.expected if shift.expected else 0.0


def _said(shift: Shift, title: str) -> str:
    return f"{shift.value:.1%} of {shift.n:,} {title}, where {shift.expected:.1%} are usual"


def _signal(name: str, span: int, effect: float, floor: float, shift: Shift, said: str) -> Signal:
    return Signal(f"log: {name}", "operation", span, effect, floor, shift.p, shift.n, said)
