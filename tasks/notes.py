"""Notes that a later run reads: a kill or a full disk leaves the old one, never half of one."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perennial.release.stores.durable import write_atomically


def write_note(path: Path, text: str) -> None:
    """Written beside `path` and renamed; makes the folder."""
    write_atomically(path, [text.encode()])


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """The same, of a value."""
    write_note(path, json.dumps(value, indent=1) + "\n")
