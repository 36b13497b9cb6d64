"""An index: an ordered list of segments with tombstones, tied to the encoder that made it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from perennial.errors import BadInput, EncoderMismatch, IntegrityError
from perennial.index.segment import Segment, read_segment, search_segment

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Index:
    """Searches all segments and merges their answers."""

    encoder_digest: str
    dimension: int
    factory: str
    nprobe: int | None
    segments: tuple[Segment, ...]

    @classmethod
    def open(cls, directory: Path, *, encoder_digest: str) -> "Index":
        """The index of a folder; raises EncoderMismatch where another encoder made it."""
        description = read_description(directory)
        if description["encoder"] != encoder_digest:
            raise EncoderMismatch(
                f"the index was made by encoder {description['encoder']} but would be searched "
                f"with encoder {encoder_digest}; serve a release, which holds both"
            )
        segments = tuple(
            read_segment(
                directory, vectors=row["vectors"], ids=row["ids"], tombstones=row["tombstones"]
            )
            for row in description["segments"]
        )
        for segment, row in zip(segments, description["segments"], strict=True):
            if segment.live != row["live"] or segment.vectors.d != description["dimension"]:
                raise IntegrityError(
                    f"{row['vectors']} holds {segment.live} live rows of {segment.vectors.d} "
                    f"dimensions; its index.json says {row['live']} of {description['dimension']}"
                )
        return cls(
            encoder_digest=encoder_digest,
            dimension=description["dimension"],
            factory=description["factory"],
            nprobe=description["search"].get("nprobe"),
            segments=segments,
        )

    @property
    def live(self) -> int:
        """Documents that a search can find."""
        return sum(segment.live for segment in self.segments)

    def doc_ids(self) -> list[str]:
        """Every live doc_id, segment by segment."""
        return [str(d) for s in self.segments for d in s.doc_ids[~s.dead]]

    def search(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """(q, d) unit rows to (scores, doc_ids), both (q, k), best first; absent: -inf and None."""
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension:
            raise BadInput(
                f"queries have shape {vectors.shape}, the index {self.dimension} dimensions; "
                "embed them with the release's own encoder"
            )
        queries = np.ascontiguousarray(vectors, dtype=np.float32)
        scores: list[np.ndarray] = []
        names: list[np.ndarray] = []
        for segment in self.segments:
            found, rows = search_segment(segment, queries, k, nprobe=self.nprobe)
            scores.append(found)
            names.append(np.asarray(np.where(rows < 0, None, segment.doc_ids[rows])))
        if len(self.segments) == 1:
            return scores[0], names[0]
        every, every_name = np.concatenate(scores, axis=1), np.concatenate(names, axis=1)
        order = np.argsort(-every, axis=1, kind="stable")[:, :k]
        return (
            np.take_along_axis(every, order, axis=1),
            np.take_along_axis(every_name, order, axis=1),
        )


def read_description(directory: Path) -> dict[str, Any]:
    """The value of index.json; raises IntegrityError where it is missing or of another format."""
    try:
        description = dict(json.loads((directory / "index.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise IntegrityError(
            f"{directory} has no readable index.json; rebuild the index"
        ) from error
    if description.get("format_version") != FORMAT_VERSION:
        raise IntegrityError(
            f"{directory}/index.json has format_version {description.get('format_version')!r}, "
            f"this program reads {FORMAT_VERSION}; upgrade Perennial"
        )
    lost = {"encoder", "dimension", "factory", "search", "segments"} - description.keys()
    if lost or not description["segments"]:
        raise IntegrityError(
            f"{directory}/index.json names no {', '.join(sorted(lost)) or 'segment'}; rebuild the "
            "index"
        )
    return description


def write_description(
    directory: Path,
    *,
    encoder_digest: str,
    dimension: int,
    factory: str,
    nprobe: int | None,
    segments: list[dict[str, Any]],
) -> None:
    """Write index.json: what made the index, how it is searched, and its segments in order."""
    description = {
        "format_version": FORMAT_VERSION,
        "encoder": encoder_digest,
        "dimension": dimension,
        "metric": "cosine",
        "dtype": "float32",
        "factory": factory,
        "search": {"nprobe": nprobe} if nprobe else {},
        "quantizer": None,
        "segments": segments,
    }
    text = json.dumps(description, indent=2, sort_keys=True) + "\n"
    (directory / "index.json").write_text(text, encoding="utf-8")
