"""The identity of bytes: a file's digest, and one digest for a whole encoder directory."""

import hashlib
import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa


def file_digest(path: Path) -> str:
    """The file's `sha256:<hex>`, read in blocks."""
    with path.open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()


def directory_digest(directory: Path) -> str:
    """`sha256:<hex>` over the sorted lines `<relative path>\\t<file's hex>\\n` of all files."""
    lines = sorted(
        f"{path.relative_to(directory).as_posix()}\t{file_digest(path).removeprefix('sha256:')}\n"
        for path in directory.rglob("*")
        if path.is_file()
    )
    return "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def text_digest(text: str) -> str:
    """The text's `sha256:<hex>`: a document whose digest is unchanged is not embedded again."""
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def text_digests(texts: pa.LargeStringArray) -> pa.StringArray:
    """(n,) texts to their digests, as text_digest says: two microseconds each, which is the floor
    of hashing a kilobyte; the texts never become Python strings."""
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int64)[texts.offset :][: len(texts) + 1]
    data = memoryview(texts.buffers()[2] or b"")
    ends = offsets.tolist()
    return pa.array(
        [
            f"sha256:{hashlib.sha256(data[start:end]).hexdigest()}"
            for start, end in itertools.pairwise(ends)
        ],
        pa.string(),
    )
