"""The digests that this process has seen for itself, so that no file is hashed twice."""

import contextlib
from pathlib import Path

from perennial.model.digest import file_digest

_Identity = tuple[int, int, int, int]


class TrustedFiles:
    """Knows a file by device, inode, size and time of change: links to it are trusted with it.

    It lives as long as its process, so that a fresh one reads everything before it parses anything.
    """

    def __init__(self) -> None:
        self._digests: dict[_Identity, str] = {}

    def digest(self, path: Path) -> str:
        """The file's digest, read only where the file is not known or was written to since."""
        before = _identity(path)
        known = self._digests.get(before)
        if known is None:
            known = file_digest(path)
            if _identity(path) == before:
                self._digests[before] = known
        return known

    def known(self, path: Path) -> str | None:
        """The digest that the file had when it was last looked at; None reads nothing."""
        with contextlib.suppress(FileNotFoundError):
            return self._digests.get(_identity(path))
        return None

    def believe(self, path: Path, digest: str) -> None:
        """Trust what was verified while it was written."""
        self._digests[_identity(path)] = digest

    def forget_gone(self, digests: set[str]) -> None:
        """Keep only those digests: an inode that is free again may become another file."""
        self._digests = {key: value for key, value in self._digests.items() if value in digests}


def _identity(path: Path) -> _Identity:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
