"""What one session is called, and what it said, in logs and in the snapshots made of them."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perennial.data.redaction import redact
from perennial.errors import BadInput
from perennial.serving.log.spool import batches
from perennial.verbs.freezing.sessions import pseudonym

_HASH = re.compile(r"[0-9a-f]{32}")
_NUMBERED = re.compile(r"session-\d{7,}")
_ASKED = ("session_id", "request_id", "query")
_LABELS = ("judgements.parquet", "truth.parquet")


@dataclass(frozen=True)
class Session:
    """Its ids in live logs and in snapshots, its requests, and the queries that only it asked, as
    they were typed and as they are redacted; and the `snapshots`, by digest, that it was in."""

    raw: frozenset[str] = frozenset()
    hashed: frozenset[str] = frozenset()
    requests: frozenset[str] = frozenset()
    queries: frozenset[str] = frozenset()
    snapshots: frozenset[str] = frozenset()

    def __or__(self, other: "Session") -> "Session":
        return Session(**{name: vars(self)[name] | vars(other)[name] for name in vars(self)})

    @property
    def ids(self) -> frozenset[str]:
        """All that names it or its requests."""
        return self.raw | self.hashed | self.requests


def find_session(asked: str, *, source: Path, frozen: Iterable[Path], key: bytes | None) -> Session:
    """The session that a live log calls `asked`, or snapshots under the key do.

    Without the key a hash is found by the requests that a snapshot below one of the `frozen`
    folders has of it. Raises BadInput for a number, which each snapshot gives anew.
    """
    if not asked.strip():
        raise BadInput("the session is empty; give --session and the id of the log, or its hash")
    folders = tuple(frozen)
    given = {asked} if _HASH.fullmatch(asked) else set[str]()
    hashed = given | ({pseudonym(asked, key)} if key is not None else set())

    def is_it(session_id: str) -> bool:
        return session_id == asked or (key is not None and pseudonym(session_id, key) in given)

    requests = _requests(_live(source), is_it)
    if not requests and _NUMBERED.fullmatch(asked):
        raise BadInput(
            f"{asked} is a number, and each snapshot numbers its sessions anew; give the id that "
            "the live log has"
        )
    requests |= _requests(_frozen(folders), hashed.__contains__)
    raw = {asked} if asked not in given else set[str]()
    raw |= _matching(_live(source), "session_id", requests)
    if key is not None:
        hashed |= {pseudonym(each, key) for each in raw}
    said = _matching(_every(source, folders), "query", requests)
    said |= {redact(each)[0] for each in said}
    queries = _alone(_every(source, folders), said, requests, source)
    return Session(frozenset(raw), frozenset(hashed), frozenset(requests), frozenset(queries))


def spools(source: Path) -> list[Path]:
    """The spools of services, alive or killed."""
    found = sorted((source / ".spool").glob("*.lock"))
    return [path.with_name(path.name.removesuffix(".lock")) for path in found]


def text(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The column as plain strings."""
    plain = column.cast(pa.string())
    return plain.combine_chunks() if isinstance(plain, pa.ChunkedArray) else plain


def is_among(column: pa.Array, values: Iterable[str]) -> pa.Array:
    """(n,) bool: which of the texts are among the values; null is not."""
    return pc.is_in(text(column), value_set=pa.array(sorted(values), pa.string()))


def _live(source: Path) -> Iterator[pa.RecordBatch]:
    yield from _asked_in(source)
    for spool in spools(source):
        yield from (batch.select(list(_ASKED)) for batch in batches(spool, "requests"))


def _frozen(folders: Iterable[Path]) -> Iterator[pa.RecordBatch]:
    for folder in folders:
        yield from _asked_in(folder)


def _every(source: Path, folders: Iterable[Path]) -> Iterator[pa.RecordBatch]:
    yield from _live(source)
    yield from _frozen(folders)


def _asked_in(folder: Path) -> Iterator[pa.RecordBatch]:
    """The rows of every table of requests below the folder; what nobody can read is told later."""
    walked = os.walk(folder)  # which passes over what somebody removes meanwhile
    for path in sorted(Path(place, name) for place, _, names in walked for name in names):
        if path.suffix != ".parquet":
            continue
        try:
            with pq.ParquetFile(path) as stream:
                if set(_ASKED) <= set(stream.schema_arrow.names):
                    yield from stream.iter_batches(columns=list(_ASKED))
        except (pa.ArrowException, OSError):
            continue


def _requests(rows: Iterable[pa.RecordBatch], is_it: Callable[[str], bool]) -> set[str]:
    found = set[str]()
    for batch in rows:
        names = text(batch["session_id"])
        ours = [each for each in pc.unique(names).to_pylist() if each is not None and is_it(each)]
        if ours:
            found |= set(text(batch["request_id"]).filter(is_among(names, ours)).to_pylist())
    return found - {None}


def _matching(rows: Iterable[pa.RecordBatch], column: str, requests: set[str]) -> set[str]:
    found = set[str]()
    for batch in rows if requests else ():
        found |= set(
            text(batch[column]).filter(is_among(batch["request_id"], requests)).to_pylist()
        )
    return found - {None}


def _alone(
    rows: Iterable[pa.RecordBatch], said: set[str], requests: set[str], source: Path
) -> set[str]:
    """Of what it said, what nobody else did: neither another session, nor the labels, nor, where it
    is one word, the catalogue."""
    alone = set(said)
    for batch in rows if alone else ():
        others = pc.invert(is_among(batch["request_id"], requests))
        asked = text(batch["query"]).filter(others)
        alone -= set(asked.filter(is_among(asked, alone)).to_pylist())
    for name in _LABELS:
        if (source / name).is_file() and alone:
            labels = text(pq.read_table(source / name, columns=["query"])["query"])
            alone -= set(labels.filter(is_among(labels, alone)).to_pylist())
    words = {each for each in alone if not re.search(r"\s", each)}
    if words and (source / "catalogue.parquet").is_file():
        table = pq.read_table(source / "catalogue.parquet", columns=["doc_id", "title", "text"])
        for word in words:
            if any(pc.any(pc.match_substring(text(each), word)).as_py() for each in table.columns):
                alone.discard(word)
    return {each for each in alone if each.strip()}
