"""The teacher of params.mine: an encoder, or a cross-encoder that ranks anew what one finds."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from perennial.compute.place import Compute
from perennial.data.negatives import Score
from perennial.errors import BadInput
from perennial.index.known import known_vectors
from perennial.model.digest import directory_digest, text_digest
from perennial.model.encoder import Encoder, load_encoder
from perennial.model.teacher import is_cross_encoder, load_cross_encoder
from perennial.model.vectors import VectorCache
from perennial.workspace import Workspace


@dataclass(frozen=True)
class Teacher:
    """An encoder with its digest, and the folder of the cross-encoder that judges, or None."""

    encoder: Encoder
    is_champion: bool
    judge: Path | None
    batch_size: int
    folder: Path  # the encoder's

    def score(self, queries: Sequence[str], documents: Sequence[str]) -> Score | None:
        """The cross-encoder's judgement of row numbers of them; None without one."""
        if self.judge is None:
            return None
        return load_cross_encoder(
            self.judge, queries=queries, documents=documents, batch_size=self.batch_size
        )


def open_teacher(workspace: Workspace, name: str, *, batch_size: int) -> Teacher:
    """The teacher of a folder, relative to the workspace or not; raises BadInput."""
    folder, champion = workspace.root / name, workspace.champion / "encoder"
    if not folder.is_dir():
        raise BadInput(
            f"mine.teacher is {name}, which is no folder; give that of an encoder or of a "
            "cross-encoder, or snapshot/champion/encoder"
        )
    is_judge = is_cross_encoder(folder)
    place = champion if is_judge else folder
    encoder = load_encoder(place, batch_size=batch_size)
    is_champion = encoder.digest == directory_digest(champion)
    return Teacher(encoder, is_champion, folder if is_judge else None, batch_size, place)


def embed_catalogue(
    teacher: Teacher, texts: Sequence[str], workspace: Workspace, *, place: Compute
) -> np.ndarray:
    """(n, d) vectors of the texts: the champion's out of its index, the others embedded.

    The index is part of the snapshot, so that the same workspace gives the same vectors; a cache
    of the machine would hold some that other batches rounded otherwise. What a killed run had
    embedded is kept in work/mine.
    """
    digests = [text_digest(text) for text in texts]
    vectors = np.zeros((len(texts), teacher.encoder.dimension), dtype=np.float32)
    known = np.zeros(len(texts), dtype=bool)
    if teacher.is_champion:
        vectors, known = known_vectors(
            workspace.champion / "index",
            encoder_digest=teacher.encoder.digest,
            digests=digests,
        )
    missing = np.flatnonzero(~known).tolist()
    if missing:
        with VectorCache.open(
            workspace.work("mine") / "vectors",
            encoder_digest=teacher.encoder.digest,
            dimension=teacher.encoder.dimension,
            say=_tell,
        ) as cache:
            vectors[missing] = cache.embed(
                teacher.encoder,
                [texts[row] for row in missing],
                [digests[row] for row in missing],
                encode=place.encoding(
                    teacher.encoder.digest, teacher.folder, batch_size=teacher.batch_size
                ),
            )
    _tell(f"{int(known.sum()):,} of {len(texts):,} vectors come from the champion's index")
    return vectors


def _tell(line: str) -> None:
    print(f"mine: {line}", file=sys.stderr, flush=True)
