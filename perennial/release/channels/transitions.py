"""The moves of a channel as values: what it becomes when it is promoted, reindexed, rolled back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from perennial.errors import BadInput, Refused
from perennial.release.channels.channel import WRITES_LIMIT, Candidate, Channel, Hold, Mask
from perennial.release.channels.history import Move, ending, thinned


@dataclass(frozen=True)
class Signed:
    """Who writes, when, and the random id that the write is recognised by."""

    at: str
    who: str
    write_id: str


def promoted(
    channel: Channel | None,
    release_id: str,
    *,
    name: str,
    lineage: str | None,
    why: str,
    by: Signed,
    mask: Mask | None = None,
    is_catch_up: bool = False,
    forced: str | None = None,
    is_candidate: bool = False,
) -> Channel:
    """The channel with a new stable; raises Refused on hold or while another release rolls out.

    `is_candidate` says that it is the one that rolls out, under another name. The move that brings
    a `forced` encoder says so; its reindexes do not say it again. A catch-up is the same encoder
    with a newer catalogue: it goes through a hold, which stays.
    """
    if channel is None:
        first = Move(by.at, None, release_id, why, by.who, lineage, forced)
        return Channel(1, name, 1, by.write_id, release_id, history=(first,))
    other = None if is_candidate else channel.candidate
    if other is not None and other.release_id != release_id:
        raise Refused(
            f"{channel.name} is rolling out {other.release_id} "
            f"({other.stage}); wait until that ends, or roll it back"
        )
    _check_hold(channel, lineage, is_catch_up=is_catch_up)
    is_new = not channel.history or channel.history[-1].lineage != lineage
    after = _moved(
        channel, release_id, lineage=lineage, why=why, by=by, forced=forced if is_new else None
    )
    return replace(after, candidate=None, mask=mask)


def reindexed(
    channel: Channel,
    *,
    stable: tuple[str, str],
    candidate: tuple[str, str] | None,
    lineage: str,
    why: str,
    by: Signed,
    is_catch_up: bool = False,
) -> Channel:
    """The channel with (old, new) stable and candidate in one write; the mask has done its work.

    Raises Refused where either is no longer the old one, or on hold unless it is a catch-up.
    """
    rolling = channel.candidate
    expected = candidate[0] if candidate is not None else None
    found = rolling.release_id if rolling is not None else None
    if (channel.stable, found) != (stable[0], expected):
        raise Refused(
            f"{channel.name} serves {channel.stable} and rolls out {found or 'nothing'}, but "
            f"{stable[0]} and {expected or 'nothing'} were reindexed; reindex what is there now"
        )
    _check_hold(channel, lineage, is_catch_up=is_catch_up)
    after = _moved(channel, stable[1], lineage=lineage, why=why, by=by)
    if rolling is not None and candidate is not None:
        after = replace(after, candidate=replace(rolling, release_id=candidate[1]))
    return replace(after, mask=None)


def rewritten(
    channel: Channel,
    *,
    stable: str,
    candidate: str | None,
    mask: Mask | None,
    lineage: str,
    why: str,
    by: Signed,
) -> Channel:
    """The channel on successors of what it serves and rolls out; its hold stays."""
    after = _moved(channel, stable, lineage=lineage, why=why, by=by)
    if channel.candidate is not None and candidate is not None:
        after = replace(after, candidate=replace(channel.candidate, release_id=candidate))
    return replace(after, mask=mask)


def rolled_back(
    channel: Channel,
    to: str,
    *,
    lineage: str | None,
    why: str,
    by: Signed,
    mask: Mask | None = None,
    history: Sequence[Move] | None = None,
    candidate_lineage: str | None = None,
) -> Channel:
    """The channel on an older release, without a candidate and on hold; raises Refused if it is.

    `history`, where given, is the channel's own with a thinned move restored; `candidate_lineage`
    is the encoder whose rollout ends with this, which the history remembers.
    """
    if to == channel.stable:
        raise Refused(
            f"{channel.name} already serves {to}; name another release of `perennial status`"
        )
    if history is not None:
        channel = replace(channel, history=tuple(history))
    after = _moved(channel, to, lineage=lineage, why=ending(why, candidate_lineage), by=by)
    return replace(after, candidate=None, hold=Hold(reason=why, since=by.at), mask=mask)


def resumed(channel: Channel, reason: str, *, by: Signed) -> Channel:
    """The channel without its hold; raises Refused where there is none, BadInput without reason.

    The mask stays: only a reindex knows which documents are there again.
    """
    if not reason.strip():
        raise BadInput("resuming needs a reason; give --reason 'what was wrong and is fixed'")
    if channel.hold is None:
        raise Refused(f"{channel.name} is not on hold; there is nothing to resume")
    return replace(_stayed(channel, why=f"resumed: {reason}", by=by), hold=None)


def rolling(channel: Channel, candidate: Candidate | None, *, why: str, by: Signed) -> Channel:
    """The channel with its rollout begun, a step further, or ended where the candidate is None."""
    return replace(_stayed(channel, why=why, by=by), candidate=candidate)


def paused(channel: Channel, reason: str, *, by: Signed) -> Channel:
    """The channel on hold; what rolls out stays at its step."""
    after = _stayed(channel, why=f"paused: {reason}", by=by)
    return replace(after, hold=Hold(reason=reason, since=by.at))


def taken_back(
    channel: Channel, *, why: str, by: Signed, candidate_lineage: str | None = None
) -> Channel:
    """The channel without its candidate and on hold; stable was never in doubt."""
    after = _stayed(channel, why=ending(why, candidate_lineage), by=by)
    return replace(after, candidate=None, hold=channel.hold or Hold(reason=why, since=by.at))


def _stayed(channel: Channel, *, why: str, by: Signed) -> Channel:
    lineage = channel.history[-1].lineage if channel.history else None
    return _moved(channel, channel.stable, lineage=lineage, why=why, by=by)


def _check_hold(channel: Channel, lineage: str | None, *, is_catch_up: bool) -> None:
    """Raise Refused on hold, unless this is the catch-up of the encoder that is served."""
    if channel.hold is None:
        return
    served = channel.history[-1].lineage if channel.history else None
    if is_catch_up and (served is None or served == lineage):
        return
    held = f"{channel.name} is on hold since {channel.hold.since} ({channel.hold.reason})"
    if is_catch_up:
        raise Refused(f"{held}, and a catch-up keeps the encoder; `perennial resume` first")
    raise Refused(
        f"{held}; when the cause is gone run `perennial resume --reason '...'`, then promote again"
    )


def _moved(
    channel: Channel,
    to: str,
    *,
    lineage: str | None,
    why: str,
    by: Signed,
    forced: str | None = None,
) -> Channel:
    """The next generation: stable, history and writes; candidate, hold and mask as they were."""
    move = Move(by.at, channel.stable, to, why, by.who, lineage, forced)
    return replace(
        channel,
        generation=channel.generation + 1,
        write_id=by.write_id,
        stable=to,
        history=thinned((*channel.history, move)),
        writes=(*channel.writes, channel.write_id)[-WRITES_LIMIT:],
        signature=None,
    )
