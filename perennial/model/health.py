"""Is the encoder still well while it learns? Spread of its vectors, and when to end the run."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from perennial.errors import TrainingStopped

_SAMPLE = 256  # vectors looked at: its spectrum costs milliseconds
_RECENT = 20  # steps whose median norm is the usual one
_IN_A_ROW = 3  # one wild batch is no explosion


@dataclass(frozen=True)
class Spread:
    """How far apart vectors lie, to four digits: the last ones are the machine's."""

    variance: float  # of unit vectors about their mean; 0 where all are one, 1 at the most
    effective_rank: float  # exp of the entropy of the spectrum (Roy and Vetterli 2007)
    similarity: float  # mean cosine of two different ones


@torch.no_grad()
def spread(vectors: torch.Tensor) -> Spread:
    """Of (n, d) unit vectors, the first 256 of them; n is 2 at the least."""
    sample = vectors[:_SAMPLE].double()
    count = len(sample)
    mean = sample.mean(dim=0)
    squared = float(mean @ mean)
    gram = sample @ sample.T if count < sample.shape[1] else sample.T @ sample
    values = torch.linalg.eigvalsh(gram).clamp_min(0.0)
    shares = values / values.sum().clamp_min(1e-12)
    entropy = -float(torch.xlogy(shares, shares).sum())
    length = float((sample * sample).sum()) / count
    return Spread(
        variance=_rounded(length - squared),
        effective_rank=_rounded(math.exp(entropy)),
        similarity=_rounded((count * squared - length) / (count - 1)),
    )


def refuse_nonsense(module: torch.nn.Module, *, loss: float, norm: float, step: int) -> None:
    """Raises TrainingStopped where the loss, its gradient or any weight is no number."""
    # A sum is NaN or Inf where a part is, and costs a tenth of looking at each.
    sums = [p.detach().sum(dtype=torch.float32) for p in module.parameters()]
    if math.isfinite(loss) and math.isfinite(norm) and torch.stack(sums).sum().isfinite():
        return
    raise TrainingStopped(
        f"the weights became NaN or Inf at step {step} (loss {loss}, gradient norm {norm}); lower "
        "train.learning_rate and run again; the champion serves on"
    )


def refuse_collapse(
    now: Spread | None, first: Spread | None, *, min_share: float, step: int
) -> None:
    """Raises TrainingStopped where the vectors fill too few of the directions they began with."""
    if now is None or first is None or now.effective_rank >= min_share * first.effective_rank:
        return
    raise TrainingStopped(
        f"the embeddings collapse at step {step}: their effective rank fell from "
        f"{first.effective_rank:g} to {now.effective_rank:g}, and two documents have a cosine of "
        f"{now.similarity:g} on average; lower train.learning_rate or raise train.replay_share, "
        "and run again; the champion serves on"
    )


def refuse_explosion(norms: Sequence[float], *, max_growth: float) -> None:
    """Raises TrainingStopped where the last gradients are far beyond those before them."""
    before, last = norms[-_RECENT - _IN_A_ROW : -_IN_A_ROW], norms[-_IN_A_ROW:]
    if len(before) < _RECENT:
        return
    usual = statistics.median(before)
    if usual > 0 and min(last) > max_growth * usual:
        raise TrainingStopped(
            f"the gradient exploded: its norm was {min(last):.3g} or more in {_IN_A_ROW} steps, "
            f"{usual:.3g} in those before; lower train.learning_rate, raise train.warmup_share or "
            "set train.clip_norm, and run again; the champion serves on"
        )


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
