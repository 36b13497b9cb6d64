"""A channel: the named pointer that is the truth about what is served, and its transitions."""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from perennial.errors import BadInput, IntegrityError, Refused
from perennial.release.canonical import canonical_json, check_signature, parse_strictly, sign
from perennial.release.parts import STRICT, ReleaseId

# A reader parses the channel at every poll; a thousand moves are 200 kB and two milliseconds.
HISTORY_LIMIT = 1000


@dataclass(frozen=True)
class Candidate:
    """The release that gets `share` of the traffic until `deadline`; `salt` decides whose."""

    __pydantic_config__ = STRICT
    release_id: ReleaseId
    stage: str
    share: Annotated[float, Field(ge=0, le=1)]
    salt: str
    deadline: str | None


@dataclass(frozen=True)
class Hold:
    """Nothing is promoted until somebody resumes and says why."""

    __pydantic_config__ = STRICT
    reason: str
    since: str


@dataclass(frozen=True)
class Move:
    """One line of history: who moved stable `from_` one release `to` another, when and why."""

    __pydantic_config__ = STRICT
    at: str
    from_: Annotated[ReleaseId | None, Field(alias="from")]
    to: ReleaseId
    why: str
    who: str


@dataclass(frozen=True)
class Channel:
    """`write_id` is random, so that a writer can recognise its own write after a lost answer."""

    __pydantic_config__ = STRICT
    format_version: Literal[1]
    name: str
    generation: Annotated[int, Field(ge=1)]
    write_id: str
    stable: ReleaseId
    candidate: Candidate | None = None
    hold: Hold | None = None
    history: tuple[Move, ...] = ()
    signature: str | None = None

    def to_bytes(self) -> bytes:
        """The canonical JSON that is stored; a signature stands in it only where there is one."""
        value: dict[str, Any] = _ADAPTER.dump_python(self, mode="json", by_alias=True)
        if self.signature is None:
            del value["signature"]
        return canonical_json(value)

    def signed(self, key: bytes | None) -> "Channel":
        """The channel with the key's signature, or without one where there is no key."""
        unsigned = replace(self, signature=None)
        return unsigned if key is None else replace(self, signature=sign(unsigned.to_bytes(), key))

    def standing(self) -> tuple[str, ...]:
        """The releases that stable stands on, oldest first, itself last: history without detours.

        Going back to a release forgets what came after it, so that a second rollback goes further
        back and never forward to what the first one left.
        """
        stack: list[str] = []
        for move in self.history:
            if not stack and move.from_ is not None:
                stack.append(move.from_)
            if move.to in stack:
                del stack[stack.index(move.to) :]
            stack.append(move.to)
        return tuple(stack)


def read_channel_bytes(data: bytes, *, name: str) -> Channel:
    """The channel of stored bytes; raises IntegrityError where they are not one of that name."""
    channel = parse_strictly(data, _ADAPTER, what=f"channel {name}")
    if channel.name != name:
        raise IntegrityError(
            f"the file of channel {name} holds channel {channel.name}; restore it from a copy"
        )
    return channel


def check_channel(channel: Channel, key: bytes | None) -> Channel:
    """The channel itself; raises IntegrityError unless the key, where there is one, signed it."""
    if key is not None:
        payload = replace(channel, signature=None).to_bytes()
        check_signature(payload, channel.signature, key, what=f"channel {channel.name}")
    return channel


def promoted(
    channel: Channel | None,
    release_id: str,
    *,
    name: str,
    at: str,
    why: str,
    who: str,
    write_id: str,
) -> Channel:
    """The channel with a new stable; raises Refused on hold or while another release rolls out."""
    if channel is None:
        move = Move(at=at, from_=None, to=release_id, why=why, who=who)
        return Channel(1, name, 1, write_id, release_id, history=(move,))
    if channel.hold is not None:
        raise Refused(
            f"{channel.name} is on hold since {channel.hold.since} ({channel.hold.reason}); when "
            "the cause is gone run `perennial resume --reason '...'`, then promote again"
        )
    if channel.candidate is not None and channel.candidate.release_id != release_id:
        raise Refused(
            f"{channel.name} is rolling out {channel.candidate.release_id} "
            f"({channel.candidate.stage}); wait until that ends, or roll it back"
        )
    return _moved(channel, release_id, at=at, why=why, who=who, write_id=write_id, hold=None)


def rolled_back(
    channel: Channel, to: str, *, at: str, why: str, who: str, write_id: str
) -> Channel:
    """The channel on an older release, without a candidate and on hold; raises Refused if it is."""
    if to == channel.stable:
        raise Refused(
            f"{channel.name} already serves {to}; name another release of `perennial status`"
        )
    hold = Hold(reason=why, since=at)
    return _moved(channel, to, at=at, why=why, who=who, write_id=write_id, hold=hold)


def resumed(channel: Channel, reason: str, *, at: str, who: str, write_id: str) -> Channel:
    """The channel without its hold; raises Refused where there is none, BadInput without reason."""
    if not reason.strip():
        raise BadInput("resuming needs a reason; give --reason 'what was wrong and is fixed'")
    if channel.hold is None:
        raise Refused(f"{channel.name} is not on hold; there is nothing to resume")
    why = f"resumed: {reason}"
    same = channel.stable
    after = _moved(channel, same, at=at, why=why, who=who, write_id=write_id, hold=None)
    return replace(after, candidate=channel.candidate)


def _moved(
    channel: Channel, to: str, *, at: str, why: str, who: str, write_id: str, hold: Hold | None
) -> Channel:
    move = Move(at=at, from_=channel.stable, to=to, why=why, who=who)
    return replace(
        channel,
        generation=channel.generation + 1,
        write_id=write_id,
        stable=to,
        candidate=None,
        hold=hold,
        history=(*channel.history, move)[-HISTORY_LIMIT:],
        signature=None,
    )


_ADAPTER = TypeAdapter(Channel)
