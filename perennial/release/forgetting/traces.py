"""What a forgotten document leaves behind in stored bytes, and looking for it in every byte."""

import json
import mmap
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perennial.index.lexical.file import MAGIC
from perennial.index.lexical.words import name_hashes
from perennial.release.stores.store import Progress, Store, silent

_PART_OF_A_NAME = rb"[A-Za-z0-9_.\-]"
_PARQUET = b"PAR1"
_LEAST_NAME_BYTES = 6  # shorter ids stand in any binary file by chance


@dataclass(frozen=True)
class Traces:
    """The ids of the documents, and their vectors as the bytes that an index stores; postings name
    documents by hashes of the ids."""

    doc_ids: tuple[str, ...]
    vectors: frozenset[bytes]

    def search(self) -> Callable[[Path], list[str]]:
        """A function from a file to what is found in it: "doc_id", "vector", both or nothing; a
        table that nobody can read may hold anything, and is told as "unreadable"."""
        quoted = [json.dumps(each).encode() for each in self.doc_ids]
        quoted += [b'"' + each.encode() + b'"' for each in self.doc_ids]
        names = [each.encode() for each in self.doc_ids if len(each.encode()) >= _LEAST_NAME_BYTES]
        # An id inside a longer one is another's.
        around = (rb"(?<!" + _PART_OF_A_NAME + rb")(?:", rb")(?!" + _PART_OF_A_NAME + rb")")
        anywhere = re.compile(around[0] + b"|".join(map(re.escape, names)) + around[1])
        hidden = pa.array(self.doc_ids, pa.string())
        hashes = [each.tobytes() for each in name_hashes(list(self.doc_ids))]

        def find(path: Path) -> list[str]:
            if not path.stat().st_size:
                return []
            with path.open("rb") as stream:
                data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            with data:
                found = []
                if data[: len(MAGIC)] == MAGIC:
                    is_named = any(data.find(each) >= 0 for each in hashes)
                elif data[:1] == b"{":
                    is_named = any(data.find(each) >= 0 for each in quoted)
                else:
                    is_named = bool(names) and anywhere.search(data) is not None
                try:
                    if is_named or (data[:4] == _PARQUET and _has_text(path, hidden)):
                        found.append("doc_id")
                except (pa.ArrowException, OSError):
                    found.append("unreadable")
                if any(data.find(vector) >= 0 for vector in self.vectors):
                    found.append("vector")
                return found

        return find


def scan_store(
    store: Store, traces: Traces, *, progress: Progress = silent
) -> dict[str, list[str]]:
    """What is found where, in every byte that the store keeps: objects, manifests, channels, notes
    and records; an object is called by its digest."""
    find, hits = traces.search(), {}
    with tempfile.TemporaryDirectory(prefix="perennial-scan-") as folder:
        path = Path(folder) / "object"
        for each in store.objects():
            path.unlink(missing_ok=True)
            store.fetch(each.digest, path)
            if found := find(path):
                hits[each.digest] = found
            progress(each.bytes)
        path.unlink(missing_ok=True)
        for name, data in _small_files(store):
            path.write_bytes(data)
            if found := find(path):
                hits[name] = found
    return hits


def scan_file_of(store: Store, traces: Traces) -> Callable[[str], list[str]]:
    """A function from an object's digest to what is found in it."""
    find = traces.search()

    def find_in(digest: str) -> list[str]:
        with tempfile.TemporaryDirectory(prefix="perennial-scan-") as folder:
            store.fetch(digest, Path(folder) / "object")
            return find(Path(folder) / "object")

    return find_in


def scan_folder(folder: Path, traces: Traces) -> dict[Path, list[str]]:
    """The same for every file below a folder."""
    find = traces.search()
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path: found for path in files if (found := find(path))}


def _small_files(store: Store) -> Iterator[tuple[str, bytes]]:
    for release_id in store.release_ids():
        yield f"release {release_id}", store.manifest_bytes(release_id)
    for name in store.channel_names():
        channel = store.read_channel(name)
        yield f"channel {name}", b"" if channel is None else channel.to_bytes()
    for note in store.pending():
        yield f"pending note of {note.release_id}", note.to_bytes()
    for name in store.record_names():
        yield f"record {name}", store.read_record(name) or b""


def _has_text(path: Path, hidden: pa.Array) -> bool:
    """True where a column of texts, which parquet packs, holds one of the hidden values."""
    with pq.ParquetFile(path, memory_map=True) as stream:
        return any(
            pc.any(pc.is_in(texts, hidden)).as_py()
            for batch in stream.iter_batches()
            for column in batch.columns
            for texts in _texts(column)
        )


def _texts(column: pa.Array) -> Iterator[pa.Array]:
    """The texts of a column, also those inside of its lists and structs."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        yield from _texts(column.dictionary)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield column.cast(pa.string())
    elif pa.types.is_struct(kind):
        for part in column.flatten():
            yield from _texts(part)
    elif pa.types.is_map(kind):
        yield from _texts(column.keys)
        yield from _texts(column.items)
    elif (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    ):
        yield from _texts(column.flatten())
