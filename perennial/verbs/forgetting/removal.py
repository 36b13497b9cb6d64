"""Carrying out what was planned, root by root: rows and files go, and a run says that it was."""

import fcntl
import json
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from perennial.release.manifests.canonical import utc_text
from perennial.release.stores.durable import sync_folder, usable, write_durably
from perennial.verbs.caches import release_folder
from perennial.verbs.forgetting.places import CACHES, LOG, RUNS, Trace
from perennial.verbs.forgetting.session import Session
from perennial.verbs.forgetting.tables import frozen_rows, leave_out, live_rows
from perennial.workspace import Workspace


def remove_traces(
    traces: Sequence[Trace], session: Session, *, now: datetime, at_work: Collection[Path]
) -> tuple[str, ...]:
    """Carry out the plan; the runs in which another process works, which were left alone, as what
    is half made in the places `at_work` is."""
    busy = list[str]()
    for root in dict.fromkeys(each.root for each in traces):
        of_root = [each for each in traces if each.root == root]
        if of_root[0].how == "folder":
            if root.parent in at_work:
                busy.append(root.name)
            else:
                with usable(root.parent):
                    _remove_folder(root)
            continue
        is_run = of_root[0].where == RUNS
        with usable(root), _resting(root, is_run=is_run) as rests:
            if not rests:
                busy.append(root.name)
                continue
            if is_run:
                said = json.dumps({"format_version": 1, "at": utc_text(now)})
                write_durably(Workspace(root).forgotten, [said.encode()])
            for each in of_root:
                _apply(each, session)
    return tuple(busy)


def _remove_folder(folder: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)
        sync_folder(folder.parent)


def _apply(trace: Trace, session: Session) -> None:
    if trace.how == "rows":
        is_live = trace.where == LOG
        leave_out(trace.path, live_rows(session) if is_live else frozen_rows(session))
        return
    trace.path.unlink(missing_ok=True)
    folder = release_folder(trace.path, trace.root.parent) if trace.where == CACHES else None
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _resting(root: Path, *, is_run: bool) -> Iterator[bool]:
    """Whether nobody works in the run, and nobody begins to while the body runs."""
    if not is_run:
        yield True
        return
    descriptor = os.open(root / ".lock", os.O_CREAT | os.O_RDWR, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)
