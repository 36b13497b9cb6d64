"""What a killed run needs to go on: weights, moments, history, and the negatives mined anew."""

import inspect
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn
from torch.autograd.graph import increment_version
from torch.optim import AdamW

from perennial.model.checkpoint import load_checkpoint, save_checkpoint
from perennial.model.history import Step, read_step
from perennial.model.losses.loss import Loss

# Without the hooks, which nobody sets here, and the import of torch's compiler around it.
_STEP = inspect.unwrap(AdamW.step)


class Resumable:
    """A run from its beginning, or from `checkpoint` where there is one."""

    def __init__(
        self,
        module: nn.Module,
        loss: Loss,
        *,
        checkpoint: Path | None,
        learning_rate: float,
        weight_decay: float,
    ) -> None:
        self._module, self._checkpoint = module, checkpoint
        _leave_the_compiler_out()
        self.learner = nn.ModuleList([module])
        if isinstance(loss, nn.Module):
            self.learner.append(loss)  # some learn, too
        self.optimizer = AdamW(
            [p for p in self.learner.parameters() if p.requires_grad],
            lr=learning_rate,
            weight_decay=weight_decay,
            fused=True,  # one pass over the weights and moments: 15 ms for 23 million, not 65
        )
        self.best = weights(module)
        self.history: list[Step] = []
        self.remined: list[tuple[int, float]] = []
        self.mined: dict[str, torch.Tensor] = {}
        if checkpoint and (
            restored := load_checkpoint(checkpoint, module=self.learner, optimizer=self.optimizer)
        ):
            self.best, progress, self.mined = restored
            self.history = [read_step(row) for row in progress["history"]]
            self.remined = [(epoch, share) for epoch, share in progress["remined"]]

    def step(self) -> None:
        """One step of the optimizer."""
        with torch.no_grad():
            _STEP(self.optimizer)
        # The fused one does not count its changes as such; a twin (narrow.py) looks at the count.
        increment_version(p for p in self.learner.parameters() if p.requires_grad)

    def save(self) -> None:
        """Write the checkpoint, if there is to be one."""
        if self._checkpoint:
            save_checkpoint(
                self._checkpoint,
                module=self.learner,
                best=self.best,
                optimizer=self.optimizer,
                progress={
                    "history": [asdict(step) for step in self.history],
                    "remined": self.remined,
                },
                mined=self.mined,
            )

    def keep_as_best(self) -> None:
        """Remember the weights of now as the best so far."""
        self.best = weights(self._module)


def _leave_the_compiler_out() -> None:
    """Methods of torch's optimizers import its compiler, seconds of each training, only to tell it
    to leave them alone. Nothing of this process is compiled: they are called as they are."""
    for name in ("add_param_group", "load_state_dict", "state_dict", "zero_grad"):
        method = inspect.unwrap(getattr(AdamW, name))
        vars(method)["__dynamo_disable"] = method


def weights(module: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of a module's weights."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
