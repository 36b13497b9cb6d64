"""The benchmark of Ray's workers: its texts are distinct, and its table holds both sides."""

import pytest
from tiny_encoder import write_encoder

from infra.bench.ray import WORDS, measure, passages
from perennial.model.vectors import CHUNK


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_both_sides_are_measured_and_a_static_encoders_vectors_are_the_same(tmp_path):
    texts = passages(CHUNK + 50)
    assert len(set(texts)) == CHUNK + 50 and max(len(text.split()) for text in texts) == WORDS
    rows = {each["row"]: each for each in measure(write_encoder(tmp_path), texts, is_quick=True)}
    assert rows["vectors that are the same to the last bit"]["value"] == 1.0
    assert rows["one process"]["value"] > 0
