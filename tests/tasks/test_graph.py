"""A candidate gets an ONNX graph where its champion has one, once, and never another encoder's."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import build_world
from damage import flip
from tiny_encoder import write_encoder

from perennial.model.digest import directory_digest, file_digest
from perennial.model.encoder import load_encoder
from perennial.model.onnx.encoder import GRAPH, OnnxEncoder
from perennial.params.reading import load_params
from perennial.workspace import Places, Workspace
from tasks.graph import candidate_graph
from tasks.run import Run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    from tiny_bert import write_tiny_bert

    return write_tiny_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture
def run(tmp_path):
    """A run after its index stage, as far as an export looks; its champion has a graph."""
    workspace = Workspace(
        build_world(documents=150, queries=100, requests=60).write_workspace(tmp_path)
    )
    workspace.champion.mkdir(parents=True)
    (workspace.champion / "manifest.json").write_text(json.dumps({"onnx": {"texts": 1000}}))
    references = workspace.artifacts("index") / "references"
    references.mkdir(parents=True)
    pq.write_table(pa.table({"query": ["how to sort", "dot"]}), references / "queries.parquet")
    places, params = Places.from_environment({}), load_params(workspace.params)
    return Run(workspace, places, params, "production", "")


def trained(run, encoder: Path) -> Path:
    to = run.workspace.artifacts("train") / "encoder"
    shutil.rmtree(to, ignore_errors=True)
    return shutil.copytree(encoder, to)


def test_it_is_exported_once_and_proven(run, bert):
    encoder = load_encoder(trained(run, bert))
    made = candidate_graph(run)
    assert (made.encoder_digest, made.proof.texts) == (encoder.digest, 1_000)
    ours = OnnxEncoder(made.folder, digest=encoder.digest)
    asked = ["how to sort", "dot"]
    np.testing.assert_allclose(ours.encode(asked), encoder.encode(asked), atol=1e-5)
    written = (made.folder / GRAPH).stat().st_mtime_ns
    assert candidate_graph(run) == made
    assert (made.folder / GRAPH).stat().st_mtime_ns == written, "a continued run exports again"


def test_a_graph_that_rotted_meanwhile_is_exported_again(run, bert):
    trained(run, bert)
    made = candidate_graph(run)
    flip(made.folder / GRAPH, 2_000)
    assert candidate_graph(run) == made
    assert file_digest(made.folder / GRAPH) == made.digests[0]


def test_an_encoder_that_was_trained_again_is_exported_again(run, bert, tmp_path):
    from tiny_onnx import with_other_weights

    trained(run, bert)
    first = candidate_graph(run)
    before = file_digest(first.folder / GRAPH)
    other = trained(run, with_other_weights(bert, tmp_path / "other"))
    again = candidate_graph(run)
    assert again.encoder_digest == directory_digest(other) != first.encoder_digest
    assert file_digest(again.folder / GRAPH) != before
    OnnxEncoder(again.folder, digest=again.encoder_digest)


def test_a_static_candidate_and_one_that_nobody_asked_for_get_none(run, bert, tmp_path):
    trained(run, write_encoder(tmp_path / "static"))
    assert candidate_graph(run) is None
    trained(run, bert)
    (run.workspace.champion / "manifest.json").write_text("{}")
    assert candidate_graph(run) is None
