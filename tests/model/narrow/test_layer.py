"""A layer in few passes: what it computes, and teaches, is what transformers' own would."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_bert import write_tiny_bert
from tiny_encoder import things

from perennial.model.narrow.layer import Layer
from perennial.model.narrow.twin import Twin
from perennial.model.trainable import TrainableTransformer, load_trainable

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("layers"), layers=2, dropout=0.1)


def load(directory: Path, **more: float | None) -> TrainableTransformer:
    model = load_trainable(directory, max_tokens=32, device=torch.device("cpu"), **more)  # type: ignore[arg-type]
    assert isinstance(model, TrainableTransformer)
    return model


def layers(twin: Twin) -> int:
    return sum(isinstance(part, Layer) for part in twin.current().modules())


@pytest.mark.parametrize("rows", [list(range(12)), [0, 0, 0]])
@pytest.mark.parametrize("teaching", [slice(None), slice(1, 3), slice(0)])
def test_vectors_and_gradients_are_those_of_the_wide_layers(
    directory: Path, rows: list[int], teaching: slice
) -> None:
    """In float32, so that nothing but the way differs; texts of one length and of several, and
    some that teach nothing and have no way back."""
    texts = ["a", "word " * 40, *things().documents[:9], ""]
    found = []
    for is_twin in (False, True):
        model = load(directory, dropout=0.0)
        twin = Twin(model.module, torch.float32)
        assert layers(twin) == 2
        model._twin = twin if is_twin else None
        vectors = model.embed(model.prepare(texts), np.array(rows))
        torch.autograd.backward((vectors @ vectors[:1].T)[teaching].pow(3).sum())
        names = model.module.named_parameters()
        found.append({"": vectors} | {n: p.grad for n, p in names if p.grad is not None})
    assert found[0].keys() == found[1].keys() and len(found[0]) > 30
    for name, wanted in found[0].items():
        assert torch.allclose(wanted, found[1][name], rtol=1e-4, atol=2e-5), name


def test_a_mask_that_is_given_by_its_name_hides_padding(directory: Path) -> None:
    whole = load(directory, dropout=0.0).module[0].auto_model  # type: ignore[index,union-attr]
    layer = Layer(whole.encoder.layer[0], torch.float32)  # type: ignore[arg-type,index,union-attr]
    hidden = torch.randn(1, 3, whole.config.hidden_size)  # type: ignore[arg-type,union-attr]
    mask = torch.tensor([True, True, False]).view(1, 1, 1, 3)
    masked = layer(hidden, attention_mask=mask)
    assert torch.equal(masked, layer(hidden, mask))
    assert not torch.allclose(masked, layer(hidden))


def test_layers_that_drop_or_bend_otherwise_stay_as_they_are(directory: Path) -> None:
    assert layers(Twin(load(directory, dropout=None).module, torch.bfloat16)) == 0
    model = load(directory, dropout=0.0)
    first = model.module[0].auto_model.encoder.layer[0]  # type: ignore[index,union-attr]
    first.intermediate.intermediate_act_fn = torch.nn.ReLU()  # type: ignore[union-attr]
    assert layers(Twin(model.module, torch.bfloat16)) == 1
