"""Whether a bridged search may stand in for the full one: as a decision, with its evidence."""

from perennial.quality.decision import Decision, Evidence, Outcome
from perennial.quality.paired import Difference, Interval


def judge_bridge(*, recall: Interval, gain: Difference, min_recall: float) -> Decision:
    """Promote, reject or inconclusive, of recall against the new encoder's own answers.

    `gain` is that recall less the champion's own, query by query: a bridge that finds no more of
    them than the champion does is worse than waiting with the champion.
    """
    evidence = (
        _evidence("recall", recall, bound=min_recall),
        _evidence("gain over the champion", gain, bound=0.0),
    )
    if all(item.holds for item in evidence):
        return Decision("promote", (), evidence)
    outcome: Outcome = "reject" if any(item.holds is False for item in evidence) else "inconclusive"
    return Decision(outcome, tuple(_reason(i) for i in evidence if not i.holds), evidence)


def _evidence(name: str, interval: Interval, *, bound: float) -> Evidence:
    low, high = interval.low, interval.high
    holds = None
    if low is not None and high is not None:
        holds = True if low > bound else False if high <= bound else None
    return Evidence(name, interval.value, low, high, interval.n, bound, holds)


def _reason(item: Evidence) -> str:
    if item.value is None or item.low is None or item.high is None:
        return f"{item.n} queries are too few to tell the {item.name}."
    found = f"{item.value:.3f} ({item.low:.3f} to {item.high:.3f}, {item.n} queries)"
    if item.holds is False:
        return f"The {item.name} is {found}, not above {item.bound:g}."
    return f"The {item.name} is {found}, and may lie below {item.bound:g}: ask more queries."
