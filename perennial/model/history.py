"""What a training run has done so far, and what follows from it: go on, stop, or which epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from perennial.errors import TrainingStopped
from perennial.model.health import Spread


@dataclass(frozen=True)
class Step:
    """One optimizer step; `validation` (MRR@10, and its standard error) stands on the last step of
    an epoch only.

    The documents' spread stands on every tenth step.
    """

    step: int
    epoch: int
    loss: float
    active: float  # share of what the loss compared that still teaches
    gradient_norm: float
    learning_rate: float
    validation: float | None = None
    spread: Spread | None = None
    validation_error: float | None = None


@dataclass(frozen=True)
class Pace:
    """What a step cost, which no result depends on."""

    seconds: float
    tokens_per_second: float
    padding_share: float


@dataclass(frozen=True)
class Trained:
    """How a run ended; its module holds the weights of `best_epoch`."""

    best_epoch: int
    best_validation: float | None
    history: tuple[Step, ...]
    remined: tuple[tuple[int, float], ...] = ()  # (epoch, share of its negatives that are new)


def patience_is_over(history: Sequence[Step], patience: int) -> bool:
    """Whether the last `patience` epochs gained nothing over those before."""
    scores = validations(history)
    return len(scores) > patience and max(scores[-patience:]) <= max(scores[:-patience])


def nothing_teaches(history: Sequence[Step], epoch: int) -> bool:
    """Whether no step of the last epoch had anything to teach; raises where the first had not."""
    last = [step for step in history if step.epoch == epoch - 1]
    if not last or any(step.active > 0 for step in last):
        return False
    if epoch > 1:
        return True
    raise TrainingStopped(
        "no triplet of the first epoch teaches: every positive is nearer than its negatives by "
        "more than the margin, or has none; raise train.margin (or train.temperature) or "
        "train.hard_negatives, mine harder ones (mine.max_positive_share), or leave the champion "
        "as it is"
    )


def is_as_good(history: Sequence[Step], score: float) -> bool:
    """Whether an epoch that scored so is taken instead of those before: within one standard error
    of the best of them.

    Of those that a few held queries cannot tell apart the one that learned longest is taken, as of
    trees the simplest (Breiman et al. 1984, 3.4.3). The highest score alone chose by noise: of
    apidocs' second round on clicks the second of eight epochs.
    """
    scored = [step for step in history if step.validation is not None]
    best = max(scored, key=lambda step: step.validation or 0.0, default=None)
    if best is None or best.validation is None:
        return True
    return score >= best.validation - (best.validation_error or 0.0)


def outcome(history: Sequence[Step], remined: Sequence[tuple[int, float]]) -> Trained:
    """How the run ended: at the epoch that was taken, or its last where nothing was validated."""
    taken = history[-1]
    for at, step in enumerate(history):
        if step.validation is not None and is_as_good(history[:at], step.validation):
            taken = step
    return Trained(taken.epoch, taken.validation, tuple(history), tuple(remined))


def validations(history: Sequence[Step]) -> list[float]:
    """The score of every epoch that was validated, in order."""
    return [step.validation for step in history if step.validation is not None]


def read_step(row: dict[str, Any]) -> Step:
    """A step from the plain values that a checkpoint keeps of it."""
    seen = row["spread"]
    return Step(**(row | {"spread": seen and Spread(**seen)}))
