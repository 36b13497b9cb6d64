"""A training run's state on disk, without pickle: tensors as safetensors, the rest as JSON in it.

One file, written beside and renamed over: a kill leaves the old one or the new one.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from perennial.errors import PlaceUnusable


def save_checkpoint(
    path: Path,
    *,
    module: torch.nn.Module,
    best: dict[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
    progress: dict[str, Any],
    mined: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write weights, best weights, the optimizer's moments, `progress` (plain values), and the
    negatives that were `mined` anew since the run began.

    Raises PlaceUnusable where the disk is full.
    """
    tensors = {f"module.{name}": value for name, value in module.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in best.items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
    tensors |= {f"mined.{name}": value for name, value in (mined or {}).items()}
    beside = path.with_suffix(".partial")
    try:
        save_file(
            {name: value.detach().clone().contiguous() for name, value in tensors.items()},
            beside,
            metadata={"progress": json.dumps(progress)},
        )
    except SafetensorError as error:
        raise PlaceUnusable(
            f"cannot write the checkpoint {beside}: {error}; free some space and run again to "
            "continue"
        ) from error
    with beside.open("rb") as stream:
        os.fsync(stream.fileno())
    beside.replace(path)


def load_checkpoint(
    path: Path, *, module: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, torch.Tensor], dict[str, Any], dict[str, torch.Tensor]] | None:
    """Restore module and optimizer in place; (best weights, progress, mined negatives), or None
    without a file."""
    try:
        with safe_open(path, framework="pt") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
            progress = json.loads(stream.metadata()["progress"])
    except (FileNotFoundError, SafetensorError):
        return None
    module.load_state_dict(_below("module.", tensors))
    state = optimizer.state_dict()
    for name, value in _below("optimizer.", tensors).items():
        number, _, field = name.partition(".")
        state["state"].setdefault(int(number), {})[field] = value
    optimizer.load_state_dict(state)
    return _below("best.", tensors), progress, _below("mined.", tensors)


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}
