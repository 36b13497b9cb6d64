"""The vector cache: what an encoder said of a text, kept in one sqlite file per encoder.

A text is embedded once, whoever asks; a run that is killed loses at most the chunk it was at.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np

from perennial.errors import BadInput, EncoderMismatch
from perennial.model.encoder import Encoder
from perennial.model.vector_file import DamagedFile, VectorFile
from perennial.model.vector_folder import file_of, remove_damaged, shared

# Texts embedded between two commits. Part of what a vector is: a transformer pads by chunk.
CHUNK = 1024
T = TypeVar("T")
# Shards of texts to (which one, its (n, d) vectors), in any order and few of them ahead.
Encoding = Callable[[Iterable[list[str]]], Iterator[tuple[int, np.ndarray]]]


def _silent(_: object) -> None:
    """Nobody listens."""


class VectorCache:
    """Vectors of one encoder by their text's digest; several processes may use one at once.

    A row that was damaged on the disk is embedded again, a file that was is begun anew; `say` is
    told. Opening raises PlaceUnusable, and Refused where another process uses a damaged file.
    """

    def __init__(
        self, lock: int, path: Path, encoder_digest: str, dimension: int, say: Callable[[str], None]
    ) -> None:
        self._lock, self._path, self._say = lock, path, say
        self._encoder_digest, self._dimension = encoder_digest, dimension
        try:
            self._file = self._open_file()
        except DamagedFile as error:
            self._begin_anew(error)

    @classmethod
    @contextmanager
    def open(
        cls,
        folder: Path,
        *,
        encoder_digest: str,
        dimension: int,
        say: Callable[[str], None] = _silent,
    ) -> Iterator["VectorCache"]:
        """The cache of an encoder in `folder`, for as long as the body runs."""
        with shared(folder) as lock:
            cache = cls(lock, file_of(folder, encoder_digest), encoder_digest, dimension, say)
            try:
                yield cache
            finally:
                cache._file.close()

    def __len__(self) -> int:
        return self._surely(lambda file: file.count())

    def embed(
        self,
        encoder: Encoder,
        texts: Sequence[str],
        digests: Sequence[str],
        *,
        encode: Encoding | None = None,
        progress: Callable[[int], None] = _silent,
    ) -> np.ndarray:
        """Texts and their `sha256:` digests to (n, d) float32 rows, embedding what is not kept yet.

        Chunks are cut from the whole list, so that a run which resumes embeds the same batches as
        one that was never killed; `encode` makes their vectors elsewhere than in this process.
        `progress` gets the number of texts done since its last call.
        """
        if encoder.digest != self._encoder_digest:
            raise EncoderMismatch(
                f"the vector cache is that of encoder {self._encoder_digest}, but encoder "
                f"{encoder.digest} would fill it; open the cache of that encoder"
            )
        out = np.empty((len(texts), self._dimension), dtype=np.float32)
        under_way: dict[int, tuple[slice, list[int]]] = {}
        held: set[bytes] = set()  # by shards under way: no later one embeds them again
        halves: dict[int, slice] = {}  # chunks that wait for such a text

        def shards() -> Iterator[list[str]]:
            taken = 0
            for start in range(0, len(texts), CHUNK):
                part = slice(start, start + CHUNK)
                wanted = _keys(digests[part])
                out[part], chosen, is_whole = self._missing(wanted, held)
                if not is_whole:
                    halves[start] = part
                if chosen:
                    under_way[taken] = part, chosen
                    taken += 1
                    held.update(wanted[row] for row in chosen)
                    yield [texts[start + row] for row in chosen]
                elif is_whole:
                    progress(len(out[part]))

        for number, made in (encode or _in_turn(encoder))(shards()):
            part, chosen = under_way.pop(number)
            wanted = _keys(digests[part])
            out[part] = self._keep(wanted, chosen, made, out[part])
            held.difference_update(wanted[row] for row in chosen)
            if part.start not in halves:
                progress(len(out[part]))
        for part in halves.values():
            wanted = _keys(digests[part])
            out[part], chosen, _ = self._missing(wanted, ())
            if chosen:  # damaged within this moment
                made = encoder.encode([texts[part][row] for row in chosen])
                out[part] = self._keep(wanted, chosen, made, out[part])
            progress(len(out[part]))
        return out

    def lookup(self, digests: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Digests to ((n, d) float32, (n,) bool): the kept vectors, and which of them are kept."""
        out = np.zeros((len(digests), self._dimension), dtype=np.float32)
        known = np.zeros(len(digests), dtype=bool)
        for start in range(0, len(digests), CHUNK):
            part = slice(start, start + CHUNK)
            out[part], known[part] = self._read(_keys(digests[part]))
        return out, known

    def retain(self, digests: Sequence[str]) -> int:
        """Let go of every other text's vector, so that the file stays in proportion; how many."""
        return self._surely(lambda file: file.retain(_keys(digests)))

    def forget(self, digests: Sequence[str]) -> int:
        """Remove the vectors of these texts from the disk, not only from sight; how many.

        Raises Refused where another process keeps an old page open.
        """
        return self._surely(lambda file: file.forget(_keys(digests)))

    def _missing(
        self, wanted: list[bytes], held: Collection[bytes]
    ) -> tuple[np.ndarray, list[int], bool]:
        """(the kept rows of a chunk, the rows to embed for it, whether it is whole with them)."""
        rows, known = self._read(wanted)
        missing = np.flatnonzero(~known).tolist()
        first = {wanted[row]: row for row in reversed(missing)}  # a text that comes twice, once
        chosen = sorted(row for key, row in first.items() if key not in held)
        return rows, chosen, len(chosen) == len(first)

    def _keep(
        self, wanted: list[bytes], chosen: list[int], made: np.ndarray, rows: np.ndarray
    ) -> np.ndarray:
        """Write what was made for the chosen rows of a chunk, and the chunk as it is kept then."""
        made = np.asarray(made, dtype=np.float32)
        if not np.isfinite(made).all():
            raise BadInput(
                f"encoder {self._encoder_digest} gives NaN or Inf for a text; it is broken: train "
                "again with a smaller learning rate"
            )
        self._surely(lambda file: file.write([wanted[row] for row in chosen], made))
        # Read back what another process may have written first: one text, one vector.
        kept, known = self._read(wanted)
        place = {wanted[row]: at for at, row in enumerate(chosen)}
        for row in np.flatnonzero(~known).tolist():  # damaged within this moment
            kept[row] = made[place[wanted[row]]] if wanted[row] in place else rows[row]
        return kept

    def _read(self, wanted: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """((n, d) float32, (n,) bool which are kept) of keys."""
        kept, damaged = self._surely(lambda file: file.read(wanted))
        if damaged:
            self._say(f"{damaged} vectors in {self._path} were damaged; they are embedded again")
        found = [kept.get(key) for key in wanted]
        known = np.array([vector is not None for vector in found], dtype=bool)
        rows = np.zeros((len(wanted), self._dimension), dtype=np.float32)
        whole = b"".join(vector for vector in found if vector is not None)
        rows[known] = np.frombuffer(whole, dtype="<f4").reshape(-1, self._dimension)
        return rows, known

    def _surely(self, action: Callable[[VectorFile], T]) -> T:
        try:
            return action(self._file)
        except DamagedFile as error:
            self._file.close()
            self._begin_anew(error)
            return action(self._file)

    def _begin_anew(self, error: DamagedFile) -> None:
        remove_damaged(self._lock, self._path, error)
        self._say(f"the vector cache {self._path} was damaged ({error}) and is begun anew")
        self._file = self._open_file()

    def _open_file(self) -> VectorFile:
        return VectorFile(
            self._path, encoder_digest=self._encoder_digest, dimension=self._dimension
        )


def forget_vectors(folder: Path, digests: Sequence[str]) -> int:
    """Remove the vectors of these texts from the bytes of every encoder's file; how many.

    Raises Refused where another process keeps an old page open.
    """
    count = 0
    for path in sorted(folder.glob("*.sqlite")):
        digest = f"sha256:{path.stem}"
        dimension = VectorFile.dimension_of(path)
        with VectorCache.open(folder, encoder_digest=digest, dimension=dimension) as cache:
            count += cache.forget(digests)
    return count


def _in_turn(encoder: Encoder) -> Encoding:
    """In this process, one shard after another."""
    return lambda shards: ((at, encoder.encode(texts)) for at, texts in enumerate(shards))


def _keys(digests: Sequence[str]) -> list[bytes]:
    return [bytes.fromhex(digest.removeprefix("sha256:")) for digest in digests]
