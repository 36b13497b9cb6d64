"""`perennial store init`: the place that keeps releases, made fit for it, and what was done."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from perennial.errors import BadInput
from perennial.release.stores.s3.documents import read_documents
from perennial.release.stores.s3.settings import prepare_bucket
from perennial.release.stores.s3.store import S3Store
from perennial.release.stores.store import Store


def prepare(
    store: Store,
    *,
    documents: Path | None,
    principals: Mapping[str, Sequence[str]],
    whole_bucket: bool = False,
) -> dict[str, Any]:
    """The JSON of `store init`: a bucket is prepared by the documents, None of them only looks."""
    settings = []
    if isinstance(store, S3Store) and documents is not None:
        bucket = store.bucket
        read = read_documents(documents, bucket=bucket.name, prefix=bucket.prefix)
        settings = prepare_bucket(bucket, read, principals=principals, whole_bucket=whole_bucket)
    elif any(principals.values()):
        raise BadInput(
            f"{store.place} is given no policy here, so that nobody can be named; leave --reader, "
            "--writer and --sweeper out"
        )
    store.check_conditions()
    return {
        "format_version": 1,
        "store": store.place,
        "releases": len(store.release_ids()),
        "settings": [asdict(each) for each in settings],
    }


def show_prepared(value: dict[str, Any]) -> None:
    """A line for each setting, and the verdict."""
    for row in value["settings"]:
        print(f"{row['name']}: {row['state']} ({row['detail']})")
    print(f"{value['store']} can keep releases.")


def is_refused(value: dict[str, Any]) -> bool:
    """True where these credentials may not do all of it."""
    return any(row["state"] == "not allowed" for row in value["settings"])
