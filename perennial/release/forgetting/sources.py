"""Stored segments, fetched once, and which of their rows belong to some documents."""

import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from perennial.index.exact import chunks_of, flat_vectors, stored_vectors
from perennial.index.lists import list_of
from perennial.index.segment import Rows, Segment, read_rows
from perennial.index.template import read_template
from perennial.release.manifests.documents import dead_rows, segment_rows
from perennial.release.manifests.manifest import Manifest
from perennial.release.manifests.parts import SegmentPart, StoredFile, WaitingPart
from perennial.release.stores.store import Store

_LEAST_CODE_BYTES = 16  # shorter codes are found by chance
_HEAD = 8  # bytes compared at once, before all are


@dataclass(frozen=True)
class Found:
    """Rows of the documents in one segment: their text digests and vectors, decoded where the codes
    are lossy, and the bytes that the file keeps of each vector, none where they tell nothing."""

    text_digests: frozenset[str]
    vectors: np.ndarray  # (h, d) float32
    stored: tuple[bytes, ...]


@dataclass
class Sources:
    """The segments of a store, seen as rows of `doc_ids` and others; `folder` takes the files."""

    store: Store
    doc_ids: Collection[str]
    folder: Path
    _hidden: dict[str, np.ndarray] = field(default_factory=dict)
    _found: dict[Path, Found] = field(default_factory=dict)

    def holds(self, manifest: Manifest) -> bool:
        """True where a segment of the release has a row of the documents, living or dead."""
        index = manifest.index
        return any(self.hidden(each).any() for each in index.segments) or any(
            self.hidden(each).any() for each in index.waiting
        )

    def hidden(self, segment: SegmentPart | WaitingPart) -> np.ndarray:
        """(rows,) bool: which are of the documents."""
        key = segment.ids.digest
        if key not in self._hidden:
            ids = segment_rows(self.store, segment)["doc_id"]
            hidden = pc.is_in(ids, value_set=pa.array(sorted(self.doc_ids), pa.string()))
            self._hidden[key] = hidden.combine_chunks().to_numpy(zero_copy_only=False)
        return self._hidden[key]

    def kept_by_others(
        self, manifest: Manifest, segment: SegmentPart, sought: frozenset[bytes]
    ) -> frozenset[bytes]:
        """Which of the bytes the file also keeps for rows that are not of the documents."""
        rows, hidden = self.rows(manifest, segment), self.hidden(segment)
        shared = frozenset[bytes]()
        for numbers, codes in _codes(rows):
            shared |= _among(codes[~hidden[numbers]], sought - shared)
        if not hidden.any():  # a store is larger than the disk of temporary files
            shutil.rmtree(self.files(segment))
        return shared

    def dead(self, segment: SegmentPart) -> np.ndarray:
        """(rows,) bool: which have tombstones."""
        dead = np.zeros(segment.rows, dtype=bool)
        dead[dead_rows(self.store, segment)] = True
        return dead

    def found(self, manifest: Manifest, segment: SegmentPart) -> Found:
        """The documents' rows of a segment, read once."""
        files = self.files(segment)
        if files not in self._found:
            rows, hidden = self.rows(manifest, segment), self.hidden(segment)
            table = segment_rows(self.store, segment).filter(pa.array(hidden))
            chunks = [part for _, part in stored_vectors(Segment(rows, ~hidden))]
            empty = np.empty((0, rows.vectors.d), dtype=np.float32)
            vectors = np.array(np.concatenate([empty, *chunks]), dtype=np.float32)
            digests = frozenset(table["text_digest"].to_pylist())
            codes = [code for numbers, part in _codes(rows) for code in part[hidden[numbers]]]
            stored = tuple(_telling(bytes(each)) for each in codes) or (b"",) * len(vectors)
            self._found[files] = Found(digests, vectors, stored)
        return self._found[files]

    def waiting_digests(self, manifest: Manifest) -> frozenset[str]:
        """The text digests of the documents that have no vectors yet."""
        tables = [
            segment_rows(self.store, each).filter(pa.array(self.hidden(each)))
            for each in manifest.index.waiting
        ]
        return frozenset(digest for table in tables for digest in table["text_digest"].to_pylist())

    def rows(self, manifest: Manifest, segment: SegmentPart) -> Rows:
        """The rows of a segment, read with the quantizer of the release."""
        return read_rows(
            self.files(segment),
            vectors=segment.vectors.path,
            ids=segment.ids.path,
            template=self.template(manifest),
            mmap=True,
        )

    def files(self, segment: SegmentPart) -> Path:
        """A folder with the segment's files, its tombstones apart."""
        return self._fetched(segment.vectors, segment.ids, segment.lexical)

    def words(self, waiting: WaitingPart) -> Path:
        """A folder with the two files of documents that have no vectors yet."""
        return self._fetched(waiting.ids, waiting.lexical)

    def _fetched(self, *files: StoredFile | None) -> Path:
        there = [file for file in files if file is not None]
        folder = self.folder / "-".join(file.digest[7:23] for file in there)
        for file in there:
            if not (folder / file.path).exists():
                self.store.fetch(file.digest, folder / file.path)
        return folder

    def template(self, manifest: Manifest) -> tuple[faiss.IndexIVF, str] | None:
        """The quantizer that the segments of the release share, with its fingerprint."""
        file = manifest.index.quantizer
        if file is None:
            return None
        path = self.folder / file.digest[7:23] / file.path
        if not path.exists():
            self.store.fetch(file.digest, path)
        return read_template(path, dimension=manifest.index_dimension)


def _codes(rows: Rows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(n,) row numbers and the (n, w) bytes that the file keeps of them, in chunks; none where
    they are too few to tell anything."""
    index = rows.vectors
    if not isinstance(index, faiss.IndexIVF):
        for numbers, vectors in chunks_of(flat_vectors(index)):
            yield numbers, np.ascontiguousarray(vectors).view(np.uint8)
    elif index.code_size >= _LEAST_CODE_BYTES:
        for number in range(index.nlist):
            yield list_of(index, number)


def _telling(code: bytes) -> bytes:
    """The bytes, or none where they are all the same: zeros stand in any file."""
    return code if len(set(code)) > 1 else b""


def _among(codes: np.ndarray, sought: frozenset[bytes]) -> frozenset[bytes]:
    """Which of the byte strings some row of the (n, w) bytes is."""
    width = codes.shape[1]
    heads = [each[:_HEAD] for each in sought if len(each) == width]
    if not heads or not len(codes):
        return frozenset()
    wanted = np.frombuffer(b"".join(heads), dtype=np.uint64)
    first = np.ascontiguousarray(codes[:, :_HEAD]).view(np.uint64)[:, 0]
    return frozenset(map(bytes, codes[np.isin(first, wanted)])) & sought
