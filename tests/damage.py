"""Rot: what a disk, a stranger or a bug does to files that the store holds closed."""

from pathlib import Path


def overwrite(path: Path, data: bytes) -> None:
    """Other bytes at that name only: a new file, because the old one may have other names."""
    path.unlink()
    path.write_bytes(data)


def flip(path: Path, position: int) -> None:
    """One bit of the byte at `position`, in place: under all names of the file, as a disk rots."""
    mode = path.stat().st_mode
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    path.chmod(mode)
