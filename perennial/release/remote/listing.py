"""DVC's listing of a folder: what lies where in it, by md5; the folder is called by the listing's
own, which DVC does not look at again when it pulls."""

import hashlib
import json
import re
from pathlib import PurePosixPath

from perennial.errors import IntegrityError
from perennial.release.remote.runs import FILES
from perennial.release.stores.s3.bucket import Bucket
from perennial.release.stores.s3.errors import NotThere

_MD5 = re.compile(r"[0-9a-f]{32}")


def file_key(md5: str) -> str:
    """Where DVC keeps a file, or a listing, of this digest: below its cache and in its remote."""
    return f"{FILES}{md5[:2]}/{md5[2:]}"


def fetch_listing(bucket: Bucket, folder: str) -> bytes:
    """The listing whose digest is the folder's name; raises IntegrityError for any other."""
    what = f"the listing {folder} in {bucket.place}"
    try:
        data, _ = bucket.get(file_key(folder))
    except NotThere:
        raise IntegrityError(
            f"{what} is gone, so that nobody can pull its run; restore it from a copy"
        ) from None
    if not is_named(data, folder):
        raise IntegrityError(
            f"{what} is not what its name says; find out who wrote it, and restore it from a copy"
        )
    return data


def is_named(data: bytes, folder: str) -> bool:
    """Whether these bytes are what the folder is called by."""
    return f"{hashlib.md5(data, usedforsecurity=False).hexdigest()}.dir" == folder


def listed(data: bytes, *, what: str) -> dict[str, str]:
    """{path: md5} of the files that the listing names; raises IntegrityError for what is none, and
    for a path that leaves the folder."""
    try:
        found = {str(each["relpath"]): str(each["md5"]) for each in json.loads(data)}
    except (ValueError, TypeError, KeyError) as error:
        raise IntegrityError(f"{what} is no listing of a folder: {error}") from error
    for path, md5 in found.items():
        if not _stays_inside(path) or not _MD5.fullmatch(md5):
            raise IntegrityError(
                f"{what} has {path!r} with {md5!r}, which is no file of a folder; find out who "
                "wrote it, and restore it from a copy"
            )
    return found


def _stays_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and "\0" not in path
