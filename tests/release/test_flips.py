"""One flipped bit, wherever it lies and on either store: refused, by the name of what it is in."""

import shutil

import numpy as np
import pytest
from damage import flip
from tiny_index import build
from tiny_release import NOON, Folders, publish_folders, write_folders

from perennial.errors import IntegrityError, PerennialError
from perennial.index.description import segment_row, write_description
from perennial.index.increment import write_tombstones
from perennial.model.digest import directory_digest
from perennial.release.caching.materialise import materialise
from perennial.release.manifests.manifest import read_manifest
from perennial.release.publishing.publish import promote, read_checked_channel
from perennial.release.stores.keys import channel_key, manifest_key, object_key
from perennial.release.verify import verify_store

KEY = b"a key"
PARTS = ["model.safetensors", "tokenizer.json", "quantizer.faiss", "segment-0000.faiss"]
PARTS += ["segment-0000.parquet", "segment-0000.tombstones.npy", "queries.parquet", "vectors.npy"]


@pytest.fixture(scope="module")
def every_kind(tmp_path_factory) -> Folders:
    """A release with an object of every kind: also a quantizer, and tombstones."""
    folders = write_folders(tmp_path_factory.mktemp("every"), lineage=3, tag="every")
    shutil.rmtree(folders.index)
    rows = np.random.default_rng(0).standard_normal((300, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    build(
        folders.index,
        rows,
        [f"every-{i}" for i in range(300)],
        encoder_digest=directory_digest(folders.encoder),
        factory="IVF4,Flat",
    )
    write_tombstones(folders.index, segment="segment-0000", rows=[3, 5])
    write_description(
        folders.index,
        encoder_digest=directory_digest(folders.encoder),
        dimension=16,
        factory="IVF4,Flat",
        search={"nprobe": 4},
        segments=[segment_row("segment-0000", rows=300, dead=2)],
        quantizer="quantizer.faiss",
    )
    return folders


@pytest.fixture(params=["disk", pytest.param("s3", marks=pytest.mark.slow)])
def place(request, store):
    """Either store, and how to flip the lowest bit of a byte of one of its files."""
    if request.param == "disk":
        return store, lambda key, position: flip(store.root / key, position)
    s3_store = request.getfixturevalue("s3_store")

    def flip_remotely(key, position):
        data = bytearray(s3_store.bucket.get(key)[0])
        data[position] ^= 1
        s3_store.bucket.put(key, bytes(data))

    return s3_store, flip_remotely


@pytest.fixture
def release(place, every_kind):
    store, _ = place
    manifest = publish_folders(store, every_kind, key=KEY)
    promote(store, "production", manifest.release_id, now=NOON, why="x", who="test", key=KEY)
    return manifest


def positions(size):
    """The first byte, some in the middle, the last one."""
    return sorted({0, size // 4, size // 2, size - 2, size - 1})


@pytest.mark.parametrize("part", PARTS)
def test_in_an_object(part, place, release, tmp_path):
    store, flip_bit = place
    ((path, file),) = [each for each in release.files() if each[0].endswith(f"/{part}")]
    for position in positions(file.bytes):
        flip_bit(object_key(file.digest), position)
        looks = [
            lambda: store.read(file.digest),
            lambda: store.check(file.digest),
            lambda: store.fetch(file.digest, tmp_path / "copy"),
            lambda: materialise(store, release.release_id, tmp_path / "release"),
        ]
        for look in looks:
            with pytest.raises(IntegrityError, match=file.digest):
                look()
        assert not (tmp_path / "copy").exists() and not (tmp_path / "release").exists()
        (finding,) = verify_store(store, key=KEY)
        assert finding.thing == f"release {release.release_id}: {path}"
        flip_bit(object_key(file.digest), position)
    materialise(store, release.release_id, tmp_path / "release")


def test_in_a_manifest(place, release):
    store, flip_bit = place
    key = manifest_key(release.release_id)
    for position in positions(len(release.to_bytes())):
        flip_bit(key, position)
        with pytest.raises(PerennialError, match=release.release_id):
            data = store.manifest_bytes(release.release_id)
            read_manifest(data, release_id=release.release_id, key=KEY)
        assert f"release {release.release_id}" in {
            finding.thing for finding in verify_store(store, key=KEY)
        }
        flip_bit(key, position)
    assert verify_store(store, key=KEY) == []


@pytest.mark.parametrize("key", [None, KEY], ids=["with its checksum", "signed"])
def test_in_a_channel(key, place, release):
    store, flip_bit = place
    written = store.read_channel("production")
    store.compare_and_swap("production", written, written.signed(key))
    size = len(store.read_channel("production").to_bytes())
    for position in [*range(0, size, 37), size - 2]:
        flip_bit(channel_key("production"), position)
        with pytest.raises(IntegrityError, match="channel production"):
            read_checked_channel(store, "production", key=key)
        flip_bit(channel_key("production"), position)
    assert read_checked_channel(store, "production", key=key).stable == release.release_id
