"""Bring what changed in the catalogue into the index that serves, with the encoder that serves.

Compare, embed what is new, write one segment and tombstones, compact where due, check, publish,
and one write of the channel for the stable release and the candidate of a rollout together.
Whatever is killed, the channel serves what it served, and the next call starts from the comparison;
what was embedded stays embedded. Where many documents are new, a first write of the channel lets
them be found by their words (words.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from perennial.data.catalogue import Documents, read_documents
from perennial.model.digest import text_digests
from perennial.model.vector_folder import prune
from perennial.params.whole import Params
from perennial.quality.decision import Decision
from perennial.quality.upkeep import judge_removals
from perennial.release.channels.channel import Channel
from perennial.release.channels.moves import existing_channel
from perennial.release.stores.store import Store
from perennial.verbs.reindexing.place import alone_in, keep_only, lineages_of_channels
from perennial.verbs.reindexing.publish import publish_side, swap
from perennial.verbs.reindexing.result import Reindexed, in_words, side_of
from perennial.verbs.reindexing.side import CANDIDATE, STABLE, Look, Made, continue_release, look_at
from perennial.verbs.reindexing.watch import Stopwatch
from perennial.verbs.reindexing.words import is_due, serve_waiting

Say = Callable[[str], None]


def reindex(
    *,
    source: Path,
    store: Store,
    cache: Path,
    channel: str,
    params: Params,
    now: datetime,
    who: str,
    key: bytes | None,
    catch_up: bool = False,
    accept_removals: bool = False,
    provenance: Mapping[str, Any] | None = None,
    say: Say = lambda line: None,
) -> Reindexed:
    """What came of it: promote, none (nothing to do), reject, or inconclusive on hold.

    Raises BadInput for a catalogue that cannot be taken, Conflict where somebody else moved the
    channel meanwhile, IntegrityError for stored bytes; each leaves the channel as it was, and so
    does reject, but for new documents that it may serve by their words already.
    """
    seen, watch = existing_channel(store, channel, key=key), Stopwatch()
    if seen.hold is not None and not catch_up:
        return Reindexed(_on_hold(seen), channel)
    with alone_in(cache / "reindex" / channel) as (folder, objects):
        rolling = seen.candidate.release_id if seen.candidate is not None else None
        releases = {STABLE: seen.stable} | ({CANDIDATE: rolling} if rolling else {})
        with watch.phase("compare"):
            documents = read_documents(source / "catalogue.parquet", digests_of=text_digests)
            looks = look_at(
                store, releases, documents, objects=objects, folder=folder, key=key, say=say
            )
        decision = _worth_it(looks, seen, documents, params.reindex.max_removed_share)
        if decision.outcome == "none" or (decision.outcome == "reject" and not accept_removals):
            return Reindexed(decision, channel, len(documents), seconds=watch.seconds)
        first = looks[0]
        # A mask must outlive the documents that it hides: words alone would take it away.
        is_alone = rolling is None and seen.mask is None
        if is_alone and is_due(first, lexical_first=params.reindex.lexical_first):
            with watch.phase("words"):
                seen = serve_waiting(
                    store,
                    seen,
                    first,
                    documents,
                    fresh=folder / "waiting",
                    provenance=provenance or {},
                    now=now,
                    who=who,
                    key=key,
                    catch_up=catch_up,
                    say=say,
                )
                looks = look_at(
                    store,
                    {STABLE: seen.stable},
                    documents,
                    objects=objects,
                    folder=folder / "after",
                    key=key,
                    say=say,
                )
        due = [look for look in looks if not look.is_current or seen.mask is not None]
        for look in due:
            say(f"{look.role}: {in_words(look.changes)} of {len(documents):,} documents")
        made = [
            continue_release(
                look,
                documents,
                folder=folder / look.role,
                vectors=cache / "vectors",
                params=params,
                watch=watch,
                say=say,
            )
            for look in due
        ]
        decision = _judged(made, waiting=looks[0].waiting)
        result = Reindexed(decision, channel, len(documents), seconds=watch.seconds)
        if result.decision.outcome != "promote":
            return replace(result, sides=tuple(side_of(one, None, 0) for one in made))

        sides, moved, digests = [], {}, set[str]()
        known = [look.base.manifest.catalogue.watermark for look in looks]
        with watch.phase("publish"):
            for one in made:
                if one.decision.outcome != "promote":
                    sides.append(side_of(one, None, 0))
                    continue
                manifest, size = publish_side(
                    store,
                    one.look.base,
                    one.checked,
                    documents,
                    no_older_than=known,
                    provenance=provenance or {},
                    now=now,
                    key=key,
                    say=say,
                )
                moved[one.look.role] = manifest.release_id
                digests |= manifest.objects().keys()
                sides.append(side_of(one, manifest.release_id, size))
        with watch.phase("swap"):
            swap(
                store,
                seen,
                stable=(seen.stable, moved.get(STABLE, seen.stable)),
                candidate=(rolling, moved.get(CANDIDATE, rolling)) if rolling else None,
                now=now,
                why=f"reindex: {in_words(due[0].changes)}",
                who=who,
                key=key,
                catch_up=catch_up,
                say=say,
            )
        keep_only(objects, digests)
    done = f"{channel} serves {moved.get(STABLE, seen.stable)}: {in_words(due[0].changes)}."
    done += " The documents that the rollback hid are shown again." if seen.mask else ""
    decision = replace(result.decision, reasons=(done, *result.decision.reasons))
    kept = {look.base.manifest.lineage for look in looks} | lineages_of_channels(store)
    prune(cache / "vectors", keep=kept, max_bytes=params.reindex.cache_mb * 2**20)
    return replace(result, decision=decision, sides=tuple(sides))


def _on_hold(seen: Channel) -> Decision:
    assert seen.hold is not None
    reason = (
        f"{seen.name} is on hold since {seen.hold.since} ({seen.hold.reason}), and nothing was "
        "reindexed: --catch-up brings the catalogue into what it serves and leaves the hold, "
        "`perennial resume` ends it."
    )
    return Decision("inconclusive", (reason,), ())


def _worth_it(
    looks: Sequence[Look], seen: Channel, documents: Documents, max_removed_share: float
) -> Decision:
    """advance, none where the catalogue is served as it is, reject where too much of it is gone."""
    # A mask hides documents by an older catalogue; only a new release takes it away.
    if all(look.is_current for look in looks) and seen.mask is None:
        reason = f"{seen.name} already serves these {len(documents):,} documents: nothing to do."
        return Decision("none", (reason,), ())
    decisions = [
        judge_removals(
            len(look.changes.removed), look.changes.live, max_removed_share=max_removed_share
        )
        for look in looks
    ]
    return next((found for found in decisions if found.outcome == "reject"), decisions[0])


def _judged(made: Sequence[Made], *, waiting: int) -> Decision:
    """The first, stable where it changed, decides; a candidate that is out of bounds stays behind,
    and it is said, as is what stays without vectors."""
    first, *others = (one.decision for one in made)
    reasons = list(first.reasons)
    for other in others:
        if other.outcome != "promote":
            reasons += [f"The candidate stays as it is: {reason}" for reason in other.reasons]
    if first.outcome != "promote" and waiting:
        reasons.append(f"{waiting:,} documents are found by their words only.")
    return replace(first, reasons=tuple(reasons))
