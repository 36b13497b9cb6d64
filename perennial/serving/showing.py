"""What a person is shown of what was found: explored a little, or both releases in one list."""

from dataclasses import dataclass
from random import Random
from typing import Literal

from perennial.quality.interleaving import team_draft
from perennial.serving.exploring import explore
from perennial.serving.loaded import Answer, Hit
from perennial.serving.log.records import Row
from perennial.serving.routing import Arm

LoggedArm = Literal["stable", "candidate", "interleaved"]


@dataclass(frozen=True)
class Shown:
    """What one query is answered with; `rows` are its impressions, which name each hit's release.

    `request_id` is None where nothing was logged, and no event can refer to it.
    """

    request_id: str | None
    arm: LoggedArm
    release_id: str
    hits: tuple[Hit, ...]
    rows: tuple[Row, ...] = ()
    is_explored: bool = False


def show_one(answer: Answer, arm: Arm, *, request_id: str, share: float, random: Random) -> Shown:
    """One release's answer; with a chance of `share` one adjacent pair of it is swapped."""
    explored, release_id = explore(answer.hits, share=share, random=random), answer.release_id
    rows = tuple(
        (request_id, hit.doc_id, hit.rank, hit.score, release_id, None, chance)
        for hit, chance in zip(explored.hits, explored.propensities, strict=True)
    )
    return Shown(request_id, arm, release_id, explored.hits, rows, explored.is_explored)


def show_both(stable: Answer, candidate: Answer, k: int, *, request_id: str) -> Shown:
    """Team-draft interleaving of both answers; the coins are the request's own."""
    of = {"stable": stable, "candidate": candidate}
    scores = {arm: {hit.doc_id: hit.score for hit in answer.hits} for arm, answer in of.items()}
    picked = team_draft(
        [hit.doc_id for hit in stable.hits],
        [hit.doc_id for hit in candidate.hits],
        k=k,
        seed=int(request_id[:12], 16),
    )
    hits = tuple(
        Hit(doc_id, scores[team][doc_id], rank)
        for rank, (doc_id, team) in enumerate(picked, start=1)
    )
    rows = tuple(
        (request_id, hit.doc_id, hit.rank, hit.score, of[team].release_id, team, None)
        for hit, (_, team) in zip(hits, picked, strict=True)
    )
    return Shown(request_id, "interleaved", stable.release_id, hits, rows)
