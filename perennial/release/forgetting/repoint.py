"""Moving a channel from releases that were rewritten to their successors, and its mask with it."""

from collections.abc import Collection
from datetime import datetime

from perennial.errors import Conflict
from perennial.release.audit import swap_channel
from perennial.release.channels.mask import mask_bytes, mask_part, read_mask
from perennial.release.channels.moves import existing_channel, read_kept, signed_by
from perennial.release.channels.transitions import rewritten
from perennial.release.forgetting.forgotten import today
from perennial.release.publishing.pins import Say, pinned
from perennial.release.stores.store import Store

_ATTEMPTS = 5


def repoint(
    store: Store,
    name: str,
    doc_ids: Collection[str],
    *,
    who: str,
    now: datetime,
    key: bytes | None,
    say: Say,
    why: str = "a document was forgotten",
) -> bool:
    """Move one channel to the successors, and its mask, in one write; False where none is needed.

    A hold does not matter: what is served changes only by what must be forgotten.
    """
    for attempt in range(_ATTEMPTS):
        current = existing_channel(store, name, key=key)
        stable = today(store, current.stable)
        rolling = current.candidate
        candidate = None if rolling is None else today(store, rolling.release_id)
        masked = read_mask(store, current.mask)
        kept = [each for each in masked if each not in doc_ids]
        same = stable == current.stable and len(kept) == len(masked)
        if same and (rolling is None or candidate == rolling.release_id):
            return False
        described = [read_kept(store, each, key=key) for each in (stable, candidate) if each]
        objects = [digest for each in described for digest in each.objects()]
        mask, data = None, mask_bytes(kept)
        if current.mask is not None and kept:
            mask = mask_part(data, kept, watermark=current.mask.watermark)
            objects.append(mask.digest)
        with pinned(store, f"{name} forgets", objects, say=say):
            if mask is not None:
                store.put_bytes(data)
            new = rewritten(
                current,
                stable=stable,
                candidate=candidate,
                mask=mask,
                lineage=described[0].lineage,
                why=why,
                by=signed_by(now, who),
            ).signed(key)
            try:
                swap_channel(store, current, new, key=key)
                return True
            except Conflict:
                if attempt == _ATTEMPTS - 1:
                    raise
    return False
