"""The runs whose files were pushed: DVC finds a file by its digest, and this says which are whose.

One record each beside DVC's own files, found by the digest of the run's dvc.lock, which the
manifest of its release has. Who pulls a run runs its code: with a key the record is signed, and it
names, through DVC's digests, every byte.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from perennial.release.manifests.canonical import (
    canonical_json,
    check_signature,
    parse_strictly,
    sign,
)
from perennial.release.manifests.parts import STRICT, Digest
from perennial.release.stores.s3.bucket import Bucket
from perennial.release.stores.s3.errors import NotThere

RUNS = "runs/"
FILES = "files/md5/"
FolderDigest = Annotated[str, Field(pattern=r"^[0-9a-f]{32}\.dir$")]
Setting = Literal["dvc.lock", "dvc.yaml", "params.yaml", ".dvcignore"]
Folder = Literal["snapshot", "perennial", "expectations"]


@dataclass(frozen=True)
class PushedRun:
    """A run's name, its snapshot's digest, its settings as text, and its folders by their md5."""

    __pydantic_config__ = STRICT
    format_version: Literal[1]
    name: str
    lock: Digest
    snapshot: Digest
    settings: dict[Setting, str]
    folders: dict[Folder, FolderDigest]
    signature: str | None = None

    def to_bytes(self) -> bytes:
        """The canonical JSON that is stored."""
        return canonical_json(asdict(self))


def keep_run(bucket: Bucket, run: PushedRun, *, key: bytes | None) -> None:
    """Write the record; what the run consists of is in the bucket by then."""
    if key is not None:
        run = replace(run, signature=sign(replace(run, signature=None).to_bytes(), key))
    bucket.put(_key(run.lock), run.to_bytes())


def find_run(bucket: Bucket, lock: str, *, key: bytes | None) -> PushedRun | None:
    """The run with this dvc.lock, None where none was pushed; raises IntegrityError."""
    try:
        data, _ = bucket.get(_key(lock))
    except NotThere:
        return None
    return _checked(data, bucket.place, key=key)


def pushed_runs(bucket: Bucket, *, key: bytes | None) -> Iterator[PushedRun]:
    """All of them; raises IntegrityError."""
    for row in list(bucket.list(RUNS)):
        yield _checked(bucket.get(row["Key"])[0], bucket.place, key=key)


def _checked(data: bytes, place: str, *, key: bytes | None) -> PushedRun:
    what = f"the record of a run in {place}"
    run = parse_strictly(data, _ADAPTER, what=what)
    if key is not None:
        payload = replace(run, signature=None).to_bytes()
        check_signature(payload, run.signature, key, what=what)
    return run


def _key(lock: str) -> str:
    return f"{RUNS}{lock.removeprefix('sha256:')}.json"


_ADAPTER = TypeAdapter(PushedRun)
