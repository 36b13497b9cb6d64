"""What a watch remembers of a channel: what it said last, the retrain it asked for, how long the
index is behind, and what the sentinels found at first. Every process that watches the channel must
agree on it.

Only numbers and names of signals are kept, no text of a query and no id of a document.
"""

import secrets
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from pydantic import TypeAdapter

from perennial.release.manifests.canonical import canonical_json, parse_strictly
from perennial.release.manifests.parts import STRICT, Digest, ReleaseId
from perennial.release.stores.store import Store

WATCHED = "watched/"


@dataclass(frozen=True)
class AskedFor:
    """A retrain that drift asked for: when, on which log, of which champion's `lineage`, and up to
    which effect of each signal it counts as the answer; of `latecomers` only while it has its
    time."""

    __pydantic_config__ = STRICT
    at: str
    log_end: str
    effects: dict[str, float]
    latecomers: dict[str, float] = field(default_factory=dict)
    lineage: str = ""


@dataclass(frozen=True)
class Behind:
    """The release that lacks documents, and since when it was seen to."""

    __pydantic_config__ = STRICT
    release_id: ReleaseId
    since: str


@dataclass(frozen=True)
class Sentinels:
    """The recall that a lineage's sentinels, which `queries` is the digest of, had at first."""

    __pydantic_config__ = STRICT
    lineage: Digest
    queries: Digest
    recall: float


@dataclass(frozen=True)
class Watched:
    """The record of a channel; `outcome` is the last one that was told."""

    __pydantic_config__ = STRICT
    format_version: Literal[1] = 1
    write_id: str = ""
    asked: AskedFor | None = None
    behind: Behind | None = None
    sentinels: Sentinels | None = field(default=None)
    outcome: str = "none"


def read_watched(store: Store, channel: str) -> tuple[Watched, bytes | None]:
    """The record, an empty one before the first look, and its bytes; raises IntegrityError."""
    data = store.read_record(f"{WATCHED}{channel}")
    if data is None:
        return Watched(), None
    return parse_strictly(data, _ADAPTER, what=f"what a watch remembers of {channel}"), data


def write_watched(store: Store, channel: str, was: bytes | None, now: Watched) -> None:
    """Replace the record that was read; raises Conflict where another watch wrote meanwhile."""
    written = replace(now, write_id=secrets.token_hex(16))
    store.swap_record(f"{WATCHED}{channel}", was, canonical_json(asdict(written)))


_ADAPTER = TypeAdapter(Watched)
