"""index.json: what made the index, how it is searched, and its segments in order."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perennial.errors import IntegrityError

FORMAT_VERSION = 1
_FIELDS = {"encoder", "dimension", "factory", "search", "segments"}


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
    lost = _FIELDS - description.keys()
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
    search: Mapping[str, int],
    segments: Sequence[Mapping[str, Any]],
    quantizer: str | None = None,
    waiting: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write index.json; `search` is {"nprobe": n}, {"ef": n} or {}, `quantizer` a file's name;
    `waiting` are segments without vectors, {"ids", "lexical", "rows"}, and not mentioned without
    any."""
    description: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "encoder": encoder_digest,
        "dimension": dimension,
        "metric": "cosine",
        "dtype": "float32",
        "factory": factory,
        "search": dict(search),
        "quantizer": quantizer,
        "segments": [dict(row) for row in segments],
    }
    if waiting:
        description["waiting"] = [dict(row) for row in waiting]
    text = json.dumps(description, indent=2, sort_keys=True) + "\n"
    (directory / "index.json").write_text(text, encoding="utf-8")


def segment_row(
    name: str, *, rows: int, dead: int = 0, lexical: str | None = None
) -> dict[str, Any]:
    """A segment's row of index.json, without tombstones unless `dead` rows have them; `lexical` is
    the name of its postings' file, which the row does not mention where there is none."""
    row = {
        "vectors": f"{name}.faiss",
        "ids": f"{name}.parquet",
        "tombstones": f"{name}.tombstones.npy" if dead else None,
        "rows": rows,
        "live": rows - dead,
    }
    return row if lexical is None else row | {"lexical": lexical}


def is_lexical(segments: Sequence[Mapping[str, Any]]) -> bool:
    """True where every segment has postings: an index answers by words wholly or not at all."""
    return all(row.get("lexical") is not None for row in segments)
