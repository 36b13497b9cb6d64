"""Publishing what changed: a release that carries most of its files over from the one before."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from perennial.errors import BadInput, EncoderMismatch, IntegrityError
from perennial.index.fit import check_segment_files, check_words
from perennial.release.forgetting.forgotten import refuse_forgotten
from perennial.release.manifests.canonical import utc_text
from perennial.release.manifests.describe import check_index_json, read_index_json
from perennial.release.manifests.described import index_part, references_part, stored
from perennial.release.manifests.manifest import Manifest, read_manifest
from perennial.release.manifests.parts import CataloguePart, Provenance, StoredFile
from perennial.release.publishing.pins import Say, announce, say_nothing
from perennial.release.stores.store import Store, missing_objects

_WRITERS = 4


@dataclass(frozen=True)
class Successor:
    """A manifest, and where the files lie that its parent does not have: digest to path."""

    manifest: Manifest
    fresh: dict[str, Path]


def publish_successor(
    store: Store,
    parent: Manifest,
    *,
    index: Path,
    references: Path | None,
    catalogue: Mapping[str, Any],
    health: Mapping[str, Any],
    provenance: Mapping[str, Any],
    created_at: datetime,
    key: bytes | None = None,
    say: Say = say_nothing,
    is_given: bool = False,
) -> Manifest:
    """Publish the parent's encoder with an index folder that holds index.json and new files only.

    Files that the folder does not hold are the parent's: they are neither read nor copied, only
    looked up. Without `references` the parent's stay. Run again, it is the same release. With
    `is_given` the new files may become the store's own: nobody may write to them any more.
    """
    successor = describe_successor(
        parent,
        index=index,
        references=references,
        catalogue=catalogue,
        health=health,
        provenance=provenance,
        continues=parent.release_id,
        created_at=created_at,
    )
    return publish_described(store, successor, key=key, say=say, is_given=is_given)


def describe_successor(
    parent: Manifest,
    *,
    index: Path,
    references: Path | None,
    catalogue: Mapping[str, Any],
    health: Mapping[str, Any],
    provenance: Mapping[str, Any],
    continues: str | None,
    created_at: datetime,
) -> Successor:
    """What would be published; reads each new file once. Raises EncoderMismatch or BadInput."""
    text, about = read_index_json(index)
    if about["encoder"] != parent.index_encoder:
        raise EncoderMismatch(
            f"the index in {index} was made by encoder {about['encoder']}, but that of "
            f"{parent.release_id} by encoder {parent.index_encoder}; index with that encoder"
        )
    carried = {file.path: file for path, file in parent.files() if path.startswith("index/")}
    fresh: dict[str, Path] = {}

    def stored_as(name: str) -> StoredFile:
        if (index / name).is_file() or name not in carried:
            file = stored(index, name)
            fresh[file.digest] = index / name
            return file
        return carried[name]

    try:
        manifest = replace(
            parent,
            created_at=utc_text(created_at),
            parent=continues,
            index=index_part(about, stored_as),
            catalogue=CataloguePart(**catalogue),
            references=parent.references if references is None else references_part(references),
            health=dict(health),
            provenance=Provenance(**provenance),
        ).named()
        manifest = read_manifest(manifest.to_bytes(), release_id=manifest.release_id)
    except (TypeError, KeyError, AttributeError, IntegrityError) as error:
        raise BadInput(f"these folders cannot be published: {error}") from error
    check_index_json(manifest, index, text)
    try:
        check_segment_files(index, about["segments"], dimension=manifest.index_dimension)
        check_words(index, about)
    except IntegrityError as error:
        raise BadInput(f"the index in {index} cannot be published: {error}") from error
    if references is not None and manifest.references is not None:
        for file in (manifest.references.queries, manifest.references.vectors):
            fresh[file.digest] = references / file.path
    return Successor(manifest, fresh)


def publish_described(
    store: Store,
    successor: Successor,
    *,
    key: bytes | None = None,
    say: Say = say_nothing,
    is_given: bool = False,
) -> Manifest:
    """Write a pending note, the new objects, then the manifest; raises IntegrityError.

    Of the objects that are carried over only their being there, in their size, is checked.
    """
    manifest, fresh = successor.manifest, successor.fresh
    refuse_forgotten(store, manifest.release_id)
    if key is not None:
        manifest = manifest.signed(key)
    objects = manifest.objects()
    announce(store, manifest.release_id, objects, say=say)
    carried = [(digest, size) for digest, size in objects.items() if digest not in fresh]
    if missing := missing_objects(store, carried):
        store.clear_pending(manifest.release_id)
        raise IntegrityError(
            f"the release that {manifest.release_id} continues lacks {len(missing)} of its "
            f"objects, first {missing[0]}; restore them, or publish a whole release"
        )
    with ThreadPoolExecutor(_WRITERS) as writers:
        for _ in writers.map(
            lambda item: store.put_file(item[1], digest=item[0], is_given=is_given), fresh.items()
        ):
            pass
    store.write_manifest(manifest)
    store.clear_pending(manifest.release_id)
    return manifest
