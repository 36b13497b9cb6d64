"""The search service with the ONNX graph: the same answers without torch, or none at all."""

import math
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from damage import flip, overwrite
from tiny_bridge import publish_bridge
from tiny_encoder import things
from tiny_increment import publish_increment
from tiny_onnx import export, with_other_weights, write_indexed
from tiny_release import NOON, fast_folder, publish_folders

from perennial.errors import BadInput, EncoderMismatch, IntegrityError
from perennial.model.digest import file_digest
from perennial.model.onnx.encoder import OnnxEncoder
from perennial.release.manifests.manifest import read_manifest
from perennial.release.publishing.exported import publish_exported
from perennial.release.publishing.publish import promote, publish
from perennial.release.stores.local import LocalStore
from perennial.serving.searcher import Searcher

pytestmark = pytest.mark.slow
SAID = {"now": NOON, "why": "because", "who": "test"}
PROGRAM = """
import sys
from pathlib import Path
from perennial.release.stores.local import LocalStore
from perennial.serving.searcher import Searcher

store, cache, query = LocalStore(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]
searcher = Searcher.open(store, "production", cache, runtime="onnx")
print(*(hit.doc_id for hit in searcher.search(query, k=5).hits))
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    from tiny_bert import write_tiny_bert

    return write_tiny_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def folders(bert, tmp_path_factory):
    return write_indexed(tmp_path_factory.mktemp("indexed"), bert)


@pytest.fixture(scope="module")
def exported(bert, tmp_path_factory):
    return export(bert, tmp_path_factory.mktemp("exported"))


@pytest.fixture
def tmp_path():
    with fast_folder() as place:
        yield place


@pytest.fixture
def store(tmp_path, folders):
    """Production serves a transformer without a graph."""
    store = LocalStore(tmp_path / "store")
    promote(store, "production", publish_folders(store, folders).release_id, **SAID)
    return store


@pytest.fixture
def plain(store):
    stable = store.read_channel("production").stable
    return read_manifest(store.manifest_bytes(stable), release_id=stable)


@pytest.fixture
def graphed(store, plain, exported):
    """The same release with its graph, served."""
    manifest = publish_exported(store, plain, exported, created_at=NOON)
    promote(store, "production", manifest.release_id, **SAID)
    return manifest


def test_it_answers_as_torch_does(store, graphed, tmp_path):
    with (
        Searcher.open(store, "production", tmp_path / "a", math.inf, runtime="onnx") as ours,
        Searcher.open(store, "production", tmp_path / "b", math.inf) as theirs,
    ):
        assert isinstance(ours.release.encoder, OnnxEncoder)
        assert not isinstance(theirs.release.encoder, OnnxEncoder)
        answers = zip(
            ours.search_many(things().queries, 10),
            theirs.search_many(things().queries, 10),
            strict=True,
        )
        for one, other in answers:
            assert one.release_id == other.release_id == graphed.release_id
            assert [hit.doc_id for hit in one.hits] == [hit.doc_id for hit in other.hits]
            assert [hit.score for hit in one.hits] == pytest.approx(
                [hit.score for hit in other.hits], abs=1e-5
            )


def test_it_needs_neither_torch_nor_sentence_transformers(store, graphed, tmp_path):
    query = things().queries[7]
    command = [sys.executable, "-W", "error", "-c", PROGRAM, store.root, tmp_path / "cache", query]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found, modules = done.stdout.splitlines()
    with Searcher.open(store, "production", tmp_path / "torch", math.inf) as searcher:
        assert found.split() == [hit.doc_id for hit in searcher.search(query, k=5).hits]
    forbidden = {"torch", "sentence_transformers", "transformers", "onnx", "onnxscript"}
    assert not forbidden & set(modules.split())


@pytest.mark.parametrize("name", ["graph", "tokenizer"])
def test_a_flipped_byte_is_refused_before_it_is_parsed(store, graphed, tmp_path, name):
    file = getattr(graphed.onnx, name)
    flip(store.root / "objects" / file.digest[7:9] / file.digest[7:], file.bytes // 2)
    with pytest.raises(IntegrityError, match=file.digest):
        Searcher.open(store, "production", tmp_path / "cache", math.inf, runtime="onnx")


@pytest.mark.parametrize("name", ["graph", "tokenizer"])
def test_a_reader_mends_what_rotted_in_its_own_copy(store, graphed, tmp_path, name):
    cache, file = tmp_path / "cache", getattr(graphed.onnx, name)
    with Searcher.open(store, "production", cache, math.inf, runtime="onnx"):
        path = cache / "releases" / graphed.release_id / "onnx" / file.path
        overwrite(path, path.read_bytes()[:-1] + b"\0")
    with Searcher.open(store, "production", cache, math.inf, runtime="onnx") as searcher:
        assert searcher.search(things().queries[0]).hits
    assert file_digest(path) == file.digest


def test_a_release_without_a_graph_is_not_served_with_it(store, plain, tmp_path):
    with pytest.raises(BadInput, match=f"{plain.encoder.digest}.*perennial export onnx"):
        Searcher.open(store, "production", tmp_path / "cache", math.inf, runtime="onnx")


def test_a_searcher_keeps_its_release_where_the_next_has_no_graph(store, graphed, bert, tmp_path):
    with Searcher.open(store, "production", tmp_path / "cache", math.inf, runtime="onnx") as ours:
        other = with_other_weights(bert, tmp_path / "other")
        newer = publish_folders(store, write_indexed(tmp_path / "newer", other))
        promote(store, "production", newer.release_id, **SAID)
        assert not ours.refresh()
        assert f"{newer.release_id} has no ONNX graph" in str(ours.problem)
        assert ours.search(things().queries[0]).release_id == graphed.release_id


def test_the_graph_of_another_encoder_is_not_published(store, plain, bert, tmp_path):
    other = with_other_weights(bert, tmp_path / "other")
    exported = export(other, tmp_path / "graph")
    both = f"{exported.encoder_digest}.*{plain.encoder.digest}"
    with pytest.raises(EncoderMismatch, match=both):
        publish_exported(store, plain, exported, created_at=NOON)


def test_a_whole_release_is_published_with_its_graph(store, folders, exported, tmp_path):
    whole = {"encoder": folders.encoder, "index": folders.index, "references": folders.references}
    about = {"catalogue": folders.catalogue, "health": {}, "provenance": {}, "parent": None}
    made = publish(store, **whole, **about, created_at=NOON, exported=exported)
    promote(store, "production", made.release_id, **SAID)
    with Searcher.open(store, "production", tmp_path / "cache", math.inf, runtime="onnx") as ours:
        assert ours.search(things().queries[0]).release_id == made.release_id
    stranger = replace(exported, encoder_digest="sha256:" + "2" * 64)
    with pytest.raises(BadInput, match=f"{stranger.encoder_digest}.*{made.encoder.digest}"):
        publish(store, **whole, **about, created_at=NOON, exported=stranger)


def test_a_manifest_with_the_graph_of_another_encoder_is_refused(graphed):
    wrong = replace(graphed.onnx, encoder="sha256:" + "1" * 64)
    made = replace(graphed, onnx=wrong).named()
    with pytest.raises(EncoderMismatch, match=f"{wrong.encoder}.*{graphed.encoder.digest}"):
        read_manifest(made.to_bytes(), release_id=made.release_id)


def test_a_graph_of_another_encoder_under_the_right_name_is_refused(store, plain, bert, tmp_path):
    other = with_other_weights(bert, tmp_path / "other")
    theirs = export(other, tmp_path / "graph")
    careless = replace(theirs, encoder_digest=plain.encoder.digest)
    made = publish_exported(store, plain, careless, created_at=NOON)
    promote(store, "production", made.release_id, **SAID)
    both = f"{theirs.encoder_digest}.*{plain.encoder.digest}"
    with pytest.raises(EncoderMismatch, match=both):
        Searcher.open(store, "production", tmp_path / "cache", math.inf, runtime="onnx")


@pytest.mark.parametrize(
    "change", [{"texts": 999}, {"max_difference": 2e-4}, {"mean_difference": float("nan")}]
)
def test_a_graph_that_was_not_proven_is_no_part_of_a_release(store, plain, exported, change):
    unproven = replace(exported, proof=replace(exported.proof, **change))
    with pytest.raises(BadInput):
        publish_exported(store, plain, unproven, created_at=NOON)
    assert store.pending() == []


def test_what_changed_after_its_proof_is_not_published(store, plain, exported, tmp_path):
    changed = replace(exported, folder=shutil.copytree(exported.folder, tmp_path / "changed"))
    flip(changed.folder / "model.onnx", 2_000)
    with pytest.raises(BadInput, match=f"{exported.digests[0]}.* were proven equal"):
        publish_exported(store, plain, changed, created_at=NOON)


def test_a_reindex_keeps_the_graph_and_the_searcher_its_session(store, graphed, tmp_path):
    query = things().queries[0]
    with Searcher.open(store, "production", tmp_path / "cache", math.inf, runtime="onnx") as ours:
        session, found = ours.release.encoder, ours.search(query, k=2).hits
        gone = {found[0].doc_id}
        after = publish_increment(store, graphed, tmp_path / "increment", add={}, remove=gone)
        assert after.onnx == graphed.onnx
        promote(store, "production", after.release_id, **SAID)
        assert ours.refresh()
        assert ours.release.encoder is session
        assert ours.search(query, k=1).hits[0].doc_id == found[1].doc_id


def test_a_static_encoder_is_read_by_numpy_whatever_the_runtime(first, tmp_path):
    store = LocalStore(tmp_path / "static")
    promote(store, "production", publish_folders(store, first).release_id, **SAID)
    with Searcher.open(store, "production", tmp_path / "cache", math.inf, runtime="onnx") as ours:
        assert ours.search("word7", k=1).hits[0].doc_id == "first-7"


def test_an_unknown_runtime_is_bad_input(store, tmp_path):
    with pytest.raises(BadInput, match="'tensorrt' is unknown; set PERENNIAL_RUNTIME to torch or"):
        Searcher.open(store, "production", tmp_path / "cache", math.inf, runtime="tensorrt")


def test_a_bridge_leaves_the_graph_of_the_encoder_before_behind(store, first, graphed, tmp_path):
    static = publish_folders(store, first)
    claimed = replace(static, onnx=replace(graphed.onnx, encoder=static.encoder.digest)).named()
    assert publish_bridge(store, claimed, first, tmp_path / "bridged").onnx is None
