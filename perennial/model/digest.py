"""The identity of bytes: a file's digest, and one digest for a whole encoder directory."""

import hashlib
from pathlib import Path


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
