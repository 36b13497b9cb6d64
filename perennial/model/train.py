"""The training loop, top to bottom: batch, loss, step, checkpoint; validation, best, early stop."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from perennial.errors import TrainingInterrupted, TrainingStopped
from perennial.model.curriculum import Lesson, lesson_of
from perennial.model.examples import Examples, sample_batch, training_batch
from perennial.model.health import refuse_collapse, refuse_explosion, refuse_nonsense, spread
from perennial.model.history import (
    Pace,
    Step,
    Trained,
    is_as_good,
    nothing_teaches,
    outcome,
    patience_is_over,
    validations,
)
from perennial.model.losses.loss import Loss
from perennial.model.objective import objective
from perennial.model.passes import forward
from perennial.model.plan import epoch_plan
from perennial.model.remining import Remining, mined_anew, negatives_of, new_share
from perennial.model.resumable import Resumable
from perennial.model.shelf import Shelf, parted
from perennial.model.team import ALONE, Team
from perennial.model.trainable import Trainable
from perennial.model.validation import validate

_LOOK_EVERY = 10  # steps; the spectrum of 256 vectors takes milliseconds


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
    loss: Loss,
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
    dimensions: Sequence[int] = (),
    width: int | None = None,
    is_cached: bool = False,
    clip_norm: float = math.inf,
    min_rank_share: float = 0.0,
    max_norm_growth: float = math.inf,
    team: Team = ALONE,
    should_stop: Callable[[], bool] = lambda: False,
    report: Callable[[Step, int, Pace | None], None] = lambda step, total, pace: None,
) -> Trained:
    """Teach `model` the examples, in place; `report` hears each step and the number of all.

    `held_triplets` are rows of `examples` kept for validation. Each batch is joined by
    `replay_size` triplets of `replay`, against forgetting. `remining` gives later epochs other
    negatives; validation ranks the documents of `examples`, always the same. `dimensions` are
    widths at which the vectors, cut, must serve as well (objective.py); `width` is the one that
    will serve, at which is validated and mined.
    A killed run that is called again with the same arguments continues from `checkpoint` and, on
    the CPU, ends with the same bytes; so does one that `should_stop` ended, which raises
    TrainingInterrupted. `team` shares the work and gets the same weights on every process.
    Raises TrainingStopped where there is nothing to learn from, or the encoder falls ill.
    """
    rows = np.setdiff1d(np.arange(len(examples.query)), held_triplets)
    if len(rows) < 2:
        raise TrainingStopped(
            f"{len(rows)} triplets are left to train on after the validation split; collect more "
            "clicks, or lower judge.min_examinations or train.validation_share"
        )
    sets = {"examples": examples}
    if replay is not None and replay_size >= 2:
        sets["replay"] = replay
    if remining is not None:
        sets["remined"] = remining.examples
    shelf = Shelf(model, sets)
    plans = [
        epoch_plan(rows, examples.query, size=batch_size, seed=seed, epoch=epoch)
        for epoch in range(epochs)
    ]
    total = sum(len(plan) for plan in plans)

    run = Resumable(
        model.module,
        loss,
        checkpoint=checkpoint,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
    )
    history, taught = run.history, "examples"
    if remining is not None and run.mined:
        taught, sets["remined"] = "remined", remining.examples_with(run.mined)
    for past in history:
        report(past, total, None)

    model.module.train()
    for epoch, plan in enumerate(plans):
        begun = sum(len(earlier) for earlier in plans[:epoch])
        if len(history) >= begun + len(plan):
            continue  # done before the kill
        if patience_is_over(history, patience) or nothing_teaches(history, epoch):
            break
        if remining is not None and remining.is_due(epoch) and len(history) == begun:
            before = sets["remined"].negatives
            sets["remined"] = mined_anew(model, shelf, "remined", remining, team=team, width=width)
            taught, run.mined = "remined", negatives_of(sets["remined"])
            run.remined.append((epoch, new_share(before, sets["remined"].negatives)))
        lesson = lesson_of(curriculum, epoch)
        for number, chosen in enumerate(plan):
            step = begun + number
            if step < len(history):
                continue
            started = time.perf_counter()
            draw = [seed, epoch, number]
            batch = training_batch(sets[taught], chosen, hard_negatives, lesson, seed=draw)
            parts = [(taught, batch)]
            if "replay" in sets:
                remembered = sample_batch(sets["replay"], size=replay_size, seed=seed, step=step)
                parts.append(("replay", remembered))
            rate = learning_rate * _schedule(step, total=total, warmup=warmup_share)
            for group in run.optimizer.param_groups:
                group["lr"] = rate

            # To vectors; the loss over all of them; and from its gradient at them to the weights.
            texts = shelf.rows(parts)
            vectors, back = forward(
                model, shelf.tokens, texts, team=team, is_cached=is_cached, seed=[seed, step]
            )
            value, active = objective(
                loss, vectors, parts, shelf=shelf, dimensions=dimensions, progress=step / total
            )
            run.optimizer.zero_grad()
            torch.autograd.backward(value)
            assert vectors.grad is not None
            back(vectors.grad)
            is_stopping = team.sum_gradients(model.module, flag=should_stop())
            norm = torch.nn.utils.clip_grad_norm_(run.learner.parameters(), clip_norm).item()
            run.step()
            refuse_nonsense(run.learner, loss=value.item(), norm=norm, step=step)

            validation, error, looked = None, None, None
            if number == len(plan) - 1 and len(held_triplets):
                validation, error = validate(
                    model, shelf, "examples", examples, held_triplets, team=team, width=width
                )
                if is_as_good(history, validation):
                    run.keep_as_best()
            if step % _LOOK_EVERY == 0 and len(chosen) == len(plans[0][0]):
                looked = spread(parted(vectors.detach(), parts)[0][1])
            history.append(
                Step(
                    step, epoch, value.item(), active.item(), norm, rate, validation, looked, error
                )
            )
            report(history[-1], total, _pace(model.lengths(shelf.tokens)[texts], started, model))
            refuse_explosion([s.gradient_norm for s in history[-40:]], max_growth=max_norm_growth)
            refuse_collapse(looked, history[0].spread, min_share=min_rank_share, step=step)
            is_due = len(history) % checkpoint_steps == 0 or validation is not None or is_stopping
            if is_due and team.is_first:
                run.save()
            if is_stopping:
                raise TrainingInterrupted(
                    f"training was asked to stop after step {step + 1} of {total}; run again to "
                    "continue there"
                )

    model.module.eval()
    if validations(history):
        model.module.load_state_dict(run.best)
    return outcome(history, run.remined)


def _schedule(step: int, *, total: int, warmup: float) -> float:
    """Linear from 0 to 1 over the warm-up, then linear to 0."""
    rise = max(1, round(warmup * total))
    return min((step + 1) / rise, (total - step) / max(1, total - rise))


def _pace(lengths: np.ndarray, started: float, model: Trainable) -> Pace:
    seconds = time.perf_counter() - started
    return Pace(seconds, int(lengths.sum()) / seconds, model.padding_share(lengths))
