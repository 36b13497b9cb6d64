"""What a person is shown of what was found: explored a little, or both releases in one list."""

from collections.abc import Sequence
from random import Random
from typing import Literal, NamedTuple

from perennial.quality.interleaving import team_draft
from perennial.serving.answer import Answer, Found
from perennial.serving.exploring import explore
from perennial.serving.routing import Arm

LoggedArm = Literal["stable", "candidate", "interleaved"]


class Shown(NamedTuple):
    """What one query is answered with, best first, and what the log says of it beside.

    A shared list names each document's team, and the release that found it.
    """

    arm: LoggedArm
    release_id: str
    doc_ids: Sequence[str]
    scores: Sequence[float]
    propensities: Sequence[float] = ()
    teams: Sequence[str] = ()
    releases: Sequence[str] = ()
    is_explored: bool = False
    found: Found = "dense"


def show_one(answer: Answer, arm: Arm, *, share: float, random: Random) -> Shown:
    """One release's answer; with a chance of `share` one adjacent pair of it is swapped."""
    doc_ids, scores, release_id = answer.doc_ids, answer.scores, answer.release_id
    explored = explore(len(doc_ids), share=share, random=random)
    chances, order = explored.propensities, explored.order
    if order is None:
        return Shown(arm, release_id, doc_ids, scores, chances, found=answer.found)
    names, values = [doc_ids[at] for at in order], [scores[at] for at in order]
    return Shown(arm, release_id, names, values, chances, is_explored=True, found=answer.found)


def show_both(stable: Answer, candidate: Answer, k: int, *, seed: int) -> Shown:
    """Team-draft interleaving of both answers; the coins are the seed's."""
    of = {"stable": stable, "candidate": candidate}
    scores = {
        arm: dict(zip(answer.doc_ids, answer.scores, strict=True)) for arm, answer in of.items()
    }
    picked = team_draft(stable.doc_ids, candidate.doc_ids, k=k, seed=seed)
    return Shown(
        "interleaved",
        stable.release_id,
        doc_ids=[doc_id for doc_id, _ in picked],
        scores=[scores[team][doc_id] for doc_id, team in picked],
        teams=[team for _, team in picked],
        releases=[of[team].release_id for _, team in picked],
        found=stable.found if stable.found == candidate.found else "fused",
    )
