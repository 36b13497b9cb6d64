"""The files of a table that lies in parts: flat, or by day below `date=2026-01-05/`."""

import re
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

_DAY = re.compile(r"date=(\d{4}-\d{2}-\d{2})")
# A process of `perennial serve` and its spool's number: perennial/serving/log/writer.py.
_SERVED = re.compile(r"serve-\d+-[0-9a-f]{8}-\d+\.parquet")
# A day may be that of another time zone, or of the file's upload.
_SLACK = timedelta(days=1)


def part_files(folder: Path) -> list[Path]:
    """Every parquet file below the folder, by name; none that is hidden or begins with `_`."""
    found = (path.relative_to(folder) for path in folder.rglob("*.parquet"))
    kept = (path for path in found if not any(part[0] in "._" for part in path.parts))
    return [folder / path for path in sorted(kept)]


def day_of(path: Path) -> date | None:
    """The day that a folder on the way to the file names; None where there is none."""
    for part in reversed(path.parts[:-1]):
        if found := _DAY.fullmatch(part):
            try:
                return date.fromisoformat(found[1])
            except ValueError:
                return None
    return None


def between(files: Sequence[Path], first: date, last: date) -> list[Path]:
    """The files that may hold rows of these days."""
    early, late = first - _SLACK, last + _SLACK
    days = ((path, day_of(path)) for path in files)
    return [path for path, day in days if day is None or early <= day <= late]


def newest(files: Sequence[Path]) -> list[Path]:
    """The files that may hold the last rows."""
    days = [day for path in files if (day := day_of(path)) is not None]
    return between(files, max(days), max(days)) if days else list(files)


def is_served(path: Path) -> bool:
    """Whether a service wrote the file, as it answered."""
    return _SERVED.fullmatch(path.name) is not None
