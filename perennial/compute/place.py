"""Where the heavy parts of a command are computed, as compute in params.yaml says."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np

from perennial.compute.cluster import RayCluster, joined
from perennial.compute.crew import Crew
from perennial.compute.work import Embed, Encode, Search, Work
from perennial.index.codes import RowCodes, put_together, shards_of
from perennial.index.exact import CHUNK_ROWS, better_of, chunks_of, nothing_found
from perennial.index.template import FILE_NAME
from perennial.model.vectors import Encoding

Neighbours = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]


class Compute(Protocol):
    """Answers None where the caller's own process is the place."""

    def encoding(self, digest: str, folder: Path, *, batch_size: int) -> Encoding | None:
        """Where texts are embedded by the encoder with a digest, which a folder holds by then."""

    def neighbours(self, vectors: np.ndarray, *, is_narrow: bool) -> Neighbours | None:
        """Where queries' nearest of (n, d) vectors are sought."""

    def row_codes(self) -> RowCodes | None:
        """Where a segment's rows are assigned to lists and encoded."""


class Here:
    """In this process."""

    def encoding(self, digest: str, folder: Path, *, batch_size: int) -> Encoding | None:
        return None

    def neighbours(self, vectors: np.ndarray, *, is_narrow: bool) -> Neighbours | None:
        return None

    def row_codes(self) -> RowCodes | None:
        return None


HERE = Here()


class OnRay:
    """On the workers of a Ray cluster, which is joined when the first shard comes."""

    def __init__(
        self,
        stack: ExitStack,
        address: str | None,
        *,
        cpus: int,
        ahead: int,
        patience_seconds: float,
    ) -> None:
        self._stack, self._address, self._cpus = stack, address, cpus
        self._ahead, self._patience_seconds = ahead, patience_seconds
        self._is_joined = False
        self._work: Work | None = None
        self._crew: Crew | None = None
        self._cluster: RayCluster | None = None

    def encoding(self, digest: str, folder: Path, *, batch_size: int) -> Encoding | None:
        work = Embed(digest, batch_size)

        def encode(shards: Iterable[list[str]]) -> Iterator[tuple[int, np.ndarray]]:
            coming = iter(shards)
            for first in coming:  # no cluster for nothing
                crew, _ = self._crew_for(work, _files_of(folder))
                yield from crew.answers((texts,) for texts in chain([first], coming))

        return encode

    def neighbours(self, vectors: np.ndarray, *, is_narrow: bool) -> Neighbours | None:
        def search(queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
            crew, cluster = self._crew_for(Search(is_narrow), {})
            asked = cluster.share(queries)
            shards = ((asked, part, k) for _, part in chunks_of(vectors))
            return in_order(crew.answers(shards), queries=len(queries), k=k)

        # Of one shard there is nothing to share out.
        return search if len(vectors) > CHUNK_ROWS else None

    def row_codes(self) -> RowCodes | None:
        def encode(file: Path, digest: str, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            work = Encode(digest, vectors.shape[1])
            crew, _ = self._crew_for(work, {FILE_NAME: file})
            shards = shards_of(len(vectors))
            return put_together(crew.answers((vectors[rows],) for rows in shards), shards)

        return encode

    def _crew_for(self, work: Work, files: Mapping[str, Path]) -> tuple[Crew, RayCluster]:
        """The one crew there is: another's workers leave first, whose places it needs."""
        if not self._is_joined:
            self._stack.enter_context(joined(self._address))
            self._stack.callback(self.leave)  # before the cluster is left
            self._is_joined = True
        if self._crew is None or self._cluster is None or self._work != work:
            self.leave()
            self._work, self._cluster = work, RayCluster(work, files, cpus=self._cpus)
            self._crew = Crew(
                self._cluster,
                ahead=self._ahead,
                patience_seconds=self._patience_seconds,
            )
        return self._crew, self._cluster

    def leave(self) -> None:
        """Dismiss the workers."""
        if self._crew is not None:
            self._crew.leave()
            self._crew = self._cluster = None


@contextmanager
def open_compute(
    *, backend: str, address: str | None, cpus: int, ahead: int, patience_seconds: float
) -> Iterator[Compute]:
    """`local`, or `ray` at an address, or without one on this machine; `cpus` are a worker's where
    there is no GPU, `ahead` the shards that wait at each. A cluster is left when the body ends."""
    if backend == "local":
        yield HERE
        return
    with ExitStack() as stack:
        yield OnRay(stack, address, cpus=cpus, ahead=ahead, patience_seconds=patience_seconds)


def _files_of(folder: Path) -> dict[str, Path]:
    return {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}


def in_order(
    answers: Iterator[tuple[int, tuple[np.ndarray, np.ndarray]]], *, queries: int, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """What was found in each chunk of rows, in any order, to the (q, k) best of all; as a search
    that goes from chunk to chunk finds them, ties and all."""
    waiting: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    best, after = nothing_found(queries, k), 0
    for number, (near, at) in answers:
        waiting[number] = near.copy(), at.copy()  # a view would keep its place in the object store
        while after in waiting:
            scores, rows = waiting.pop(after)
            best = better_of(best, (scores, np.where(rows < 0, -1, rows + after * CHUNK_ROWS)), k)
            after += 1
    return best
