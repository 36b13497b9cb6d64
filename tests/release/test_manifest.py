import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perennial.errors import IntegrityError
from perennial.release.manifests.manifest import Manifest, read_manifest
from perennial.release.manifests.parts import (
    CataloguePart,
    EncoderPart,
    IndexPart,
    Provenance,
    ReferencesPart,
    SegmentPart,
    StoredFile,
)

KEY = b"a key of the house"
digests = st.binary(min_size=32, max_size=32).map(lambda b: f"sha256:{b.hex()}")
sizes = st.integers(0, 2**40)
names = st.text("abcdefgh0123456789_-", min_size=1, max_size=8)
texts = st.text(st.characters(codec="utf-8"), max_size=8)
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60)
times = st.sampled_from(["2026-01-05T12:00:00Z", "2026-11-20T00:00:00.000001Z"])


def encoder_digest(files):
    lines = sorted(f"{file.path}\t{file.digest[7:]}\n" for file in files)
    return "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def stored(path):
    return st.builds(StoredFile, path=st.just(path), digest=digests, bytes=sizes)


def segments(count):
    return st.tuples(
        *(
            st.builds(
                SegmentPart,
                vectors=stored(f"segment-{i:04d}.faiss"),
                ids=stored(f"segment-{i:04d}.parquet"),
                tombstones=st.none() | stored(f"segment-{i:04d}.tombstones.npy"),
                rows=sizes,
                live=sizes,
            )
            for i in range(count)
        )
    )


@st.composite
def manifests(draw):
    paths = draw(st.lists(names, unique=True, max_size=4))
    files = tuple(draw(stored(f"{path}/weights.safetensors")) for path in paths)
    digest = encoder_digest(files)
    return Manifest(
        format_version=1,
        release_id="rel-000000000000",
        created_at=draw(times),
        parent=draw(st.none() | st.just("rel-0123456789ab")),
        lineage=digest,
        encoder=EncoderPart(
            digest=digest,
            dimension=draw(st.integers(1, 4096)),
            metric="cosine",
            dtype="float32",
            max_tokens=draw(st.none() | st.integers(1, 9999)),
            files=files,
        ),
        index=IndexPart(
            factory=draw(texts),
            search=draw(st.sampled_from([{}, {"nprobe": 24}, {"ef": 64}])),
            quantizer=draw(st.none() | stored("quantizer.faiss")),
            segments=draw(st.integers(0, 3).flatmap(segments)),
        ),
        catalogue=draw(st.builds(CataloguePart, digests, times, sizes)),
        references=draw(
            st.none() | st.builds(ReferencesPart, stored("queries.parquet"), stored("vectors.npy"))
        ),
        health=draw(st.dictionaries(texts, numbers | st.none() | texts, max_size=4)),
        provenance=draw(st.builds(Provenance, st.none() | texts, st.none() | digests)),
        signature=None,
    ).named()


@given(manifests())
def test_a_manifest_survives_its_bytes(manifest):
    data = manifest.to_bytes()
    assert read_manifest(data, release_id=manifest.release_id) == manifest
    signed = manifest.signed(KEY)
    assert read_manifest(signed.to_bytes(), release_id=manifest.release_id, key=KEY) == signed


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_manifest_with_any_flipped_byte_is_refused(serving, store, position, flip):
    data = bytearray(store.manifest_bytes(serving.release_id))
    data[int(position * len(data))] ^= flip
    with pytest.raises(IntegrityError):
        read_manifest(bytes(data), release_id=serving.release_id)


def test_a_manifest_has_exactly_the_fields_of_the_format(serving):
    value = json.loads(serving.to_bytes())
    assert value.keys() == {
        "format_version", "release_id", "created_at", "parent", "lineage", "encoder", "index",
        "catalogue", "references", "health", "provenance", "signature",
    }  # fmt: skip
    assert value["encoder"].keys() == {
        "digest", "dimension", "metric", "dtype", "max_tokens", "files"
    }  # fmt: skip
    assert value["encoder"]["files"][0].keys() == {"path", "digest", "bytes"}
    assert value["encoder"]["max_tokens"] == 32
    assert value["index"].keys() == {"factory", "search", "quantizer", "segments"}
    assert value["index"]["segments"][0].keys() == {"vectors", "ids", "tombstones", "rows", "live"}
    assert value["catalogue"].keys() == {"digest", "watermark", "documents"}
    assert value["references"].keys() == {"queries", "vectors"}
    assert value["provenance"].keys() == {
        "git_commit", "params_digest", "dvc_lock_digest", "snapshot_digest", "mlflow_run_id"
    }  # fmt: skip


def test_another_format_version_is_refused_by_its_number(serving):
    value = json.loads(serving.to_bytes()) | {"format_version": 2}
    with pytest.raises(IntegrityError, match="format_version 2, this program reads 1; upgrade"):
        read_manifest(json.dumps(value).encode(), release_id=serving.release_id)


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[]", b"{", b"[" * 100_000, b'{"a": NaN}'])
def test_bytes_that_are_no_manifest_are_refused(data):
    with pytest.raises(IntegrityError):
        read_manifest(data, release_id="rel-000000000000")


def test_with_a_key_an_unsigned_or_foreign_manifest_is_refused(serving):
    release_id = serving.release_id
    with pytest.raises(IntegrityError, match="not signed"):
        read_manifest(serving.to_bytes(), release_id=release_id, key=KEY)
    foreign = serving.signed(b"another key").to_bytes()
    with pytest.raises(IntegrityError, match="another key"):
        read_manifest(foreign, release_id=release_id, key=KEY)


@pytest.mark.parametrize(
    "path",
    [
        "../outside",
        "/etc/passwd",
        "a/../../b",
        "",
        ".",
        "a//b",
        "a\\b",
        "code.py",
        "w.bin",
        "W.PKL",
    ],
)
def test_a_manifest_whose_file_would_land_outside_or_carry_code_is_refused(serving, path):
    files = (*serving.encoder.files, StoredFile(path, "sha256:" + "0" * 64, 1))
    digest = encoder_digest(files)
    evil = replace(
        serving, lineage=digest, encoder=replace(serving.encoder, digest=digest, files=files)
    ).named()
    with pytest.raises(IntegrityError, match=r"unsafe|carry code"):
        read_manifest(evil.to_bytes(), release_id=evil.release_id)


def test_an_encoder_digest_that_its_files_do_not_have_is_refused(serving):
    other = "sha256:" + "1" * 64
    wrong = replace(serving, lineage=other, encoder=replace(serving.encoder, digest=other)).named()
    with pytest.raises(IntegrityError, match="its files make sha256:"):
        read_manifest(wrong.to_bytes(), release_id=wrong.release_id)
