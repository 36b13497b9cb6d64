"""An exported encoder is its encoder, byte for byte the same each time, and says whose it is."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from tiny_bert import DIMENSION
from tiny_encoder import things, write_encoder
from tiny_onnx import export, texts, with_other_weights

from perennial.errors import BadInput, EncoderMismatch, Refused
from perennial.model.digest import directory_digest
from perennial.model.encoder import load_encoder
from perennial.model.onnx.encoder import GRAPH, TOKENIZER, OnnxEncoder
from perennial.model.onnx.graph import export_graph
from perennial.model.onnx.proof import MAX_DIFFERENCE, TEXTS, proof_texts, prove_equal


@pytest.fixture(scope="module")
def exported(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    export(tiny_bert, folder)
    return folder


@pytest.fixture(scope="module")
def encoder(tiny_bert: Path, exported: Path) -> OnnxEncoder:
    return OnnxEncoder(exported, digest=directory_digest(tiny_bert))


@pytest.mark.slow
def test_it_gives_the_vectors_of_torch_on_a_thousand_texts(tiny_bert, encoder):
    proof = prove_equal(encoder, load_encoder(tiny_bert), texts())
    assert proof.texts == TEXTS
    assert 0 <= proof.mean_difference <= proof.max_difference < MAX_DIFFERENCE / 100


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 1, 2, 33])
def test_it_takes_any_number_of_texts_of_any_length(tiny_bert, encoder, size):
    given = [" ".join(["array"] * (7 * i % 200)) for i in range(size)]
    vectors = encoder.encode(given)
    assert (vectors.shape, vectors.dtype) == ((size, DIMENSION), np.float32)
    np.testing.assert_allclose(vectors, load_encoder(tiny_bert).encode(given), atol=1e-5)
    for text, row in zip(given, vectors, strict=True):
        np.testing.assert_allclose(encoder.encode([text])[0], row, atol=1e-5)


@pytest.mark.slow
def test_it_says_what_its_encoder_says_of_itself(tiny_bert, encoder):
    original = load_encoder(tiny_bert)
    assert encoder.digest == original.digest
    assert (encoder.dimension, encoder.max_tokens) == (original.dimension, original.max_tokens)


@pytest.mark.slow
def test_the_same_encoder_gives_the_same_bytes(tiny_bert, exported, tmp_path):
    export_graph(tiny_bert, tmp_path, digest=directory_digest(tiny_bert))
    for name in (GRAPH, TOKENIZER):
        assert (tmp_path / name).read_bytes() == (exported / name).read_bytes()


@pytest.mark.slow
def test_the_graph_names_no_place_of_the_machine_that_made_it(tiny_bert, exported):
    data = (exported / GRAPH).read_bytes()
    for place in (Path(__file__).parents[2], Path(np.__file__).parents[1], tiny_bert):
        assert str(place).encode() not in data


@pytest.mark.slow
def test_the_graph_is_one_file_of_standard_operators(exported):
    model = onnx.load(exported / GRAPH, load_external_data=False)
    assert {node.domain for node in model.graph.node} == {""}
    assert not any(tensor.external_data for tensor in model.graph.initializer)


@pytest.mark.slow
def test_the_graph_of_another_encoder_is_refused_with_both_digests(tiny_bert, exported, tmp_path):
    other = directory_digest(with_other_weights(tiny_bert, tmp_path / "other"))
    with pytest.raises(EncoderMismatch, match=f"{directory_digest(tiny_bert)}.*{other}"):
        OnnxEncoder(exported, digest=other)


@pytest.mark.slow
def test_a_graph_that_lies_about_its_encoder_does_not_pass_the_proof(tiny_bert, tmp_path):
    other, digest = with_other_weights(tiny_bert, tmp_path / "other"), directory_digest(tiny_bert)
    export_graph(other, tmp_path / "lie", digest=digest)
    with pytest.raises(Refused, match=f"differs from {digest}"):
        prove_equal(OnnxEncoder(tmp_path / "lie", digest=digest), load_encoder(tiny_bert), texts())


@pytest.mark.slow
def test_what_is_no_graph_is_refused_in_a_sentence(tiny_bert, exported, tmp_path):
    (tmp_path / GRAPH).write_bytes((exported / GRAPH).read_bytes()[:1000])
    with pytest.raises(BadInput, match="does not load in onnxruntime") as refused:
        OnnxEncoder(tmp_path, digest=directory_digest(tiny_bert))
    assert "\n" not in str(refused.value)


def test_a_static_encoder_is_not_exported(tmp_path):
    encoder = write_encoder(tmp_path / "static")
    with pytest.raises(BadInput, match=r"static.*nothing to export"):
        export_graph(encoder, tmp_path / "to", digest=directory_digest(encoder))
    assert not (tmp_path / "to").exists()


def test_the_proof_finds_the_one_text_that_differs(tmp_path):
    ours, theirs = (load_encoder(write_encoder(tmp_path / name)) for name in ("ours", "theirs"))
    assert prove_equal(ours, theirs, texts()).max_difference < 1e-15
    token = ours._tokenizer.encode(things().queries[3], add_special_tokens=False).ids[0]
    ours._vectors[token] += 0.1
    with pytest.raises(Refused, match=r"1 - cosine, at most 0\.0001 on each of 1,000 texts"):
        prove_equal(ours, theirs, texts())


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_vector_of_nothing_equals_no_other(tmp_path, value):
    ours, theirs = (load_encoder(write_encoder(tmp_path / name)) for name in ("ours", "theirs"))
    ours._vectors[:] = value
    with pytest.raises(Refused, match="differs"):
        prove_equal(ours, theirs, [things().queries[0]])


def test_the_texts_of_a_proof_are_a_thousand_different_ones():
    found = texts()
    assert len(set(found)) == len(found) == TEXTS
    assert {*things().queries, *things().documents} < set(found)
    assert found == texts()


def test_few_texts_give_few_and_none_twice():
    assert len(proof_texts([], ["one two"])) < TEXTS
    assert "one two" in proof_texts([], ["one two"])
