"""The encoder that training starts from, ready to learn, and what it cannot be asked for."""

from pathlib import Path

import numpy as np
import torch

from perennial.errors import BadInput
from perennial.model.trainable import Trainable, load_trainable
from perennial.params.train import Train


def load_base(root: Path, section: Train, *, device: torch.device) -> Trainable:
    """The folder train.base below `root`; raises BadInput where there is none, or it is narrower
    than the widths that are asked of it."""
    folder = root / section.base
    if not folder.is_dir():
        raise BadInput(
            f"train.base is {section.base!r}, and there is no such folder in {root.resolve()}; "
            "nothing is fetched while it trains: where that is a name on the Hugging Face hub, run "
            f"`hf download {section.base} --local-dir FOLDER` and set train.base to that FOLDER"
        )
    model = load_trainable(
        folder,
        max_tokens=section.max_tokens,
        device=device,
        budget=section.tokens_per_forward,
        precision=torch.bfloat16 if section.precision == "bf16" else torch.float32,
        dropout=section.dropout,
        freeze_layers=section.freeze_layers,
    )
    full = width_of(model)
    asked = {"train.dimension": [section.dimension or 2], "train.dimensions": section.dimensions}
    for name, widths in asked.items():
        if widths and max(widths) > full:
            raise BadInput(
                f"{name} asks for {max(widths)} dimensions, but the encoder in {section.base} has "
                f"{full}; choose no more, or another train.base"
            )
    return model


@torch.no_grad()
def width_of(model: Trainable) -> int:
    """The coordinates of its vectors."""
    return int(model.embed(model.prepare(["text"]), np.arange(1)).shape[1])


def taught_widths(section: Train, *, full: int) -> list[int]:
    """The widths beside the full one that the loss looks at; what is released is among them."""
    released = [] if section.dimension is None else [section.dimension]
    return sorted({*section.dimensions, *released} - {full})
