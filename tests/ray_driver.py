"""A process that has texts embedded by a Ray cluster, and is killed by a test:
python -m ray_driver ENCODER VECTORS OUT SECONDS [ADDRESS], a line for each chunk that it has, and
at the end how many shards it asked for."""

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from perennial.compute.place import open_compute
from perennial.model import vectors as module
from perennial.model.digest import text_digest
from perennial.model.encoder import load_encoder
from perennial.model.vectors import VectorCache

CHUNK, TEXTS = 32, 640


def texts() -> list[str]:
    return [f"how to sort {'an array ' * (i % 9)}number {i}" for i in range(TEXTS)]


def embed(encoder: Path, vectors: Path, *, seconds: float, address: str | None) -> np.ndarray:
    """(n, d) vectors of the texts; so many seconds are spent at each chunk."""
    loaded = load_encoder(encoder, batch_size=8)
    place = open_compute(backend="ray", address=address, cpus=1, ahead=1, patience_seconds=600.0)
    about = {"encoder_digest": loaded.digest, "dimension": loaded.dimension}

    def told(more: int) -> None:
        print(more, flush=True)
        time.sleep(seconds)

    with place as ray, VectorCache.open(vectors, **about) as cache:
        digests = [text_digest(text) for text in texts()]
        encode = ray.encoding(loaded.digest, encoder, batch_size=8)
        asked = 0

        def counted(shards: Iterable[list[str]]) -> Iterator[tuple[int, np.ndarray]]:
            def each() -> Iterator[list[str]]:
                nonlocal asked
                for shard in shards:
                    asked += 1
                    yield shard

            assert encode is not None
            yield from encode(each())

        made = cache.embed(loaded, texts(), digests, encode=counted, progress=told)
        print(f"asked for {asked}", flush=True)
        return made


if __name__ == "__main__":
    module.CHUNK = CHUNK
    given, vectors, out = map(Path, sys.argv[1:4])
    seconds, address = float(sys.argv[4]), (sys.argv[5:] or [None])[0]
    np.save(out, embed(given, vectors, seconds=seconds, address=address))
