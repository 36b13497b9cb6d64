"""From signals to a verdict: nothing, reindex, retrain, or page, at one stated false-alarm rate.

Each signal has its part of `alpha` (Bonferroni): whatever depends on what, the chance that any of
them calls an ordinary look drift is at most `alpha`. Beyond chance a signal must also be as large
as its floor: with a large log everything is significant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perennial.quality.decision import Decision, Evidence, Outcome
from perennial.quality.drift.signal import Signal

_OUTCOMES: Mapping[str, Outcome] = {
    "operation": "page",
    "documents": "reindex",
    "kinds": "retrain",
    "queries": "retrain",
    "clicks": "retrain",
}
_TITLES: Mapping[Outcome, str] = {
    "page": "Something is broken",
    "retrain": "What people ask or click, or what they search in, changed",
    "reindex": "The documents changed",
}
_BOTH = "A reindex is due as well; one runs every quarter of an hour anyway, a retrain does not."
_SAID = 6  # sentences; the evidence has every signal


@dataclass(frozen=True)
class Judged:
    """A signal, the level its p must not be above, and whether it is beyond chance and floor."""

    signal: Signal
    level: float
    fires: bool

    @property
    def outcome(self) -> Outcome:
        """What it asks for if it fires."""
        return _OUTCOMES[self.signal.about]


def judged(signals: Sequence[Signal], *, alpha: float, slices_share: float) -> list[Judged]:
    """Every signal beside its level: those of slices share `slices_share` of alpha, the whole ones
    the rest; what is measured without chance has none."""
    by_chance = [each for each in signals if each.p is not None]
    sliced = sum(each.slice is not None for each in by_chance)
    whole = len(by_chance) - sliced
    of_slices = slices_share if sliced else 0.0
    found = []
    for each in signals:
        level = (
            alpha * of_slices / sliced
            if each.slice is not None and sliced
            else alpha * (1 - of_slices) / max(whole, 1)
        )
        is_sure = each.p is None or each.p <= level
        found.append(Judged(each, level, is_sure and each.effect > each.floor))
    return found


def verdict(found: Sequence[Judged], *, waiting: int, quiet: Mapping[str, float]) -> Decision:
    """What is broken comes first, then drift that no retrain has answered, `quiet` has the effects
    up to which a signal was; then documents that are `waiting` to be indexed."""
    evidence = tuple(_evidence(each) for each in found)
    firing = sorted((e for e in found if e.fires), key=lambda e: e.signal.p or 0.0)
    answered = [
        e
        for e in firing
        if e.outcome == "retrain" and e.signal.effect <= quiet.get(e.signal.answer, -1.0)
    ]
    held = [e for e in firing if e.outcome == "reindex" and not waiting]
    left = [e for e in firing if e not in answered and e not in held]
    notes = _notes(answered, held)
    for outcome, title in _TITLES.items():
        ours = [each for each in left if each.outcome == outcome]
        if ours:
            said = [_sentence(each) for each in ours[:_SAID]]
            if outcome == "retrain" and any(each.outcome == "reindex" for each in left):
                said.append(_BOTH)
            return Decision(
                outcome,
                (f"{title}: {len(ours)} of {len(found)} signals say so.", *said, *notes),
                evidence,
            )
    none = f"None of {len(found)} signals is beyond chance and its bound."
    return Decision("none", tuple(notes) or (none,), evidence)


def effects(
    found: Sequence[Judged], *, growth: float, still: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Up to which effect each signal counts as answered by a retrain that is asked for now: those
    that fire, at whichever span of hours, and what was answered before and is `still` quiet."""
    fired = {each.signal.answer for each in found if each.fires and each.outcome == "retrain"}
    return _largest(still or {}, [e for e in found if e.signal.answer in fired], growth=growth)


def latecomers(found: Sequence[Judged], *, growth: float) -> dict[str, float]:
    """The same of every signal that can ask for a retrain: a drift that one of them sees first the
    others see in the hours after, and it is one drift."""
    return _largest({}, [each for each in found if each.outcome == "retrain"], growth=growth)


def _largest(
    known: Mapping[str, float], found: Sequence[Judged], *, growth: float
) -> dict[str, float]:
    up_to = dict(known)
    for each in found:
        least = growth * max(each.signal.effect, each.signal.floor)
        up_to[each.signal.answer] = max(least, up_to.get(each.signal.answer, 0.0))
    return up_to


def _notes(answered: Sequence[Judged], held: Sequence[Judged]) -> list[str]:
    notes = []
    if answered:
        names = ", ".join(dict.fromkeys(each.signal.answer for each in answered))
        notes.append(f"A retrain answers this drift, which has not grown since: {names}.")
    if held:
        notes.append(
            "The documents moved, but the index holds all of them: a reindex has nothing to do."
        )
    return notes


def _sentence(each: Judged) -> str:
    said = each.signal.said[0].upper() + each.signal.said[1:]
    where = f", in slice {each.signal.slice}" if each.signal.slice is not None else ""
    chance = f" (p = {each.signal.p:.1g})" if each.signal.p is not None else ""
    return f"{said}{where}{chance}."


def _evidence(each: Judged) -> Evidence:
    signal = each.signal
    return Evidence(signal.name, signal.effect, None, None, signal.n, signal.floor, not each.fires)
