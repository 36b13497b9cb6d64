"""Going back: one channel write to a release that is whole, on hold, with a mask of deletions."""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime

from perennial.errors import BadInput, IntegrityError, PerennialError, Refused
from perennial.release.audit import swap_channel
from perennial.release.channels.channel import Channel, Mask
from perennial.release.channels.history import Move, restored
from perennial.release.channels.mask import deleted_since, mask_bytes, mask_part
from perennial.release.channels.moves import existing_channel, read_kept, signed_by
from perennial.release.channels.transitions import rolled_back, taken_back
from perennial.release.forgetting.forgotten import today
from perennial.release.manifests.canonical import parse_utc
from perennial.release.manifests.manifest import Manifest
from perennial.release.manifests.whole import intact
from perennial.release.publishing.pins import Say, pinned, say_nothing
from perennial.release.stores.store import Store

_AWAY = 8  # releases that the channel went back from and that are asked for what they know


def rollback(
    store: Store,
    channel_name: str,
    *,
    to: str | None = None,
    index: bool = False,
    now: datetime,
    why: str,
    who: str,
    key: bytes | None = None,
    say: Say = say_nothing,
) -> Channel:
    """Go back and hold: to the previous lineage, the previous `index` of this one, or release `to`.

    During a rollout, and without either, only the candidate goes: stable was never in doubt.
    It needs nothing of the stable release, which may be the damaged one; raises Refused. Every byte
    of the target's encoder and index is checked before the channel moves: about a second per
    gigabyte. A damaged target is passed over, or refused with IntegrityError where it was named.
    Documents that were deleted since are hidden by a mask; what a newer target added is not.
    """
    current = existing_channel(store, channel_name, key=key)
    if to is not None and index:
        raise BadInput("--index finds the release itself; give a release id or --index, not both")
    rolling = current.candidate and _readable(store, current.candidate.release_id, key=key)
    gone = rolling.lineage if rolling else None
    if current.candidate is not None and to is None and not index:
        by = signed_by(now, who)
        back = taken_back(current, why=why, by=by, candidate_lineage=gone).signed(key)
        swap_channel(store, current, back, key=key)
        return back
    stable = _readable(store, current.stable, key=key)
    lineage = stable.lineage if stable is not None else current.history[-1].lineage
    for release_id in _targets(store, current, to=to, index=index, lineage=lineage, key=key):
        with contextlib.ExitStack() as pins:
            try:
                described = read_kept(store, release_id, key=key)
                move = f"{channel_name} back to {release_id}"
                pins.enter_context(pinned(store, move, described.objects(), say=say))
                target = intact(store, release_id, key=key)
            except (BadInput, IntegrityError):
                if to is not None:
                    raise
                continue  # swept or damaged: look further back
            mask = current.mask
            known = [] if stable is None else _known(store, current, stable, key=key)
            doc_ids = _deleted_since(store, target, current, known, say=say)
            if doc_ids is not None:
                data = mask_bytes(doc_ids)
                mask = mask_part(data, doc_ids, watermark=_newest(current.mask, known))
                hiding = f"{channel_name} hides {mask.digest}"
                pins.enter_context(pinned(store, hiding, [mask.digest], say=say))
                store.put_bytes(data)
            after = rolled_back(
                current,
                release_id,
                lineage=target.lineage,
                why=why,
                by=signed_by(now, who),
                mask=mask if mask is not None and mask.documents else None,
                history=restored(current.history, _promotion(target)),
                candidate_lineage=gone if gone != target.lineage else None,
            ).signed(key)
            swap_channel(store, current, after, key=key)
            return after
    sought = "index of this lineage" if index else "lineage"
    raise Refused(
        f"{current.name} has no earlier {sought} that is still whole in the store; name a release "
        "of `perennial status`: perennial rollback rel-..."
    )


def _targets(
    store: Store,
    current: Channel,
    *,
    to: str | None,
    index: bool,
    lineage: str | None,
    key: bytes | None,
) -> Iterator[str]:
    """Where to go back to, the best first; what was rewritten stands under its successor's name."""
    if to is not None:
        target = today(store, to)
        if target == current.stable:
            raise Refused(
                f"{current.name} already serves {target}; name another release of "
                "`perennial status`"
            )
        yield target
        return
    seen = {current.stable}
    starts = [*current.standing()] if index else [*current.standing()[:-1]]
    for start in reversed(starts):
        # Not all indexes of a lineage stand in the history: it is thinned.
        for each in _and_ancestors(store, today(store, start), key=key):
            # One in which documents still wait for their vectors is gone back to by its name only.
            is_wanted = (each.lineage == lineage) == index and not each.index.waiting
            if each.release_id not in seen and is_wanted:
                yield each.release_id
            seen.add(each.release_id)


def _and_ancestors(store: Store, release_id: str, *, key: bytes | None) -> Iterator[Manifest]:
    """The release, then those that it continues, as far as they are kept in one lineage."""
    first = found = _readable(store, release_id, key=key)
    while first is not None and found is not None and found.lineage == first.lineage:
        yield found
        parent = found.parent
        found = None if parent is None else _readable(store, today(store, parent), key=key)


def _readable(store: Store, release_id: str, *, key: bytes | None) -> Manifest | None:
    with contextlib.suppress(PerennialError):
        return read_kept(store, release_id, key=key)
    return None


def _known(
    store: Store, current: Channel, stable: Manifest, *, key: bytes | None
) -> list[Manifest]:
    """Stable, and the releases that the channel went back from: what it knows of the catalogue,
    the oldest first. What it stands on is older than stable."""
    standing, named = current.standing(), [move.to for move in current.history]
    away = [each for each in dict.fromkeys(reversed(named)) if each not in standing][:_AWAY]
    found = (_readable(store, today(store, each), key=key) for each in away)
    known = [stable, *(each for each in found if each is not None)]
    return sorted(known, key=_age)


def _age(manifest: Manifest) -> tuple[datetime, datetime]:
    """Deletions leave the watermark as it is: of equal ones the release made last knows more."""
    return parse_utc(manifest.catalogue.watermark), parse_utc(manifest.created_at)


def _deleted_since(
    store: Store, target: Manifest, current: Channel, known: Sequence[Manifest], *, say: Say
) -> list[str] | None:
    """Documents that only the target has; None, and a sentence, where nothing can tell."""
    stable = next((each for each in known if each.release_id == current.stable), None)
    for newest in reversed(known):
        assert stable is not None
        with contextlib.suppress(IntegrityError):
            return deleted_since(store, target, channel=current, stable=stable, newest=newest)
    say(
        f"{current.stable} is damaged, so that nothing tells which documents were deleted since "
        f"{target.release_id}: they may show until a reindex"
    )
    return None


def _newest(mask: Mask | None, known: Sequence[Manifest]) -> str:
    """The watermark of the newest catalogue that no longer had the hidden documents."""
    watermarks = [each.catalogue.watermark for each in known]
    return max([*watermarks, *([mask.watermark] if mask is not None else [])], key=parse_utc)


def _promotion(target: Manifest) -> Move:
    """The move that once made the target stable, as far as its manifest tells."""
    return Move(
        at=target.created_at,
        from_=None,
        to=target.release_id,
        why="promoted (this line was thinned out, and put back by a rollback)",
        who="unknown",
        lineage=target.lineage,
    )
