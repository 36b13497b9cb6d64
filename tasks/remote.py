"""A finished run to DVC's remote, and back from there on a machine that never saw it."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from perennial.errors import IntegrityError, Refused
from perennial.model.digest import file_digest
from perennial.release.manifests.manifest import Manifest
from perennial.release.remote.listing import fetch_listing, file_key, listed
from perennial.release.remote.place import open_remote
from perennial.release.remote.runs import Folder, PushedRun, Setting, find_run, keep_run
from perennial.release.stores.durable import write_atomically
from perennial.release.stores.s3.bucket import Bucket
from perennial.release.stores.s3.errors import Uncertain
from perennial.workspace import Workspace, s3_encryption, signing_key
from tasks.bound import check_bound, remove_unbound
from tasks.command import DeadlinePassed, run_command
from tasks.notes import write_note
from tasks.repro import StageBroke, stage_environment
from tasks.step import can_pass
from tasks.workspace import DVC_CONFIG

SETTINGS: tuple[Setting, ...] = ("dvc.lock", "dvc.yaml", "params.yaml", ".dvcignore")
FOLDERS: tuple[Folder, ...] = ("snapshot", "perennial", "expectations")
HOURS = 4.0
_LOST = "neither locally nor on remote"  # DVC says so, and ends with 0
_OUT = "outs:\n- md5: {digest}\n  hash: md5\n  path: {folder}\n"


def push_run(workspace: Workspace, address: str, *, say: Callable[[str], None]) -> None:
    """What DVC's cache has of the run goes there, and then the record that finds it."""
    root = workspace.root
    bucket = open_remote(address)
    _point(root, address)
    _dvc(root, "add", "--quiet", *FOLDERS, say=say)
    _dvc(root, "push", say=say)
    snapshot = json.loads((workspace.snapshot / "snapshot.json").read_text(encoding="utf-8"))
    with _worth_another_try():
        keep_run(
            bucket,
            PushedRun(
                format_version=1,
                name=root.name,
                lock=file_digest(root / "dvc.lock"),
                snapshot=str(snapshot["digest"]),
                settings={name: (root / name).read_text(encoding="utf-8") for name in SETTINGS},
                folders={name: _digest(root / f"{name}.dvc") for name in FOLDERS},
            ),
            key=signing_key(),
        )
    say(f"run {root.name} is in {bucket.place}")


@task(name="pull", cache_policy=NO_CACHE, persist_result=False,
      retries=3, retry_delay_seconds=10.0, retry_condition_fn=can_pass)  # fmt: skip
def pull(manifest: Manifest, address: str, to: Path) -> Workspace:
    """The run that made the release, from the remote; see `pull_run`."""
    return pull_run(manifest, address, to, say=get_run_logger().info)


def pull_run(
    manifest: Manifest, address: str, to: Path, *, say: Callable[[str], None]
) -> Workspace:
    """Its settings, code and snapshot in the folder `to`, which a failed try left half full; its
    outs stay there. Raises Refused where nobody pushed it, IntegrityError for other bytes."""
    origin, bucket = manifest.provenance, open_remote(address)
    with _worth_another_try():
        run = find_run(bucket, origin.dvc_lock_digest or "none", key=signing_key())
    if run is None:
        raise Refused(
            f"the run that made {manifest.release_id} is neither here nor in {bucket.place}; set "
            "PERENNIAL_DVC_REMOTE or PERENNIAL_RUNS to where it is, or bring its folder back"
        )
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    for name, text in run.settings.items():
        write_note(to / name, text)
    for folder, digest in run.folders.items():
        write_note(to / f"{folder}.dvc", _OUT.format(digest=digest, folder=folder))
    for name, expected in (
        ("dvc.lock", origin.dvc_lock_digest),
        ("params.yaml", origin.params_digest),
    ):
        if file_digest(to / name) != expected:
            raise IntegrityError(
                f"{name} of run {run.name} in {bucket.place} is not what {manifest.release_id} "
                "was made with; find out who wrote it, and restore it from a copy"
            )
    with _worth_another_try():
        folders = _fetch_listings(bucket, run, to / ".cache" / "dvc")
    what = f"run {run.name} in {bucket.place}"
    check_bound(run.settings["dvc.lock"], run.settings["dvc.yaml"], folders, what=what)
    write_note(to / ".dvc" / "config", DVC_CONFIG.format(cache=to.absolute() / ".cache"))
    _point(to, address)
    _dvc(to, "pull", *(f"{folder}.dvc" for folder in run.folders), say=say)
    if signing_key() is None:
        remove_unbound(to, run.settings["dvc.lock"])
    return Workspace(to)


def _fetch_listings(bucket: Bucket, run: PushedRun, cache: Path) -> dict[str, dict[str, str]]:
    """{folder: {path: md5}}, from the listings, which DVC then finds in its cache: those of its
    remote it would believe."""
    folders = {}
    for folder, digest in run.folders.items():
        data = fetch_listing(bucket, digest)
        folders[folder] = listed(data, what=f"the listing {digest} in {bucket.place}")
        write_atomically(cache / file_key(digest), [data])
    return folders


def remote_config(address: str) -> str:
    """What DVC must know of the remote. Endpoint and credentials are in the environment alone."""
    sse, kms_key_id = s3_encryption()
    lines = [f"url = {address}", "verify = true"]  # of what comes from there, by its digest
    lines += [f"sse = {sse}"] if sse else []
    lines += [f"sse_kms_key_id = {kms_key_id}"] if kms_key_id else []
    body = "".join(f"    {line}\n" for line in lines)
    return f"[core]\n    remote = perennial\n['remote \"perennial\"']\n{body}"


def remote_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The caller's; without settings files that are none, such as /dev/null: DVC would fail."""
    return {
        name: value
        for name, value in stage_environment(environment).items()
        if name != "AWS_CONFIG_FILE" or Path(value).is_file()
    }


def _point(root: Path, address: str) -> None:
    write_note(root / ".dvc" / "config.local", remote_config(address))


def _digest(pointer: Path) -> str:
    (out,) = yaml.safe_load(pointer.read_text(encoding="utf-8"))["outs"]
    return str(out["md5"])


def _dvc(root: Path, *arguments: str, say: Callable[[str], None]) -> None:
    lines: list[str] = []
    try:
        code = run_command(
            [sys.executable, "-m", "dvc", *arguments],
            directory=root,
            environment=remote_environment(os.environ),
            timeout_seconds=HOURS * 3600,
            on_line=lines.append,
            on_tick=lambda: None,
        )
    except DeadlinePassed:
        raise StageBroke(
            f"`dvc {arguments[0]}` in {root} did not end within {HOURS:g} hours and was killed; "
            "run the same command again: it goes on with what is left."
        ) from None
    if code != 0:
        why = next((each for each in lines if each.startswith("ERROR: ")), " ".join(lines[-1:]))
        raise StageBroke(
            f"`dvc {arguments[0]}` in {root} failed: {why.removeprefix('ERROR: ')}; look at "
            "PERENNIAL_DVC_REMOTE and the AWS settings, then run the same command again."
        )
    if (lost := next((each for each in lines if _LOST in each), None)) is not None:
        raise StageBroke(
            f"`dvc {arguments[0]}` in {root} had not all that it names: {lost}; `dvc repro` there "
            "makes it again."
        )
    if lines:
        say(lines[-1])


@contextmanager
def _worth_another_try() -> Iterator[None]:
    try:
        yield
    except Uncertain as error:
        raise StageBroke(str(error)) from error
