"""The audit log: who did what, when and why, where no channel's history says it, or soon none will:
a history is short, and what people did is kept before it is thinned out of it.

One record each, which no sweep deletes and nobody writes again; with a key it is signed.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from pydantic import TypeAdapter

from perennial.errors import Conflict, IntegrityError
from perennial.release.channels.channel import Channel
from perennial.release.channels.history import REINDEX, Move
from perennial.release.manifests.canonical import (
    canonical_json,
    check_signature,
    parse_strictly,
    sign,
    utc_text,
)
from perennial.release.manifests.parts import STRICT
from perennial.release.stores.store import Store

AUDIT = "audit/"
MOVED = "moved a channel"
_ID = 12  # hex digits


@dataclass(frozen=True)
class Deed:
    """What somebody did, to what; `about` has the numbers, and nothing that names a person."""

    __pydantic_config__ = STRICT
    format_version: Literal[1]
    at: str
    who: str
    what: str
    why: str
    about: dict[str, Any]
    write_id: str
    signature: str | None = None

    def to_bytes(self) -> bytes:
        """The canonical JSON that is stored."""
        return canonical_json(asdict(self))


def write_deed(
    store: Store,
    *,
    what: str,
    why: str,
    who: str,
    now: datetime,
    about: Mapping[str, Any],
    key: bytes | None,
) -> Deed:
    """Keep the record for good, before or after what it tells of."""
    deed = Deed(1, utc_text(now), who, what, why, dict(about), secrets.token_hex(16))
    return _keep(store, f"{now:%Y%m%d-%H%M%S}-{deed.write_id[:_ID]}", deed, key)


def swap_channel(store: Store, current: Channel | None, new: Channel, *, key: bytes | None) -> None:
    """Replace a channel by its next generation, as compare_and_swap does; what its history lets go
    of is in the audit log by then, unless it is a reindex: those are 96 a day."""
    kept = set(new.history)
    for move in () if current is None else current.history:
        if move not in kept and move.who != REINDEX:
            _keep_move(store, new.name, move, key)
    store.compare_and_swap(new.name, current, new)


def moved(channel_name: str, move: Move) -> dict[str, Any]:
    """What a record says of a move; a move of the history says the same."""
    about = {"channel": channel_name, "from": move.from_, "to": move.to, "lineage": move.lineage}
    return about | ({"forced": move.forced} if move.forced else {})


def _keep_move(store: Store, channel_name: str, move: Move, key: bytes | None) -> None:
    about = moved(channel_name, move)
    said = json.dumps([move.at, move.who, move.why, about], sort_keys=True).encode()
    name = "".join(each for each in move.at if each.isdigit())[:14]
    name += f"-{hashlib.sha256(said).hexdigest()[:_ID]}"
    if store.read_record(f"{AUDIT}{name}") is None:
        deed = Deed(1, move.at, move.who, MOVED, move.why, about, secrets.token_hex(16))
        _keep(store, name, deed, key)


def _keep(store: Store, name: str, deed: Deed, key: bytes | None) -> Deed:
    if key is not None:
        deed = replace(deed, signature=sign(deed.to_bytes(), key))
    try:
        store.swap_record(f"{AUDIT}{name}", None, deed.to_bytes())
    except Conflict:  # whoever else moves the channel has kept it
        if deed.what != MOVED:
            raise
    return deed


@dataclass(frozen=True)
class Records:
    """Every deed, the oldest first, and why, with a key, it is not to be believed; and the records
    that cannot be read, each with why."""

    deeds: list[tuple[Deed, IntegrityError | None]]
    malformed: list[IntegrityError]


def read_deeds(store: Store, *, key: bytes | None) -> list[Deed]:
    """Every record, the oldest first; raises IntegrityError, with a key also for a wrong one."""
    found = doubted_deeds(store, key=key)
    for _, doubt in found:
        if doubt is not None:
            raise doubt
    return [deed for deed, _ in found]


def doubted_deeds(store: Store, *, key: bytes | None) -> list[tuple[Deed, IntegrityError | None]]:
    """Every record, the oldest first, and why, with a key, it is not to be believed; raises
    IntegrityError where one cannot be read."""
    found = read_records(store, key=key)
    if found.malformed:
        raise found.malformed[0]
    return found.deeds


def read_records(store: Store, *, key: bytes | None) -> Records:
    """What can be read of the audit log, and what cannot."""
    found, malformed = list[tuple[Deed, IntegrityError | None]](), list[IntegrityError]()
    for name in store.record_names():
        data = store.read_record(name) if name.startswith(AUDIT) else None
        if data is None:
            continue
        try:
            deed = parse_strictly(data, _ADAPTER, what=f"the audit record {name}")
        except IntegrityError as error:
            malformed.append(error)
            continue
        found.append((deed, None if key is None else _doubt(deed, key, name)))
    return Records(sorted(found, key=lambda each: (each[0].at, each[0].write_id)), malformed)


def _doubt(deed: Deed, key: bytes, name: str) -> IntegrityError | None:
    payload = replace(deed, signature=None).to_bytes()
    try:
        check_signature(payload, deed.signature, key, what=f"the audit record {name}")
    except IntegrityError as error:
        return error
    return None


_ADAPTER = TypeAdapter(Deed)
