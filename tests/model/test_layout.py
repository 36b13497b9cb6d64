"""What a SentenceTransformer directory may hold: nothing that could run code."""

import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from tiny_encoder import DIMENSION, write_encoder

from perennial.errors import BadInput
from perennial.model.encoder import load_encoder
from perennial.model.layout import UNSAFE_SUFFIXES, is_static, read_modules
from perennial.model.trainable import Trainable, load_trainable


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return write_encoder(tmp_path / "encoder")


def load_learner(encoder: Path) -> Trainable:
    return load_trainable(encoder, max_tokens=32, device=torch.device("cpu"))


def change(encoder: Path, **fields: str) -> Path:
    modules = json.loads((encoder / "modules.json").read_text())
    modules[0] |= fields
    (encoder / "modules.json").write_text(json.dumps(modules))
    return encoder


def test_our_own_encoders_are_allowed_and_static(encoder: Path) -> None:
    names = [row["type"].rpartition(".")[2] for row in read_modules(encoder)]
    assert names == ["StaticEmbedding", "Normalize"] and is_static(encoder)


@pytest.mark.parametrize(
    "foreign",
    [
        "evil.StaticEmbedding",
        "modeling.MyModel",
        "sentence_transformers.models.CLIPModel",
        "sentence_transformers_evil.models.Normalize",
        "os.system",
        "",
    ],
)
def test_a_module_off_the_allow_list_is_refused_by_name(encoder: Path, foreign: str) -> None:
    with pytest.raises(BadInput, match=rf"module {foreign} is not on the allow-list"):
        load_encoder(change(encoder, type=foreign))


@pytest.mark.parametrize("path", ["..", "../elsewhere", "/etc"])
def test_a_module_outside_of_the_directory_is_refused(encoder: Path, path: str) -> None:
    with pytest.raises(BadInput, match="outside of"):
        load_encoder(change(encoder, path=path))


@pytest.mark.parametrize("suffix", [*sorted(UNSAFE_SUFFIXES), ".BIN", ".Pkl"])
def test_a_file_that_can_carry_code_is_refused_wherever_it_lies(encoder: Path, suffix: str) -> None:
    (encoder / "deep" / "er").mkdir(parents=True)
    (encoder / "deep" / "er" / f"weights{suffix}").write_bytes(b"")
    with pytest.raises(BadInput, match=rf"weights{suffix}, which can carry code"):
        load_encoder(encoder)


@pytest.mark.parametrize("text", [None, "not json", "7", '{"a": 1}', '["a"]', '[{"type": "x"}]'])
def test_a_folder_without_a_readable_layout_is_refused(encoder: Path, text: str | None) -> None:
    if text is None:
        (encoder / "modules.json").unlink()
    else:
        (encoder / "modules.json").write_text(text)
    with pytest.raises(BadInput, match=r"is not a SentenceTransformer directory"):
        load_encoder(encoder)


@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors"])
def test_a_static_encoder_without_a_part_names_it(encoder: Path, name: str) -> None:
    (encoder / name).unlink()
    with pytest.raises(BadInput, match=rf"{name} cannot be read"):
        load_encoder(encoder)


@pytest.mark.parametrize(("cut", "is_refused"), [(DIMENSION - 1, True), (DIMENSION, False)])
def test_an_encoder_that_encodes_cut_but_trains_whole_is_refused(
    encoder: Path, cut: int, is_refused: bool
) -> None:
    config = encoder / "config_sentence_transformers.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"truncate_dim": cut}))
    wanted = rf"cuts its {DIMENSION} coordinates to {cut} .*set train.dimension to {cut}"
    for load in (load_encoder, load_learner):
        with pytest.raises(BadInput, match=wanted) if is_refused else nullcontext():
            load(encoder)


@pytest.mark.slow
@pytest.mark.parametrize("is_refused", [True, False])
def test_a_transformer_that_encodes_cut_is_refused_too(
    tiny_bert: Path, tmp_path: Path, is_refused: bool
) -> None:
    copy = shutil.copytree(tiny_bert, tmp_path / "copy")
    config = copy / "config_sentence_transformers.json"
    cut = 5 if is_refused else 16
    config.write_text(json.dumps(json.loads(config.read_text()) | {"truncate_dim": cut}))
    for load in (load_encoder, load_learner):
        with pytest.raises(BadInput, match="to 5 when it enc") if is_refused else nullcontext():
            load(copy)


def test_a_static_module_in_a_folder_of_its_own_is_found(encoder: Path) -> None:
    before = load_encoder(encoder).encode(["some words"])
    (encoder / "0_StaticEmbedding").mkdir()
    for name in ("tokenizer.json", "model.safetensors"):
        (encoder / name).rename(encoder / "0_StaticEmbedding" / name)
    after = load_encoder(change(encoder, path="0_StaticEmbedding")).encode(["some words"])
    assert (before == after).all()
