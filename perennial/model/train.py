"""The training loop, top to bottom: batch, loss, step, checkpoint; validation, best, early stop."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perennial.errors import TrainingStopped
from perennial.model.checkpoint import load_checkpoint, save_checkpoint
from perennial.model.curriculum import Lesson, lesson_of
from perennial.model.examples import Batch, Examples, epoch_batches, sample_batch
from perennial.model.loss import batch_hard_triplet
from perennial.model.remining import Remining, mined_anew, negatives_of, new_share
from perennial.model.trainable import Trainable
from perennial.model.validation import validate


@dataclass(frozen=True)
class Step:
    """One optimizer step; `validation` (MRR@10) stands on the last step of an epoch only."""

    step: int
    epoch: int
    loss: float
    active: float  # share of triplets that still violate the margin
    gradient_norm: float
    learning_rate: float
    validation: float | None = None


@dataclass(frozen=True)
class Trained:
    """How a run ended; its module holds the weights of `best_epoch`."""

    best_epoch: int
    best_validation: float | None
    history: tuple[Step, ...]
    remined: tuple[tuple[int, float], ...] = ()  # (epoch, share of its negatives that are new)


def pick_device() -> torch.device:
    """CUDA where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fine_tune(
    model: Trainable,
    examples: Examples,
    *,
    held_triplets: np.ndarray,
    replay: Examples | None,
    replay_size: int,
    margin: float,
    epochs: int,
    batch_size: int,
    hard_negatives: int,
    learning_rate: float,
    warmup_share: float,
    weight_decay: float,
    patience: int,
    checkpoint_steps: int,
    seed: int,
    checkpoint: Path | None,
    curriculum: Sequence[Lesson] = (),
    remining: Remining | None = None,
    report: Callable[[Step, int], None] = lambda step, total: None,
) -> Trained:
    """Teach `model` the examples, in place; `report` hears each step and the number of all.

    `held_triplets` are rows of `examples` kept for validation. Each batch is joined by
    `replay_size` triplets of `replay`, against forgetting. `remining` gives later epochs other
    negatives; validation ranks the documents of `examples`, always the same. A killed run that is
    called again with the same arguments continues from `checkpoint` and, on the CPU, ends with the
    same bytes.
    Raises TrainingStopped where there is nothing to learn from, or the loss is no number.
    """
    torch.manual_seed(seed)
    rows = np.setdiff1d(np.arange(len(examples.query)), held_triplets)
    if len(rows) < 2:
        raise TrainingStopped(
            f"{len(rows)} triplets are left to train on after the validation split; collect more "
            "clicks, or lower judge.min_examinations or train.validation_share"
        )
    texts = model.prepare(examples.queries), model.prepare(examples.documents)
    taught, taught_texts = examples, texts
    if remining is not None:
        every_text = (
            model.prepare(remining.examples.queries),
            model.prepare(remining.examples.documents),
        )
    if replay is not None:
        replay_texts = model.prepare(replay.queries), model.prepare(replay.documents)

    steps_per_epoch = math.ceil(len(rows) / batch_size)
    total = epochs * steps_per_epoch
    optimizer = torch.optim.AdamW(
        [p for p in model.module.parameters() if p.requires_grad],
        lr=learning_rate,
        weight_decay=weight_decay,
    )
    best = {name: value.detach().clone() for name, value in model.module.state_dict().items()}
    history: list[Step] = []
    remined: list[tuple[int, float]] = []
    mined: dict[str, torch.Tensor] = {}
    if checkpoint and (
        restored := load_checkpoint(checkpoint, module=model.module, optimizer=optimizer)
    ):
        best, progress, mined = restored
        history = [Step(**row) for row in progress["history"]]
        remined = [(epoch, share) for epoch, share in progress["remined"]]
        if remining is not None and mined:
            taught, taught_texts = remining.examples_with(mined), every_text
    for past in history:
        report(past, total)

    for epoch in range(len(history) // steps_per_epoch, epochs):
        if _patience_is_over(history, patience):
            break
        if remining and remining.is_due(epoch) and len(history) == epoch * steps_per_epoch:
            before = taught if mined else remining.examples
            taught, taught_texts = mined_anew(model, every_text, remining), every_text
            remined.append((epoch, new_share(before.negatives, taught.negatives)))
            mined = negatives_of(taught)
        batches = epoch_batches(
            taught,
            size=batch_size,
            hard_negatives=hard_negatives,
            rows=rows,
            seed=seed,
            epoch=epoch,
            lesson=lesson_of(curriculum, epoch),
        )
        for number, batch in enumerate(batches):
            step = epoch * steps_per_epoch + number
            if step < len(history):
                continue  # done before the kill
            rate = learning_rate * _schedule(step, total=total, warmup=warmup_share)
            for group in optimizer.param_groups:
                group["lr"] = rate

            loss, active = _loss(model, taught_texts, batch, margin=margin)
            if replay is not None and replay_size >= 2:
                remembered = sample_batch(replay, size=replay_size, seed=seed, step=step)
                loss = loss + _loss(model, replay_texts, remembered, margin=margin)[0]
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            norm = torch.nn.utils.clip_grad_norm_(model.module.parameters(), math.inf)
            value = loss.item()  # on a GPU this waits for the step
            optimizer.step()
            if not (math.isfinite(value) and math.isfinite(norm.item()) and _is_finite(model)):
                raise TrainingStopped(
                    f"the weights became NaN or Inf at step {step} (loss {value}, gradient norm "
                    f"{norm.item()}); lower the learning_rate and run again; the champion serves on"
                )

            validation = None
            if number == steps_per_epoch - 1 and len(held_triplets):
                validation = validate(model, texts, examples, held_triplets)
                if validation > max(_validations(history), default=-1.0):
                    best = {n: v.detach().clone() for n, v in model.module.state_dict().items()}
            history.append(Step(step, epoch, value, active.item(), norm.item(), rate, validation))
            report(history[-1], total)
            if checkpoint and (len(history) % checkpoint_steps == 0 or validation is not None):
                save_checkpoint(
                    checkpoint,
                    module=model.module,
                    best=best,
                    optimizer=optimizer,
                    progress={"history": [asdict(s) for s in history], "remined": remined},
                    mined=mined,
                )

    scores = _validations(history)  # one per epoch
    if not scores:
        return Trained(history[-1].epoch, None, tuple(history), tuple(remined))
    model.module.load_state_dict(best)
    return Trained(scores.index(max(scores)), max(scores), tuple(history), tuple(remined))


def _loss(
    model: Trainable, texts: tuple[Any, Any], batch: Batch, *, margin: float
) -> tuple[torch.Tensor, torch.Tensor]:
    queries = model.embed(texts[0], batch.queries)
    return batch_hard_triplet(
        queries,
        model.embed(texts[1], batch.documents),
        positive=torch.from_numpy(batch.positive).to(queries.device),
        known=torch.from_numpy(batch.known).to(queries.device),
        margin=margin,
    )


def _schedule(step: int, *, total: int, warmup: float) -> float:
    """Linear from 0 to 1 over the warm-up, then linear to 0."""
    rise = max(1, round(warmup * total))
    return min((step + 1) / rise, (total - step) / max(1, total - rise))


def _patience_is_over(history: list[Step], patience: int) -> bool:
    scores = _validations(history)
    return len(scores) > patience and max(scores[-patience:]) <= max(scores[:-patience])


def _is_finite(model: Trainable) -> bool:
    # A sum is NaN or Inf where a part is, and costs a tenth of looking at each.
    sums = [p.detach().sum(dtype=torch.float32) for p in model.module.parameters()]
    return math.isfinite(torch.stack(sums).sum().item())


def _validations(history: list[Step]) -> list[float]:
    return [step.validation for step in history if step.validation is not None]
