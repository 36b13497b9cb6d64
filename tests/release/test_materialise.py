import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from damage import flip, overwrite

from perennial.errors import EncoderMismatch, IntegrityError, PlaceUnusable
from perennial.index.index import Index
from perennial.model.encoder import load_encoder
from perennial.release.caching.materialise import materialise


def files_below(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def damage(store, digest):
    path = store.root / "objects" / digest[7:9] / digest[7:]
    flip(path, path.stat().st_size // 2)


def test_what_comes_out_is_byte_for_byte_what_was_published(store, serving, first, tmp_path):
    manifest = materialise(store, serving.release_id, tmp_path / "release")
    assert manifest == serving
    found = files_below(tmp_path / "release")
    assert found.pop("manifest.json") == serving.to_bytes()
    assert found == files_below(first.index.parent)


def test_the_folder_opens_as_an_encoder_and_its_index(store, serving, tmp_path):
    materialise(store, serving.release_id, tmp_path / "release")
    encoder = load_encoder(tmp_path / "release" / "encoder")
    assert encoder.digest == serving.encoder.digest
    assert encoder.max_tokens == serving.encoder.max_tokens
    index = Index.open(tmp_path / "release" / "index", encoder_digest=encoder.digest)
    assert index.live == serving.index.segments[0].live


def test_the_index_refuses_another_encoder_with_both_digests(store, serving, retrained, tmp_path):
    materialise(store, serving.release_id, tmp_path / "release")
    other = load_encoder(retrained.encoder).digest
    with pytest.raises(EncoderMismatch, match=f"{serving.encoder.digest}.*{other}"):
        Index.open(tmp_path / "release" / "index", encoder_digest=other)


def test_a_flipped_byte_in_any_object_is_refused_and_nothing_appears(store, serving, tmp_path):
    for digest in serving.objects():
        shutil.copytree(store.root, tmp_path / "copy")
        copy = type(store)(tmp_path / "copy")
        damage(copy, digest)
        with pytest.raises(IntegrityError, match=f"damaged in the store.*{digest}"):
            materialise(copy, serving.release_id, tmp_path / "cache" / "release")
        assert list((tmp_path / "cache").iterdir()) == []
        shutil.rmtree(tmp_path / "copy")


def test_a_whole_folder_is_used_again(store, serving, tmp_path):
    directory = tmp_path / "release"
    materialise(store, serving.release_id, directory)
    before = directory.stat().st_ino
    materialise(store, serving.release_id, directory)
    assert directory.stat().st_ino == before


@pytest.mark.parametrize(
    "meddle",
    [
        lambda d: overwrite(d / "encoder" / "tokenizer.json", b"{}"),
        lambda d: (d / "index" / "index.json").unlink(),
        lambda d: (d / "encoder" / "extra.py").write_text("import os"),
        lambda d: (d / "encoder" / "link").symlink_to("/etc"),
        lambda d: (d / "manifest.json").write_bytes(b""),
    ],
)
def test_a_folder_that_is_not_whole_is_replaced(store, serving, tmp_path, meddle):
    directory = tmp_path / "release"
    materialise(store, serving.release_id, directory)
    good = files_below(directory)
    meddle(directory)
    materialise(store, serving.release_id, directory)
    assert files_below(directory) == good
    assert not (directory / "encoder" / "link").exists()
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_callers_that_start_together_share_one_folder(store, serving, tmp_path):
    directory = tmp_path / "cache" / "release"

    def start(_):
        materialise(store, serving.release_id, directory)
        return load_encoder(directory / "encoder").digest

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(start, range(8))) == {serving.encoder.digest}
    assert [path.name for path in directory.parent.iterdir()] == ["release"]


def test_no_write_into_the_folder_reaches_the_store(store, serving, tmp_path):
    directory = tmp_path / "release"
    materialise(store, serving.release_id, directory)
    for path in filter(Path.is_file, directory.rglob("*")):
        path.write_bytes(b"scribbled over")  # in place, under every name that the file has
    for digest in serving.objects():
        store.check(digest)


def test_what_is_fetched_is_told_byte_by_byte(store, serving, tmp_path):
    told = []
    materialise(store, serving.release_id, tmp_path / "release", progress=told.append)
    assert sum(told) == sum(file.bytes for _, file in serving.files())


def test_a_file_where_the_folder_should_be_is_left_alone(store, serving, tmp_path):
    (tmp_path / "release").write_text("mine")
    with pytest.raises(PlaceUnusable, match="in the way"):
        materialise(store, serving.release_id, tmp_path / "release")
    assert (tmp_path / "release").read_text() == "mine"
