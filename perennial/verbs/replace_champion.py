"""Make a candidate the champion although the champion was reindexed since the two were compared.

What was compared are encoders: any release of the champion's encoder still is the champion, also
one that a rollback came back to. The candidate first takes today's catalogue where stable has a
newer one (design 4.6), and whoever moves the channel meanwhile only makes it look again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from perennial.errors import BadInput, Conflict, PlaceUnusable, Refused
from perennial.params.whole import Params
from perennial.quality.decision import Decision
from perennial.release.channels.channel import Channel
from perennial.release.channels.moves import existing_channel, promote, read_kept, signed_by
from perennial.release.channels.served import Served, served
from perennial.release.channels.transitions import promoted
from perennial.release.forgetting.forgotten import today
from perennial.release.manifests.canonical import parse_utc
from perennial.release.manifests.manifest import Manifest
from perennial.release.stores.store import Store
from perennial.verbs.reindexing.release import Continued, bring_up_to_date

_ATTEMPTS = 5  # a reindex comes every quarter of an hour, and what was embedded stays embedded


@dataclass(frozen=True)
class Replaced:
    """promote and the release that serves, or inconclusive with reasons and None."""

    decision: Decision
    serving: str | None


def replace_champion(
    store: Store,
    channel: str,
    candidate: str,
    *,
    champion: str,
    champion_lineage: str,
    source: Path,
    cache: Path,
    params: Params,
    now: datetime,
    why: str,
    who: str,
    key: bytes | None,
    provenance: Mapping[str, Any] | None = None,
    while_rolling: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Replaced:
    """Serve the candidate, or the release that continues it with today's catalogue.

    Where its encoder serves already nothing is written: a killed run may ask again. Raises
    PlaceUnusable for a catalogue that cannot be taken now, Refused where the champion's encoder
    serves no more, on hold, where another release rolls out, or, `while_rolling`, where this one
    does no more, and Conflict at last.
    """
    for attempt in range(_ATTEMPTS):
        seen = existing_channel(store, channel, key=key)
        stable = served(store, seen, key=key)
        ours = read_kept(store, _as_rolled_out(store, seen, candidate, key=key), key=key)
        if stable.is_full(ours.lineage) and ours.lineage != champion_lineage:
            return Replaced(Decision("promote", (why,), ()), seen.stable)
        _check_compared(stable, ours, seen, champion_lineage=champion_lineage)
        # A hold or another rollout is told before anything is embedded.
        by, lineage = signed_by(now, who), ours.lineage
        promoted(seen, ours.release_id, name=channel, lineage=lineage, why=why, by=by)
        continued = Continued(Decision("promote", (why,), ()), ours.release_id)
        if not _is_up_to_date(ours, stable, champion=champion):
            try:
                continued = bring_up_to_date(
                    ours.release_id,
                    channel=channel,
                    accepted=seen.stable if stable.is_full(champion_lineage) else None,
                    no_older_than=(
                        stable.manifest.catalogue.watermark if stable.manifest is not None else None
                    ),
                    source=source,
                    store=store,
                    cache=cache,
                    params=params,
                    now=now,
                    key=key,
                    provenance=provenance,
                    say=say,
                )
            except PlaceUnusable:
                raise
            except BadInput as error:
                if attempt + 1 < _ATTEMPTS:  # it may have been exported just now
                    say(f"looking again: {error}")
                    continue
                # Tomorrow's catalogue may be good: nothing is given up.
                raise PlaceUnusable(f"the swap waits for today's catalogue: {error}") from error
        if continued.release_id is None:
            first = f"Nothing was promoted: {ours.release_id} cannot take today's catalogue."
            reasons = (first, *continued.decision.reasons)
            refused = replace(continued.decision, outcome="inconclusive", reasons=reasons)
            return Replaced(refused, None)
        try:
            promote(
                store,
                channel,
                continued.release_id,
                expected_stable=seen.stable,
                now=now,
                why=why,
                who=who,
                key=key,
                while_rolling=while_rolling,
                say=say,
            )
        except Refused:
            if existing_channel(store, channel, key=key).generation == seen.generation:
                raise
            say(f"{channel} moved on while {candidate} was made ready; looking again")
            continue
        return Replaced(Decision("promote", (why,), ()), continued.release_id)
    raise Conflict(
        f"{channel} moved {_ATTEMPTS} times while {candidate} was made ready; retrain again when "
        "it is quieter"
    )


def _as_rolled_out(store: Store, seen: Channel, candidate: str, *, key: bytes | None) -> str:
    """The candidate under today's name: what a forget, or a reindex of its rollout, made of it."""
    candidate = today(store, candidate)
    if seen.candidate is None or seen.candidate.release_id == candidate:
        return candidate
    rolling = read_kept(store, seen.candidate.release_id, key=key)
    is_ours = rolling.lineage == read_kept(store, candidate, key=key).lineage
    return rolling.release_id if is_ours and rolling.bridge is None else candidate


def _check_compared(
    stable: Served, ours: Manifest, seen: Channel, *, champion_lineage: str
) -> None:
    """Raise Refused unless stable has the encoder that the candidate was compared with, or is the
    bridge from that to the candidate's."""
    is_champion = stable.is_full(champion_lineage)
    if is_champion or stable.is_bridge(champion_lineage, to=ours.lineage):
        return
    raise Refused(
        f"{ours.release_id} was compared with encoder {champion_lineage}, but {seen.name} serves "
        f"{seen.stable} with encoder {stable.lineage} since; retrain to compare it with that"
    )


def _is_up_to_date(ours: Manifest, stable: Served, *, champion: str) -> bool:
    """False where stable may know of a change that the candidate does not.

    A deletion leaves the watermark as it is: of a stable that was reindexed the digest tells more.
    """
    if stable.manifest is None:
        return stable.release_id == champion
    known, theirs = ours.catalogue, stable.manifest.catalogue
    if parse_utc(known.watermark) < parse_utc(theirs.watermark):
        return False
    return stable.release_id == champion or known.digest == theirs.digest
