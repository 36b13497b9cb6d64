"""A folder of its own for every retrain, named by the digest of all that its result depends on."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import expectations
import perennial
from perennial.errors import PlaceUnusable, Refused
from perennial.model.digest import file_digest
from perennial.verbs.forgetting.making import INCOMING, making
from perennial.workspace import Workspace

CODE = (perennial, expectations)
DVC_CONFIG = """\
[core]
    no_scm = true
    autostage = false
    analytics = false
    check_update = false
    site_cache_dir = {cache}/dvc-site
[cache]
    dir = {cache}/dvc
"""


def checkout() -> Path:
    """The folder that holds the code, and dvc.yaml beside it."""
    return Path(perennial.__file__).parents[1]


def prepare_workspace(
    runs: Path, cache: Path, params: Path, take_snapshot: Callable[[Path], str]
) -> Workspace:
    """The workspace of this snapshot, params and code: a new one, or the one that is there.

    `take_snapshot(folder)` fills the folder and returns its digest. Raises PlaceUnusable.
    """
    try:
        runs.mkdir(parents=True, exist_ok=True)
        with making(runs):
            return _prepared(runs, cache, params, take_snapshot)
    except OSError as error:
        raise PlaceUnusable(
            f"cannot prepare a run in {runs}: {error.strerror or error}; free some space or make "
            "it writable, or set PERENNIAL_RUNS, then start again."
        ) from error


def _prepared(
    runs: Path, cache: Path, params: Path, take_snapshot: Callable[[Path], str]
) -> Workspace:
    incoming = Path(tempfile.mkdtemp(prefix=INCOMING, dir=runs))
    try:
        snapshot_digest = take_snapshot(incoming / "snapshot")
        for package in CODE:
            folder = Path(package.__path__[0])
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(folder, incoming / folder.name, ignore=ignored)
        shutil.copyfile(params, incoming / "params.yaml")
        shutil.copyfile(checkout() / "dvc.yaml", incoming / "dvc.yaml")
        (incoming / ".dvc").mkdir()
        (incoming / ".dvc" / "config").write_text(DVC_CONFIG.format(cache=cache))
        (incoming / ".dvcignore").write_text("__pycache__\n")
        root = runs / _name(incoming, snapshot_digest)
        if not root.exists():
            incoming.rename(root)
        return Workspace(root)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def recipe(folder: Path, params: Path | None = None) -> str:
    """The digest of the code, dvc.yaml and params of a workspace or, with `params`, a checkout."""
    files = {"params.yaml": params or folder / "params.yaml", "dvc.yaml": folder / "dvc.yaml"}
    for package in CODE:
        for path in (folder / package.__name__).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                files[path.relative_to(folder).as_posix()] = path
    lines = [f"{name}\t{file_digest(files[name])}\n" for name in sorted(files)]
    return "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def _name(folder: Path, snapshot_digest: str) -> str:
    """16 hex digits of the digest of all that decides the result."""
    return hashlib.sha256(f"{snapshot_digest}\n{recipe(folder)}".encode()).hexdigest()[:16]


@contextmanager
def alone_in(workspace: Workspace) -> Iterator[None]:
    """Holds the workspace for this process; raises Refused where another one does."""
    path = workspace.root / ".lock"
    with path.open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            raise Refused(
                f"process {stream.read().strip() or 'unknown'} already works in {workspace.root}; "
                "wait for it, or end it and start again to continue its work."
            ) from None
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield


def code_commit() -> str | None:
    """The checkout's git commit, with `-dirty` where files differ; None outside of a repository."""
    git = ["git", "-C", str(checkout())]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True, text=True, timeout=10, check=True,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return head + ("-dirty" if changed else "")
