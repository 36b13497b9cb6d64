"""Which release took the place of one that was rewritten without a forgotten document."""

import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import TypeAdapter

from perennial.errors import Refused
from perennial.release.manifests.canonical import canonical_json, parse_strictly
from perennial.release.manifests.parts import STRICT, Digest, ReleaseId
from perennial.release.stores.keys import RELEASE_ID
from perennial.release.stores.store import Store

FORGOTTEN = "forgotten/"


@dataclass(frozen=True)
class Forgotten:
    """The map from an old release to its successor; no document is named here.

    `objects` are those that only the old one named: a killed forgetting must still find them when
    its manifest is gone, because waste does not tell whose vectors it holds.
    """

    __pydantic_config__ = STRICT
    format_version: Literal[1]
    release_id: ReleaseId
    successor: ReleaseId
    at: str
    write_id: str
    objects: tuple[Digest, ...] = ()

    def to_bytes(self) -> bytes:
        """The canonical JSON that is stored."""
        return canonical_json(asdict(self))


def read_forgotten(store: Store, release_id: str) -> Forgotten | None:
    """The record of a release that was rewritten, None where it was not; raises IntegrityError."""
    if RELEASE_ID.fullmatch(release_id) is None:
        return None  # whoever looks for its manifest is told
    data = store.read_record(f"{FORGOTTEN}{release_id}")
    if data is None:
        return None
    return parse_strictly(data, _ADAPTER, what=f"the record that {release_id} was rewritten")


def write_forgotten(
    store: Store, release_id: str, successor: str, *, at: str, objects: Iterable[str] = ()
) -> None:
    """Remember the successor and what only the old release named; a record that says so already
    stays as it is."""
    name = f"{FORGOTTEN}{release_id}"
    there = store.read_record(name)
    if there is not None and parse_strictly(there, _ADAPTER, what=name).successor == successor:
        return
    left = tuple(sorted(objects))
    record = Forgotten(1, release_id, successor, at, secrets.token_hex(16), left)
    store.swap_record(name, there, record.to_bytes())


def left_behind(store: Store) -> set[str]:
    """The objects that releases named which were rewritten, and their successors do not."""
    names = (n.removeprefix(FORGOTTEN) for n in store.record_names() if n.startswith(FORGOTTEN))
    records = (read_forgotten(store, name) for name in names)
    return {digest for record in records if record is not None for digest in record.objects}


def refuse_forgotten(store: Store, release_id: str) -> None:
    """Raise Refused where publishing the release would bring a forgotten document back."""
    record = read_forgotten(store, release_id)
    if record is not None:
        raise Refused(
            f"{release_id} was rewritten as {record.successor}, because a document of it was "
            "forgotten, and is not published again; start anew: python -m flows.retrain --fresh"
        )


def today(store: Store, release_id: str) -> str:
    """The release that stands for this one now: itself, or its last successor."""
    seen = {release_id}
    while (record := read_forgotten(store, release_id)) is not None:
        release_id = record.successor
        if release_id in seen:
            break
        seen.add(release_id)
    return release_id


_ADAPTER = TypeAdapter(Forgotten)
