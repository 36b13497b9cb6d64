"""The shadow of a rollout: logged queries asked again, and what services mirrored, with nobody
seeing the candidate's answers."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from perennial.data.asked import sample_asked
from perennial.data.mirrored import read_mirrored
from perennial.data.sources.days import between, part_files
from perennial.params.whole import Params
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


def shadowing(store: Store, places: Places, params: Params, *, now: datetime) -> Shadowing:
    """A function of (stable, candidate) release ids to advance, inconclusive or reject."""

    def shadow(stable: str, candidate: str) -> Decision:
        section, asking = params.shadow, _Asking(params)
        if not part_files(places.source / "requests"):
            return Decision("inconclusive", ("No query is logged that could be asked again.",), ())
        mirrored = places.source / "mirrored"
        found = read_mirrored(
            mirrored, stable={stable}, candidate={candidate}, most=section.mirrored, k=DEPTH
        )
        if found is None and _mirrors(mirrored, now=now, days=params.canary.baseline_days):
            reason = f"Services mirror, but none has mirrored {candidate} yet: they are loading it."
            return Decision("inconclusive", (reason,), ())
        champion, other = (
            load_release(store, each, places.cache, key=signing_key(), fuse=params.serve.fuse)
            for each in (stable, candidate)
        )
        logged = places.source / "requests" / "**" / "*.parquet"
        queries = [
            each.query for each in sample_asked(logged, most=section.queries, seed=section.seed)
        ]
        old, new = ask_both(queries, champion, other)
        replayed = compared(asking, queries, old, new, examples=0)  # type: ignore[arg-type]
        alike, counts = None, dict[str, int]()
        if found is not None:
            ids, old, new = found.request_ids, found.stable, found.candidate
            alike = compared(asking, ids, old, new, examples=0)  # type: ignore[arg-type]
            counts = found.counts
        return judge_shadow(
            Shadow(replayed, {}, alike, counts, ()),
            min_overlap=section.min_overlap,
            max_latency_ratio=section.max_latency_ratio,
            max_zero_results=section.max_zero_results,
            max_failed_share=section.max_failed_share,
            max_click_loss=section.max_click_loss,
            min_mirrored=section.min_mirrored,
            confidence=params.evaluate.confidence,
        )

    return shadow


def _mirrors(folder: Path, *, now: datetime, days: int) -> bool:
    """True where any service mirrored anything in the last days."""
    return bool(between(part_files(folder), (now - timedelta(days=days)).date(), now.date()))
