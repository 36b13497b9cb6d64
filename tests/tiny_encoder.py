"""Small worlds that an encoder can learn: two words for one thing, which only examples join."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from tokenizers import Tokenizer

from perennial.model.examples import Examples
from perennial.model.history import Trained
from perennial.model.losses.schedule import Fixed
from perennial.model.losses.triplet import TripletLoss
from perennial.model.static import write_static
from perennial.model.tokenizer import train_tokenizer
from perennial.model.train import fine_tune
from perennial.model.trainable import Trainable, TrainableStatic

THINGS = 80
DIMENSION = 24
HELD = np.arange(0, THINGS, 4)  # triplets kept for validation


@cache
def things() -> Examples:
    """Query i asks in words that document i does not use; three mined negatives each."""
    rng = np.random.default_rng(5)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(row) for row in letters[rng.integers(0, 26, (4 * THINGS, 6))].tolist()]
    queries = [f"{words[2 * i]} {words[2 * i + 1]}" for i in range(THINGS)]
    documents = [f"{words[-2 * i - 1]} {words[-2 * i - 2]} page" for i in range(THINGS)]
    rows = np.arange(THINGS)
    others = (rows[:, None] + rng.integers(1, THINGS, (THINGS, 3))) % THINGS
    known = csr_array((np.ones(THINGS, dtype=np.int8), (rows, rows)), shape=(THINGS, THINGS))
    return Examples(queries, documents, rows, rows, others, known)


@cache
def tokenizer() -> Tokenizer:
    """One that was trained on the words of `things`."""
    examples = things()
    return train_tokenizer(examples.queries + examples.documents, vocabulary=1200)


def random_vectors(trained: Tokenizer, *, seed: int = 0) -> np.ndarray:
    shape = (trained.get_vocab_size(), DIMENSION)
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def static_model(trained: Tokenizer) -> TrainableStatic:
    """An encoder of random token vectors, on the CPU."""
    vectors = random_vectors(trained)
    return TrainableStatic(trained, vectors, max_tokens=32, device=torch.device("cpu"))


def write_encoder(directory: Path, *, seed: int = 0) -> Path:
    """The directory of a static encoder with random token vectors."""
    trained = tokenizer()
    write_static(directory, trained, random_vectors(trained, seed=seed), max_tokens=32)
    return directory


def train(model: Trainable, **changes: Any) -> Trained:
    """`fine_tune` on `things` with quick settings; `held` are the validation triplets."""
    given: dict[str, Any] = {
        "held_triplets": np.empty(0, dtype=np.int64),
        "replay": None,
        "replay_size": 0,
        "loss": TripletLoss(Fixed(0.3)),
        "epochs": 2,
        "batch_size": 16,
        "hard_negatives": 2,
        "learning_rate": 0.05,
        "warmup_share": 0.1,
        "weight_decay": 0.01,
        "patience": 50,
        "checkpoint_steps": 3,
        "seed": 1,
        "checkpoint": None,
    }
    if (held := changes.pop("held", None)) is not None:
        given["held_triplets"] = held
    examples = changes.pop("examples", None) or things()
    return fine_tune(model, examples, **(given | changes))
