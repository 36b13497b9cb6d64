"""Attention by plain products is transformers' own, on texts of any length, and its gradient."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tiny_encoder import things

from perennial.model.attention import attend_plainly
from perennial.model.trainable import TrainableTransformer, load_trainable

pytestmark = pytest.mark.slow


def load(directory: Path, *, attention: str | None) -> TrainableTransformer:
    model = load_trainable(directory, max_tokens=32, device=torch.device("cpu"))
    assert isinstance(model, TrainableTransformer)
    model.module.double().eval()
    if attention is not None:
        model.module[0].auto_model.set_attn_implementation(attention)  # type: ignore[index,operator]
    return model


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_vectors_and_gradients_are_those_of_transformers_own(
    tiny_bert: Path, attention: str
) -> None:
    texts = ["a", "word " * 40, *things().documents[:9], ""]
    found = []
    for model in (load(tiny_bert, attention=None), load(tiny_bert, attention=attention)):
        vectors = model.embed(model.prepare(texts), np.arange(len(texts)))
        torch.autograd.backward((vectors @ vectors.T).square().sum())
        learned = [p.grad for p in model.module.parameters() if p.grad is not None]
        found.append([vectors.detach(), *learned])
    assert len(found[0]) == len(found[1]) > 10
    for one, two in zip(*found, strict=True):
        assert torch.allclose(one, two, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("kind", "attention"), [("Bert", "plain-products"), ("XLMRoberta", "plain-products"),
                            ("Qwen3", "eager"), ("Gemma3Text", "eager")]
)  # fmt: skip
def test_attention_that_is_more_than_scores_and_a_mask_stays_transformers_own(
    kind: str, attention: str
) -> None:
    sizes = {
        "hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
        "num_hidden_layers": 1, "intermediate_size": 16, "vocab_size": 9, "pad_token_id": 0,
    }  # fmt: skip
    model = getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**sizes))
    attend_plainly(model)
    assert model.config._attn_implementation == attention


def test_what_is_saved_names_no_attention_of_ours(tiny_bert: Path, tmp_path: Path) -> None:
    load(tiny_bert, attention=None).save(tmp_path / "saved")
    for path in (tmp_path / "saved").rglob("*.json"):
        assert "plain-products" not in json.dumps(json.loads(path.read_text())), path
