"""The shadow of a rollout: logged queries asked again, and what services mirrored, with nobody
seeing the candidate's answers."""

from dataclasses import dataclass
from typing import Any

from perennial.data.asked import sample_asked
from perennial.data.mirrored import read_mirrored
from perennial.data.sources.days import part_files
from perennial.params import Params
from perennial.quality.alike import Alike
from perennial.quality.decision import Decision
from perennial.quality.shadow import Shadow, judge_shadow
from perennial.release.stores.store import Store
from perennial.serving.loaded import load_release
from perennial.verbs.rolling.look import Shadowing
from perennial.workspace import Places, signing_key
from tasks.shadow import DEPTH, ask_both, compared


@dataclass(frozen=True)
class _Asking:
    """What `compared` reads of a run."""

    params: Params


def shadowing(store: Store, places: Places, params: Params) -> Shadowing:
    """A function of (stable, candidate) release ids to advance, inconclusive or reject."""

    def shadow(stable: str, candidate: str) -> Decision:
        if not part_files(places.source / "requests"):
            return Decision("inconclusive", ("No query is logged that could be asked again.",), ())
        champion, other = (
            load_release(store, each, places.cache, key=signing_key())
            for each in (stable, candidate)
        )
        section, asking = params.shadow, _Asking(params)
        logged = places.source / "requests" / "**" / "*.parquet"
        queries = [
            each.query for each in sample_asked(logged, most=section.queries, seed=section.seed)
        ]
        old, new = ask_both(queries, champion, other)
        replayed = compared(asking, queries, old, new, examples=0)  # type: ignore[arg-type]
        mirrored, counts = _mirrored(places, params, asking, stable=stable, candidate=candidate)
        return judge_shadow(
            Shadow(replayed, {}, mirrored, counts, ()),
            min_overlap=section.min_overlap,
            max_latency_ratio=section.max_latency_ratio,
            max_zero_results=section.max_zero_results,
            max_failed_share=section.max_failed_share,
            max_click_loss=section.max_click_loss,
            min_mirrored=section.min_mirrored,
            confidence=params.evaluate.confidence,
        )

    return shadow


def _mirrored(
    places: Places, params: Params, asking: Any, *, stable: str, candidate: str
) -> tuple[Alike | None, dict[str, int]]:
    found = read_mirrored(
        places.source / "mirrored",
        stable={stable},
        candidate={candidate},
        most=params.shadow.mirrored,
        k=DEPTH,
    )
    if found is None:
        return None, {}
    ids, old, new = found.request_ids, found.stable, found.candidate
    return compared(asking, ids, old, new, examples=0), found.counts
