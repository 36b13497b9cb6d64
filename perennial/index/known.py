"""Vectors that an index holds already, as they were embedded, by the digests of their texts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from perennial.index.changes import read_held
from perennial.index.description import read_description
from perennial.index.exact import stored_vectors
from perennial.index.factory import parse
from perennial.index.index import Index


def known_vectors(
    directory: Path, *, encoder_digest: str, digests: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) text digests to ((n, d) float32, (n,) bool): vectors of an index, and which it holds.

    None where its codes are lossy. Raises EncoderMismatch where another encoder made it.
    """
    index = Index.open(directory, encoder_digest=encoder_digest, mmap=True)
    out = np.zeros((len(digests), index.dimension), dtype=np.float32)
    known = np.zeros(len(digests), dtype=bool)
    if not parse(index.factory, dimension=index.dimension).is_lossless:
        return out, known
    asked = pa.array(digests, pa.string())
    for segment, row in zip(index.segments, read_description(directory)["segments"], strict=True):
        held = read_held(directory, ids=row["ids"], tombstones=row["tombstones"])
        living = np.flatnonzero(~segment.dead)
        at = pc.index_in(asked, value_set=held.text_digests.take(pa.array(living)))
        wanted = at.fill_null(-1).to_numpy(zero_copy_only=False)
        wanted = np.where(wanted >= 0, living[wanted], -1) if len(living) else wanted
        place = np.empty(len(segment.dead), dtype=np.int64)
        for numbers, vectors in stored_vectors(segment):
            place.fill(-1)
            place[numbers] = np.arange(len(numbers))
            hit = np.flatnonzero((wanted >= 0) & (place[wanted] >= 0))
            out[hit] = vectors[place[wanted[hit]]]
            known[hit] = True
    return out, known
