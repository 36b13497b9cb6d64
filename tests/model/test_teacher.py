"""A cross-encoder as the teacher: told from an encoder by its folder, and asked pair by pair."""

from pathlib import Path

import numpy as np
import pytest

from perennial.errors import BadInput
from perennial.model.teacher import is_cross_encoder, load_cross_encoder

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "bees", "make", "honey", "ants"]


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """A cross-encoder of one tiny layer, with random weights."""
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    torch.manual_seed(1)
    made, folder = tmp_path / "made", tmp_path / "teacher"
    made.mkdir()
    (made / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizer(str(made / "vocab.txt")).save_pretrained(made)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=32,
        num_labels=1,
    )
    BertForSequenceClassification(config).save_pretrained(made)
    CrossEncoder(str(made), local_files_only=True).save_pretrained(str(folder))
    return folder


@pytest.mark.slow
def test_a_cross_encoder_scores_pairs_from_0_to_1(teacher: Path) -> None:
    assert is_cross_encoder(teacher)
    queries, documents = ["bees make", "ants"], ["honey bees", "ants", "make honey"]
    score = load_cross_encoder(teacher, queries=queries, documents=documents, batch_size=2)
    query, document = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 0])
    found = score(query, document)
    assert found.dtype == np.float32 and ((found > 0) & (found < 1)).all()
    assert np.allclose(found[1:2], score(query[1:2], document[1:2]), atol=1e-6)
    assert len(score(query[:0], document[:0])) == 0


def test_a_folder_that_can_carry_code_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"")
    with pytest.raises(BadInput, match=r"weights\.bin, which can carry code"):
        load_cross_encoder(tmp_path, queries=[], documents=[], batch_size=2)


def test_an_encoder_is_none(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["BertModel"]}')
    assert not is_cross_encoder(tmp_path)
