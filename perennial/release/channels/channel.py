"""A channel: the named pointer that is the truth about what is served."""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from perennial.errors import IntegrityError
from perennial.release.channels.history import Move, standing
from perennial.release.manifests.canonical import (
    CHECKSUM,
    canonical_json,
    check_signature,
    checksum,
    parse_strictly,
    sign,
)
from perennial.release.manifests.parts import STRICT, Count, Digest, ReleaseId

# So many writers may overtake one whose answer was lost, before it no longer knows that it won.
WRITES_LIMIT = 64
_MARK = r"^(hmac-)?sha256:[0-9a-f]{64}$"
_OMITTED_WHERE_EMPTY = ("writes", "mask", "signature")


@dataclass(frozen=True)
class Step:
    """One step of a rollout: since when which share of the sessions saw the candidate."""

    __pydantic_config__ = STRICT
    stage: str
    share: Annotated[float, Field(ge=0, le=1)]
    since: str


@dataclass(frozen=True)
class Baseline:
    """What stable did before a rollout: its success per session, and the milliseconds above which
    a first answer is slow. Bets and guardrails are made on it, and must not move with the data."""

    __pydantic_config__ = STRICT
    success: Annotated[float, Field(gt=0, lt=1)]
    slow_ms: Annotated[float, Field(gt=0)]


@dataclass(frozen=True)
class Candidate:
    """The release that gets `share` of the traffic until `deadline`; `salt` decides whose.

    `steps` are those of its rollout so far, the last one being where it is; a reindex changes the
    release and nothing else.
    """

    __pydantic_config__ = STRICT
    release_id: ReleaseId
    stage: str
    share: Annotated[float, Field(ge=0, le=1)]
    salt: str
    deadline: str | None
    steps: tuple[Step, ...] = ()
    baseline: Baseline | None = None


@dataclass(frozen=True)
class Hold:
    """Nothing is promoted until somebody resumes and says why."""

    __pydantic_config__ = STRICT
    reason: str
    since: str


@dataclass(frozen=True)
class Mask:
    """The object that names the documents hidden since a rollback.

    `watermark` is that of the catalogue which no longer had them; a newer one may have them again.
    """

    __pydantic_config__ = STRICT
    digest: Digest
    bytes: Count
    documents: Count
    watermark: str


@dataclass(frozen=True)
class Channel:
    """`write_id` is random, so that a writer can recognise its own write after a lost answer;
    `writes` are the last ones before it, so that one who was then overtaken can too."""

    __pydantic_config__ = STRICT
    format_version: Literal[1]
    name: str
    generation: Annotated[int, Field(ge=1)]
    write_id: str
    stable: ReleaseId
    candidate: Candidate | None = None
    hold: Hold | None = None
    history: tuple[Move, ...] = ()
    writes: tuple[str, ...] = ()
    mask: Mask | None = None
    signature: Annotated[str | None, Field(pattern=_MARK)] = None

    def to_bytes(self) -> bytes:
        """The canonical JSON that is stored; later additions stand in it only where they say
        something, so that the bytes of older channels stay what they were."""
        value: dict[str, Any] = _ADAPTER.dump_python(self, mode="json", by_alias=True)
        for name in _OMITTED_WHERE_EMPTY:
            if not value[name]:
                del value[name]
        rolling = value["candidate"] or {}
        for name in [each for each in ("steps", "baseline") if not rolling.get(each, True)]:
            del rolling[name]
        for move in value["history"]:
            for name in ("lineage", "forced"):
                if move[name] is None:
                    del move[name]
        return canonical_json(value)

    def signed(self, key: bytes | None) -> "Channel":
        """The channel with the key's signature; without a key with a checksum in its place, which
        proves no author but shows every flipped bit."""
        payload = replace(self, signature=None).to_bytes()
        mark = checksum(payload) if key is None else sign(payload, key)
        return replace(self, signature=mark)

    def standing(self) -> tuple[str, ...]:
        """The releases that stable stands on, oldest first, itself last."""
        return standing(self.history)


def read_channel_bytes(data: bytes, *, name: str) -> Channel:
    """The channel of stored bytes; raises IntegrityError where they are not one of that name."""
    channel = parse_strictly(data, _ADAPTER, what=f"channel {name}")
    if channel.name != name:
        raise IntegrityError(
            f"the file of channel {name} holds channel {channel.name}; restore it from a copy"
        )
    if (channel.signature or "").startswith(CHECKSUM):
        payload = replace(channel, signature=None).to_bytes()
        if channel.signature != checksum(payload):
            raise IntegrityError(
                f"channel {name} was altered: it no longer has its checksum; restore the file "
                "from a copy"
            )
    return channel


def check_channel(channel: Channel, key: bytes | None) -> Channel:
    """The channel itself; raises IntegrityError unless the key, where there is one, signed it."""
    if key is not None:
        payload = replace(channel, signature=None).to_bytes()
        check_signature(payload, channel.signature, key, what=f"channel {channel.name}")
    return channel


_ADAPTER = TypeAdapter(Channel)
