"""The processes that train one encoder together: what each embeds, and what they tell each other.

Embeddings are small beside the activations behind them: all processes get all of a batch's vectors
and compute the one loss over them, so that every negative counts on every device, with its
gradient, whatever the loss. What remains is one sum over the weights' gradients in a step.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
import torch
import torch.distributed as dist

from perennial.errors import BadInput, TeamBroke

_PATIENCE = timedelta(minutes=10)  # for the slowest step of the slowest process


class Team:
    """One process alone, or one of `size` of them, with its `rank` from 0."""

    def __init__(self, *, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    @property
    def is_first(self) -> bool:
        """Whether this one writes the files and speaks to people."""
        return self.rank == 0

    def shares(self, lengths: np.ndarray) -> list[np.ndarray]:
        """(n,) token counts to the positions that each process embeds; about the same work each.

        A function of the lengths and the size: longest first, dealt there and back.
        """
        if self.size == 1:
            return [np.arange(len(lengths))]
        order = np.argsort(-lengths, kind="stable")
        turn = np.arange(len(order)) % (2 * self.size)
        dealt_to = np.minimum(turn, 2 * self.size - 1 - turn)
        return [np.sort(order[dealt_to == rank]) for rank in range(self.size)]

    def gather(
        self, vectors: Sequence[torch.Tensor], cuts: Sequence[np.ndarray], shares: list[np.ndarray]
    ) -> torch.Tensor:
        """This process's vectors at the positions `cuts`, and all others', to (n, d) of all.

        Every process has one vector at least.
        """
        total = sum(len(share) for share in shares)
        every = torch.zeros(total, vectors[0].shape[1], dtype=vectors[0].dtype).to(
            vectors[0].device
        )
        for cut, part in zip(cuts, vectors, strict=True):
            every[torch.from_numpy(cut).to(every.device)] = part
        if self.size > 1:
            with _one_sentence():
                dist.all_reduce(every)  # of zeros and one value each: exact
        return every

    def agrees(self, mark: str) -> bool:
        """Whether all processes are called with one and the same mark."""
        if self.size == 1:
            return True
        number = int.from_bytes(hashlib.sha256(mark.encode()).digest()[:7], "big")
        least_and_most = torch.tensor([-number, number])
        if dist.get_backend() == "nccl":
            least_and_most = least_and_most.cuda()
        with _one_sentence():
            dist.all_reduce(least_and_most, dist.ReduceOp.MAX)
        return bool(least_and_most.sum() == 0)

    def sum_gradients(self, module: torch.nn.Module, flag: bool) -> bool:
        """Add up all processes' gradients in one message; whether anybody's `flag` was up."""
        if self.size == 1:
            return flag
        learning = [p for p in module.parameters() if p.requires_grad]
        parts = [
            p.grad.reshape(-1) if p.grad is not None else torch.zeros_like(p).reshape(-1)
            for p in learning
        ]
        said = [*(p.grad is not None for p in learning), flag]
        flat = torch.cat([*parts, parts[0].new_tensor([float(each) for each in said])])
        with _one_sentence():
            dist.all_reduce(flat)
        reached = flat[-len(said) : -1].tolist()
        start = 0
        for parameter, is_reached in zip(learning, reached, strict=True):
            end = start + parameter.numel()
            # What no gradient reaches has none, as on one process: a zero would let it decay.
            parameter.grad = flat[start:end].view_as(parameter) if is_reached else None
            start = end
        return bool(flat[-1].item() > 0)


ALONE = Team()


def join_team(device: torch.device) -> Team:
    """The team that a launcher (torchrun, or our own) started this process for; alone without one.

    Raises BadInput where the launcher's variables do not fit together, TeamBroke where the others
    do not come.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Team()
    try:
        rank = int(os.environ["RANK"])
    except (KeyError, ValueError) as error:
        raise BadInput(
            f"WORLD_SIZE is {size}, but RANK ({error}) does not say which process this is; start "
            "it with torchrun, or unset WORLD_SIZE"
        ) from error
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", str(rank))))
    else:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // size))
    backend = "nccl" if device.type == "cuda" else "gloo"
    with _one_sentence():
        if (meeting := os.environ.get("PERENNIAL_MEETING")) is None:
            dist.init_process_group(backend, timeout=_PATIENCE)
        else:
            store = dist.FileStore(meeting, size)  # type: ignore[attr-defined]
            store.set_timeout(_PATIENCE)
            dist.init_process_group(
                backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE
            )
    return Team(rank=rank, size=size)


def leave_team() -> None:
    """Close the connections to the others, where there are any."""
    if dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def _one_sentence() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        said = " ".join(str(error).split())[:200]
        raise TeamBroke(
            f"another process of this training ended or does not answer ({said}); see what it "
            "said, and run again to continue from the last checkpoint"
        ) from error
