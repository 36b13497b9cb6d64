"""One training, ours or SentenceTransformerTrainer's: same triplets, same base, same epochs."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from infra.bench.measured import watched
from infra.bench.train_world import as_examples, read_triplets

RATE, MARGIN, WARMUP = 2e-5, 0.3, 0.1


@dataclass(frozen=True)
class Run:
    """Seconds and triplets of every step (the first warms up), and the memory beyond the model and
    imports."""

    step_seconds: list[float]
    step_triplets: list[int]
    tokens: int
    peak_mb: float

    @property
    def per_second(self) -> float:
        """Triplets a second, by the median step after the first; an epoch's last batches, which are
        small where their queries had to wait, do not count."""
        steps = list(zip(self.step_triplets, self.step_seconds, strict=True))
        steady = [(n, s) for n, s in steps[1:] or steps if n >= max(self.step_triplets) / 2]
        return float(np.median([n / s for n, s in steady]))


def train_ours(
    place: Path,
    base: Path,
    out: Path | None,
    *,
    steps: int | None = None,
    triplets: int | None = None,
    precision: str = "bf16",
    batch: int = 64,
    cached: bool = False,
    budget: int = 4_096,
    max_tokens: int = 128,
    epochs: int = 1,
    seed: int = 1,
) -> Run:
    """Ours, batch-hard over the batch's distinct documents with one mined negative each."""
    import torch

    from perennial.model.history import Pace, Step
    from perennial.model.losses.build import build_loss
    from perennial.model.losses.schedule import Fixed
    from perennial.model.plan import epoch_plan
    from perennial.model.team import join_team, leave_team
    from perennial.model.train import fine_tune
    from perennial.model.trainable import load_trainable

    given = read_triplets(place).first(triplets or 10**9)
    given = given if steps is None else given.first(steps * batch)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    team = join_team(device)
    model = load_trainable(
        base,
        max_tokens=max_tokens,
        device=device,
        budget=budget,
        precision=torch.bfloat16 if precision == "bf16" else torch.float32,
        dropout=0.0,
    )
    seconds: list[float] = []
    tokens: list[float] = []

    def report(step: Step, total: int, pace: Pace | None) -> None:
        assert pace is not None
        seconds.append(pace.seconds)
        tokens.append(pace.seconds * pace.tokens_per_second)

    examples = as_examples(given)
    with watched() as cost:
        fine_tune(
            model,
            examples,
            held_triplets=np.empty(0, dtype=np.int64),
            replay=None,
            replay_size=0,
            loss=build_loss(
                "triplet",
                distance="cosine",
                mining=Fixed("batch-hard"),
                soft_margin=False,
                margin=Fixed(MARGIN),
                temperature=Fixed(1.0),
            ),
            epochs=epochs,
            batch_size=batch,
            hard_negatives=1,
            learning_rate=RATE,
            warmup_share=WARMUP,
            weight_decay=0.0,
            patience=epochs,
            checkpoint_steps=10_000,
            seed=seed,
            checkpoint=None,
            is_cached=cached,
            team=team,
            report=report,
        )
    leave_team()
    if out is not None and team.is_first:
        model.save(out)
    plans = [
        epoch_plan(np.arange(len(given)), examples.query, size=batch, seed=seed, epoch=epoch)
        for epoch in range(epochs)
    ]
    sizes = [len(chosen) for plan in plans for chosen in plan]
    return Run(seconds, sizes, round(sum(tokens)), cost.peak_mb)


def train_theirs(
    place: Path,
    base: Path,
    out: Path | None,
    *,
    steps: int | None = None,
    precision: str = "bf16",
    batch: int = 64,
    dropout: float | None = None,
    max_tokens: int = 128,
    epochs: int = 1,
    seed: int = 1,
) -> Run:
    """sentence-transformers' trainer with TripletLoss on the first negative of every triplet."""
    import torch
    from datasets import Dataset, disable_progress_bars
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.losses import TripletDistanceMetric, TripletLoss
    from transformers import TrainerCallback

    from perennial.model.layers import set_dropout

    disable_progress_bars()
    given = read_triplets(place)
    given = given if steps is None else given.first(steps * batch)
    model = SentenceTransformer(str(base), local_files_only=True)
    model.max_seq_length = min(model.max_seq_length or max_tokens, max_tokens)
    if dropout is not None:
        set_dropout(model, dropout)
    seconds: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        began = 0.0

        def on_step_begin(self, *args: Any, **more: Any) -> None:
            self.began = time.perf_counter()

        def on_step_end(self, *args: Any, **more: Any) -> None:
            seconds.append(time.perf_counter() - self.began)

    rows = {
        "anchor": given.queries,
        "positive": given.positives,
        "negative": [each[0] for each in given.negatives],
    }
    with watched() as cost:
        SentenceTransformerTrainer(
            model=model,
            args=SentenceTransformerTrainingArguments(
                output_dir=str(place / "theirs"),
                per_device_train_batch_size=batch,
                num_train_epochs=epochs,
                learning_rate=RATE,
                warmup_ratio=WARMUP,
                weight_decay=0.0,
                bf16=precision == "bf16",
                seed=seed,
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=not torch.cuda.is_available(),
            ),
            train_dataset=Dataset.from_dict(rows),
            loss=TripletLoss(model, TripletDistanceMetric.COSINE, triplet_margin=MARGIN),
            callbacks=[Clock()],
        ).train()
    if out is not None:
        model.save(str(out), create_model_card=False)
    sizes = [min(batch, len(given) - start) for start in range(0, len(given), batch)] * epochs
    return Run(seconds, sizes, 0, cost.peak_mb)
