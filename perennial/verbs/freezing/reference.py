"""Freeze what the log is compared with: the last accepted one, never one that validate refused."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from perennial.data.schema import LOG_TABLES
from perennial.release.accepted import reference_for
from perennial.release.stores.store import Store

FORMAT_VERSION = 1
REFERENCE = "accepted.json"


def freeze_reference(
    store: Store, channel: str, folder: Path, *, digests: Mapping[str, str]
) -> Path:
    """Write the reference of a log with these tables to folder/accepted.json; nulls without one."""
    found = reference_for(store, channel, log=log_digest(digests))
    about = {
        "format_version": FORMAT_VERSION,
        "snapshot": None if found is None else found.snapshot,
        "profile": None if found is None else found.profile,
    }
    path = folder / REFERENCE
    path.write_text(json.dumps(about, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path


def log_digest(digests: Mapping[str, str]) -> str:
    """One digest of the log's tables, from each table's; the catalogue and labels do not count."""
    log = json.dumps({table: digests[table] for table in LOG_TABLES}, sort_keys=True)
    return f"sha256:{hashlib.sha256(log.encode()).hexdigest()}"
