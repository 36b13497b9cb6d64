"""What the newest accepted log of a channel looked like: later logs are compared with it.

Only numbers are kept, no text of a query and no id of anything, so that nobody can be found in it
and `forget` has nothing to take out.
"""

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import TypeAdapter

from perennial.errors import Conflict
from perennial.release.manifests.canonical import canonical_json, parse_strictly, parse_utc
from perennial.release.manifests.parts import STRICT, Digest
from perennial.release.stores.store import Store

ACCEPTED = "accepted/"
_TEXTS = "top_queries"
_TRIES = 20


@dataclass(frozen=True)
class Profiled:
    """A snapshot's digest and its profile as validate wrote it, without the texts of queries."""

    __pydantic_config__ = STRICT
    snapshot: Digest
    profile: dict[str, Any]


@dataclass(frozen=True)
class Accepted:
    """The newest accepted log, by the end of its window, and what it was itself compared with.

    The latter is the reference of whoever takes the same log again: equal input, equal snapshot.
    """

    __pydantic_config__ = STRICT
    format_version: Literal[1]
    newest: Profiled
    log: Digest
    end: str
    before: Profiled | None
    write_id: str

    def to_bytes(self) -> bytes:
        """The canonical JSON that is stored."""
        return canonical_json(asdict(self))


def read_accepted(store: Store, channel: str) -> Accepted | None:
    """The record of a channel, None before its first accepted log; raises IntegrityError."""
    return _parsed(store.read_record(f"{ACCEPTED}{channel}"), channel)


def reference_for(store: Store, channel: str, *, log: str) -> Profiled | None:
    """What a log is compared with: the newest accepted one that is another; None without one."""
    found = read_accepted(store, channel)
    if found is None:
        return None
    return found.before if found.log == log else found.newest


def accept(
    store: Store,
    channel: str,
    *,
    snapshot: str,
    profile: Mapping[str, Any],
    log: str,
    end: datetime,
    before: Profiled | None,
) -> bool:
    """Remember an accepted log; False, and nothing is written, where a later one is remembered.

    `end` is its window's, `before` what it was compared with. Raises Conflict where others win
    every time, IntegrityError where the record cannot be read.
    """
    kept = {name: value for name, value in profile.items() if name != _TEXTS}
    ours = Accepted(
        format_version=1,
        newest=Profiled(snapshot, kept),
        log=log,
        end=end.isoformat().replace("+00:00", "Z"),
        before=before,
        write_id=secrets.token_hex(16),
    )
    name = f"{ACCEPTED}{channel}"
    for _ in range(_TRIES):
        data = store.read_record(name)
        found = _parsed(data, channel)
        if found is not None:
            if parse_utc(found.end) > end:
                return False
            if (found.newest, found.log, found.before) == (ours.newest, log, before):
                return True
        try:
            store.swap_record(name, data, ours.to_bytes())
        except Conflict:
            continue
        return True
    raise Conflict(f"record {name} was written by others {_TRIES} times meanwhile; try again later")


def _parsed(data: bytes | None, channel: str) -> Accepted | None:
    if data is None:
        return None
    return parse_strictly(data, _ADAPTER, what=f"the record of the last accepted log of {channel}")


_ADAPTER = TypeAdapter(Accepted)
