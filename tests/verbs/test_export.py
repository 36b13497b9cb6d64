"""export: the release that serves, with a graph of its encoder, through the command line."""

import json

import pytest
from damage import flip

from perennial.release.manifests.manifest import read_manifest
from perennial.release.stores.local import LocalStore

pytestmark = pytest.mark.slow


@pytest.fixture
def serving(run, home, company, tmp_path):
    """A home whose champion is a tiny BERT."""
    import shutil

    from tiny_bert import write_tiny_bert

    shutil.copytree(company / "source", home / "source")
    code, _, err = run("bootstrap", "--encoder", write_tiny_bert(tmp_path / "bert"))
    assert code == 0, err
    return home


def stable(home):
    store = LocalStore(home / "store")
    channel = store.read_channel("production")
    return read_manifest(store.manifest_bytes(channel.stable), release_id=channel.stable)


def test_the_same_release_is_served_with_a_graph_and_finds_the_same(run, serving, monkeypatch):
    before = stable(serving)
    code, found, _ = run("search", "bo", "--json")
    assert code == 0
    code, out, err = run("export", "onnx", "--json")
    assert code == 0, err
    about, after = json.loads(out), stable(serving)
    assert about["release_id"] == after.release_id != before.release_id
    assert (after.parent, after.encoder, after.index) == (
        before.release_id,
        before.encoder,
        before.index,
    )
    assert about["onnx"]["texts"] == 1_000
    assert about["onnx"]["encoder"] == before.encoder.digest
    assert about["onnx"]["max_difference"] < 1e-6
    monkeypatch.setenv("PERENNIAL_RUNTIME", "onnx")
    code, ours, _ = run("search", "bo", "--json")
    assert code == 0
    ours, theirs = (json.loads(each)["hits"] for each in (ours, found))
    assert [hit["doc_id"] for hit in ours] == [hit["doc_id"] for hit in theirs]
    code, again, err = run("export", "onnx")
    assert (code, stable(serving)) == (0, after)
    assert "has a graph already" in err and after.release_id in again


def test_without_a_graph_the_search_says_what_to_do(run, serving, monkeypatch):
    monkeypatch.setenv("PERENNIAL_RUNTIME", "onnx")
    code, out, err = run("search", "bo")
    assert (code, out) == (2, "")
    assert "perennial export onnx" in err and err.count("\n") == 1


def test_a_damaged_encoder_is_not_exported(run, serving):
    before = stable(serving)
    (file,) = (f for f in before.encoder.files if f.path == "model.safetensors")
    flip(serving / "store" / "objects" / file.digest[7:9] / file.digest[7:], file.bytes // 2)
    code, out, err = run("export", "onnx")
    assert (code, out) == (3, "")
    assert file.digest in err
    assert stable(serving) == before


def test_a_static_encoder_needs_no_graph(run, running):
    before = stable(running)
    code, out, err = run("export", "onnx")
    assert (code, out) == (2, "")
    assert "is static: numpy alone answers with it" in err.splitlines()[-1]
    assert stable(running) == before


def test_an_unknown_runtime_is_bad_input(run, running, monkeypatch):
    monkeypatch.setenv("PERENNIAL_RUNTIME", "tensorrt")
    code, out, err = run("search", "bo")
    assert (code, out) == (2, "")
    assert "'tensorrt' is unknown; set PERENNIAL_RUNTIME to torch or onnx" in err
