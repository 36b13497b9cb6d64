"""A synthetic corpus that changes: unit vectors in topics, and the updates that all sides replay.

Vectors are drawn in blocks that depend on the seed alone, so that every process reads the same
files: mapped into memory, they count in nobody's own memory.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from infra.bench.truth import nearest_in_each_state

K = 10
TOPICS = 200  # overlapping, so that nprobe 8 to 24 of 1,024 lists is what recall 0.95 takes
INTRINSIC = 20  # directions that text varies in, inside its topic
SPREAD, NOISE = 1.35, 0.1  # of a topic, against the distance between topics


@dataclass(frozen=True)
class Shape:
    """How large a corpus, and how it changes: 1 % an update, half of it replacements."""

    documents: int = 200_000
    dimension: int = 384
    updates: int = 100
    change: int = 2_000  # documents an update touches: 1/2 replaced, 1/4 deleted, 1/4 added
    queries: int = 300
    probes: int = 500  # other queries, to tune on
    seed: int = 20_260_105

    @property
    def replaced(self) -> int:
        return self.change // 2

    @property
    def moved(self) -> int:
        """Documents that an update deletes, and as many that it adds."""
        return self.change // 4


@dataclass(frozen=True)
class Change:
    """One update: documents with new vectors (replaced first, then added), and those that go."""

    replaced: np.ndarray  # (r,) document numbers
    added: np.ndarray  # (a,)
    deleted: np.ndarray  # (x,)
    vectors: np.ndarray  # (r + a, d)

    @property
    def written(self) -> np.ndarray:
        """(r + a,) the numbers of `vectors`."""
        return np.concatenate([self.replaced, self.added])


@dataclass(frozen=True)
class Corpus:
    """Documents are numbers, `doc-0000007` to the world; update u (from 1) leads to state u."""

    shape: Shape
    initial: np.ndarray  # (n, d) unit vectors of documents 0..n-1
    changed: np.ndarray  # (updates, r + a, d)
    numbers: np.ndarray  # (updates, r + a + x) replaced, added, deleted
    queries: np.ndarray  # (q, d)
    probes: np.ndarray  # (p, d)
    truth: np.ndarray  # (updates + 1, q, K) the nearest live documents by exact search

    def change(self, update: int) -> Change:
        """What update `update`, from 1, does."""
        r, a = self.shape.replaced, self.shape.moved
        row = np.asarray(self.numbers[update - 1])
        return Change(row[:r], row[r : r + a], row[r + a :], np.asarray(self.changed[update - 1]))

    def live(self, update: int) -> tuple[np.ndarray, np.ndarray]:
        """(numbers, (n, d) vectors) of every live document after `update` updates."""
        every = self.shape.documents + self.shape.moved * update
        where = np.full(every, -1)
        where[: self.shape.documents] = np.arange(self.shape.documents)
        per = self.changed.shape[1]
        for u in range(1, update + 1):
            change = self.change(u)
            where[change.written] = self.shape.documents + (u - 1) * per + np.arange(per)
            where[change.deleted] = -1
        numbers = np.flatnonzero(where >= 0)
        rows = where[numbers]
        vectors = np.empty((len(numbers), self.shape.dimension), dtype=np.float32)
        old = rows < self.shape.documents
        vectors[old] = self.initial[rows[old]]
        changed = self.changed.reshape(-1, self.shape.dimension)
        vectors[~old] = changed[rows[~old] - self.shape.documents]
        return numbers, vectors

    def recall(self, update: int, found: np.ndarray) -> float:
        """recall@10 of (q, K) found document numbers, -1 for none, in state `update`."""
        hits = (found[:, :, None] == self.truth[update][:, None, :]).any(axis=2)
        return float(hits.sum() / self.truth[update].size)


def doc_ids(numbers: np.ndarray) -> list[str]:
    """`doc-0000007` for each number."""
    return [f"doc-{number:07d}" for number in numbers.tolist()]


def prepare(folder: Path, shape: Shape) -> Corpus:
    """The corpus, written to the folder or found there."""
    told = folder / "shape.json"
    if not told.is_file() or json.loads(told.read_text()) != asdict(shape):
        folder.mkdir(parents=True, exist_ok=True)
        told.unlink(missing_ok=True)
        draw = _Source(shape)
        np.save(folder / "initial.npy", draw.vectors(shape.documents, part=0))
        numbers, vectors = zip(*_changes(shape, draw), strict=True)
        np.save(folder / "numbers.npy", np.stack(numbers))
        np.save(folder / "changed.npy", np.stack(vectors))
        np.save(folder / "queries.npy", draw.vectors(shape.queries, part=1))
        np.save(folder / "probes.npy", draw.vectors(shape.probes, part=2))
        np.save(folder / "truth.npy", np.zeros((0, 0, 0)))
        np.save(folder / "truth.npy", _truth(open_corpus(folder, shape)))
        told.write_text(json.dumps(asdict(shape)))
    return open_corpus(folder, shape)


def open_corpus(folder: Path, shape: Shape) -> Corpus:
    """The corpus that `prepare` wrote, mapped."""
    names = ("initial", "changed", "numbers", "queries", "probes", "truth")
    parts = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
    return Corpus(shape=shape, **parts)


class _Source:
    """Gaussian topics of unequal popularity in directions that all of them share."""

    def __init__(self, shape: Shape) -> None:
        generator = np.random.default_rng(shape.seed)
        scale = np.sqrt(shape.dimension)
        size = (TOPICS, shape.dimension)
        self._centres = (generator.standard_normal(size) / scale).astype(np.float32)
        size = (INTRINSIC, shape.dimension)
        scale = np.sqrt(shape.dimension * INTRINSIC)
        self._basis = (SPREAD * generator.standard_normal(size) / scale).astype(np.float32)
        weights = np.arange(1, TOPICS + 1) ** -0.5
        self._weights = weights / weights.sum()
        self._shape = shape

    def vectors(self, count: int, *, part: int) -> np.ndarray:
        """(count, d) unit rows; every `part` is another draw of the same topics."""
        generator = np.random.default_rng([self._shape.seed, part])
        topics = generator.choice(TOPICS, count, p=self._weights)
        inside = generator.standard_normal((count, INTRINSIC), dtype=np.float32)
        rows = self._centres[topics] + inside @ self._basis
        noise = generator.standard_normal(rows.shape, dtype=np.float32)
        rows += NOISE / np.sqrt(np.float32(self._shape.dimension)) * noise
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows, dtype=np.float32)


def _changes(shape: Shape, draw: _Source) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(document numbers, vectors) per update; a replaced document is about another topic then."""
    live = np.arange(shape.documents)
    for update in range(1, shape.updates + 1):
        generator = np.random.default_rng([shape.seed, 1_000 + update])
        picked = generator.choice(live, shape.replaced + shape.moved, replace=False)
        replaced, deleted = picked[: shape.replaced], picked[shape.replaced :]
        added = shape.documents + (update - 1) * shape.moved + np.arange(shape.moved)
        live = np.concatenate([np.setdiff1d(live, deleted), added])
        written = shape.replaced + shape.moved
        vectors = draw.vectors(written, part=1_000_000 + update)
        yield np.concatenate([replaced, added, deleted]), vectors


def _truth(corpus: Corpus) -> np.ndarray:
    """(updates + 1, q, K) the nearest documents in each state."""
    changes = (corpus.change(update) for update in range(1, corpus.shape.updates + 1))
    states = nearest_in_each_state(
        np.asarray(corpus.queries),
        np.asarray(corpus.initial),
        ((change.written, change.vectors, change.deleted) for change in changes),
        k=K,
    )
    return np.stack(list(states))
