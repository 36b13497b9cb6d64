"""A checkpoint belongs to one set of inputs: train never continues from another's."""

from pathlib import Path

import pytest
from conftest import World
from small import digest_of, write_params
from tiny_encoder import write_encoder

from perennial.params.whole import Params
from perennial.workspace import Workspace


@pytest.fixture
def inputs(world: World, tmp_path: Path) -> tuple[Workspace, Params]:
    """All that train reads: the snapshot, the champion's encoder, and (made-up) triplets."""
    workspace = Workspace(world.write_workspace(tmp_path))
    write_encoder(workspace.champion / "encoder")
    triplets = workspace.artifacts("mine") / "triplets.parquet"
    triplets.parent.mkdir(parents=True)
    triplets.write_bytes(b"triplets")
    return workspace, write_params(workspace.params)


def test_the_same_inputs_continue_from_the_same_checkpoint(
    inputs: tuple[Workspace, Params],
) -> None:
    workspace, params = inputs
    other = write_params(workspace.params, {"gate": {"min_gain": 0.5}, "index": {"seed": 99}})
    assert digest_of(workspace, params) == digest_of(workspace, other)


@pytest.mark.parametrize(
    "change",
    [
        {"train": {"seed": 8}},
        {"train": {"learning_rate": 0.001}},
        {"train": {"epochs": 3}},
        {"split": {"salt": "another"}},
    ],
)
def test_other_parameters_have_a_checkpoint_of_their_own(
    inputs: tuple[Workspace, Params], change: dict[str, dict[str, object]]
) -> None:
    workspace, params = inputs
    assert digest_of(workspace, params) != digest_of(
        workspace, write_params(workspace.params, change)
    )


@pytest.mark.parametrize(
    "path",
    [
        "artifacts/mine/triplets.parquet",
        "snapshot/catalogue.parquet",
        "snapshot/champion/encoder/model.safetensors",
    ],
)
def test_other_bytes_have_a_checkpoint_of_their_own(
    inputs: tuple[Workspace, Params], path: str
) -> None:
    workspace, params = inputs
    before = digest_of(workspace, params)
    with (workspace.root / path).open("ab") as stream:
        stream.write(b"\0")
    assert digest_of(workspace, params) != before
