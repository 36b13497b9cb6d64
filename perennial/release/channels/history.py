"""What a channel remembers: its moves, what stable stands on after them, and what may be forgotten.

96 reindexes a day must neither grow the channel, which every reader parses, nor push the previous
lineage out of it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from perennial.release.manifests.parts import STRICT, Digest, ReleaseId

HISTORY_LIMIT = 200
REINDEX = "flow reindex"  # who moves a channel by the clock
_ENDED = re.compile(r"rollout of encoder [0-9a-f]{12} ended\b")


@dataclass(frozen=True)
class Move:
    """Who moved stable `from_` one release `to` another, when, why; `lineage` is that of `to`.

    `forced` is why a person promoted it against what the gate had said.
    """

    __pydantic_config__ = STRICT
    at: str
    from_: Annotated[ReleaseId | None, Field(alias="from")]
    to: ReleaseId
    why: str
    who: str
    lineage: Digest | None = None
    forced: str | None = None


def ended(lineage: str) -> str:
    """How the history's line of a rollout that went back begins: a reindex changes the release."""
    return f"rollout of encoder {lineage[7:19]} ended"


def ending(why: str, lineage: str | None) -> str:
    """The line of a move that ended the rollout of this encoder; `why` where it ended none."""
    return why if lineage is None else f"{ended(lineage)}: {why}"


def standing(history: Sequence[Move]) -> tuple[str, ...]:
    """The releases that stable stands on, oldest first, itself last: history without detours.

    Going back to a release forgets what came after it, so that a second rollback goes further
    back and never forward to what the first one left.
    """
    stack: list[str] = []
    for move in history:
        if not stack and move.from_ is not None:
            stack.append(move.from_)
        if move.to in stack:
            del stack[stack.index(move.to) :]
        stack.append(move.to)
    return tuple(stack)


def thinned(history: Sequence[Move], *, limit: int = HISTORY_LIMIT) -> tuple[Move, ...]:
    """At most `limit` moves; what stable stands on stays, less the releases named no more.

    The oldest move inside a run of one lineage goes first, unless a rollout ended with it, and only
    then the oldest of all; what a person forced stays, however long ago, while anything else can
    go.
    """
    kept = tuple(history)
    while len(kept) > limit:
        spared = [i for i in _by_dispensability(kept) if kept[i].forced is None]
        drop = next((i for i in spared if _is_detached(kept, i)), spared[0] if spared else 0)
        kept = (*kept[:drop], *kept[drop + 1 :])
    return kept


def restored(history: Sequence[Move], move: Move) -> tuple[Move, ...]:
    """The history with a promotion that was thinned out of it put back where its time belongs.

    Without it, going back to that release would seem a step forward. A release whose time falls in
    no gap of a run of its own lineage was never promoted, and nothing is put back for it.
    """
    if move.to in {history[0].from_, *(each.to for each in history)}:
        return tuple(history)
    for i in range(1, len(history)):
        before, after = history[i - 1], history[i]
        is_gap = before.to != after.from_
        is_then = before.at <= move.at < after.at
        if is_gap and is_then and before.lineage == after.lineage == move.lineage:
            return (*history[:i], move, *history[i:])
    return tuple(history)


def _by_dispensability(history: Sequence[Move]) -> Iterator[int]:
    """Every move but the last: first those inside a run of one lineage, each kind oldest first.

    That a rollout went back must outlast the reindexes after it, or it begins again by itself.
    """
    lineages = [move.lineage for move in history]
    inside = [
        i > 0
        and lineages[i] is not None
        and lineages[i - 1] == lineages[i] == lineages[i + 1]
        and _ENDED.match(history[i].why) is None
        for i in range(len(history) - 1)
    ]
    yield from (i for i, is_inside in enumerate(inside) if is_inside)
    yield from (i for i, is_inside in enumerate(inside) if not is_inside)


def _is_detached(history: tuple[Move, ...], i: int) -> bool:
    """True where nothing but its own release leaves the standing with move i."""
    rest = (*history[:i], *history[i + 1 :])
    named = {rest[0].from_, *(move.to for move in rest)}
    return standing(rest) == tuple(each for each in standing(history) if each in named)
