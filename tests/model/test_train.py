"""The training loop: it learns, stops in time, repeats itself, and survives a kill."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_encoder import HELD, static_model, things, tokenizer, train, write_encoder

from perennial.errors import PlaceUnusable, TrainingStopped
from perennial.model.checkpoint import load_checkpoint, save_checkpoint
from perennial.model.digest import directory_digest, file_digest
from perennial.model.examples import Examples, pairs
from perennial.model.history import Step, outcome
from perennial.model.shelf import Shelf
from perennial.model.team import ALONE
from perennial.model.trainable import Trainable, load_trainable
from perennial.model.validation import validate


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return write_encoder(tmp_path / "encoder")


def load(encoder: Path) -> Trainable:
    return load_trainable(encoder, max_tokens=32, device=torch.device("cpu"))


def mean_reciprocal_rank(model: Trainable, examples: Examples, held: np.ndarray) -> float:
    shelf = Shelf(model, {"these": examples})
    return validate(model, shelf, "these", examples, held, team=ALONE)[0]


def reciprocal_rank(model: Trainable) -> float:
    """Over all queries, whether they taught or not."""
    examples = things()
    return mean_reciprocal_rank(model, examples, np.arange(len(examples.query)))


def test_training_brings_queries_to_their_documents(encoder: Path) -> None:
    model = load(encoder)
    before = reciprocal_rank(model)
    trained = train(model, epochs=10, learning_rate=0.1)
    assert before < 0.3 and reciprocal_rank(model) > 0.9
    assert trained.history[-1].loss < trained.history[0].loss / 10
    assert trained.history[-1].active < 0.1
    assert trained.best_validation is None and trained.best_epoch == 9


def test_every_step_is_reported_in_order_with_the_number_of_all(encoder: Path) -> None:
    heard: list[tuple[Step, int]] = []
    trained = train(
        load(encoder),
        epochs=3,
        held=HELD,
        report=lambda step, total, pace: heard.append((step, total)),
    )
    steps = [step for step, _ in heard]
    assert tuple(steps) == trained.history
    assert [step.step for step in steps] == list(range(12))  # 60 triplets, 16 a step
    assert {total for _, total in heard} == {12}
    assert [step.validation is not None for step in steps] == ([False] * 3 + [True]) * 3


def test_the_learning_rate_rises_and_falls_to_nothing(encoder: Path) -> None:
    rates = [s.learning_rate for s in train(load(encoder), epochs=4, warmup_share=0.25).history]
    assert rates[0] == pytest.approx(0.05 / 5) and max(rates) == 0.05
    top = rates.index(max(rates))
    assert rates == sorted(rates[:top]) + sorted(rates[top:], reverse=True)
    assert 0 < rates[-1] < 0.05 / 10


def test_the_weights_of_the_latest_epoch_come_out_that_is_as_good_as_the_best(
    encoder: Path,
) -> None:
    model = load(encoder)
    trained = train(model, epochs=8, held=HELD, learning_rate=0.5)
    scored = [s for s in trained.history if s.validation is not None]
    scores, errors = [s.validation for s in scored], [s.validation_error for s in scored]
    bounds = [scores[(b := int(np.argmax(scores[: i + 1])))] - errors[b] for i in range(8)]
    taken = max(i for i in range(8) if scores[i] >= bounds[i])
    assert trained.best_epoch == taken and trained.best_validation == scores[taken]
    assert mean_reciprocal_rank(model, things(), HELD) == scores[taken]


def test_noise_chooses_no_early_epoch_and_a_fall_does() -> None:
    def ended(*scores: float) -> int:
        steps = [Step(i, i, 0.1, 1.0, 1.0, 0.1, s, None, 0.02) for i, s in enumerate(scores)]
        return outcome(steps, []).best_epoch

    assert ended(0.70, 0.77, 0.76, 0.755) == 3
    assert ended(0.70, 0.77, 0.76, 0.74) == 2
    assert ended(0.70, 0.69, 0.75, 0.60) == 2


def test_training_stops_when_it_no_longer_gains(encoder: Path) -> None:
    trained = train(load(encoder), epochs=40, held=HELD, learning_rate=1e-9, patience=3)
    assert trained.history[-1].epoch == 3  # the first is the best, three more did not gain
    assert trained.best_epoch == 3, "as good as the first, and the latest"


def test_held_triplets_teach_nothing(encoder: Path, tmp_path: Path) -> None:
    examples = things()
    silent = replace(
        examples, queries=["" if i in HELD else q for i, q in enumerate(examples.queries)]
    )
    for name, given in (("with", examples), ("without", silent)):
        model = load(encoder)
        train(model, examples=given, held=HELD, epochs=1)  # one epoch: validation chooses nothing
        model.save(tmp_path / name)
    assert directory_digest(tmp_path / "with") == directory_digest(tmp_path / "without")


def test_two_runs_give_the_same_bytes_and_another_seed_others(
    encoder: Path, tmp_path: Path
) -> None:
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        model = load(encoder)
        train(model, epochs=2, held=HELD, seed=seed)
        model.save(tmp_path / name)
    one, two, three = (directory_digest(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two != three


def test_a_replayed_batch_joins_every_step(encoder: Path) -> None:
    examples = things()
    replay = pairs(examples.documents[:40], examples.documents[40:])
    alone = train(load(encoder), epochs=1)
    joined = train(load(encoder), epochs=1, replay=replay, replay_size=16)
    assert joined.history[0].loss > alone.history[0].loss
    assert joined.history[0].active == alone.history[0].active


@pytest.mark.parametrize("held", [None, HELD])
def test_an_enormous_learning_rate_stops_with_a_sentence(
    encoder: Path, held: np.ndarray | None
) -> None:
    with pytest.raises(TrainingStopped, match=r"became NaN or Inf at step \d+.*learning_rate"):
        train(load(encoder), epochs=3, held=held, learning_rate=1e37)


def test_nothing_left_to_learn_from_stops_with_a_sentence(encoder: Path) -> None:
    with pytest.raises(TrainingStopped, match=r"1 triplets are left to train on"):
        train(load(encoder), held=np.arange(79))


def test_texts_without_tokens_break_nothing(encoder: Path) -> None:
    examples = replace(things(), queries=["", "  \n", "😀", *things().queries[3:]])
    model = load(encoder)
    trained = train(model, examples=examples, epochs=2, held=HELD)
    assert all(np.isfinite([s.loss, s.gradient_norm]).all() for s in trained.history)


# ---- killed and continued


def test_a_run_that_was_stopped_continues_to_the_same_bytes(encoder: Path, tmp_path: Path) -> None:
    whole, parts = load(encoder), load(encoder)
    wanted = train(whole, epochs=4, held=HELD, checkpoint=tmp_path / "whole.safetensors")

    class Killed(Exception):
        pass

    def kill(step: Step, total: int, pace: object) -> None:
        if step.step == 9:
            raise Killed

    with pytest.raises(Killed):
        train(parts, epochs=4, held=HELD, checkpoint=tmp_path / "c.safetensors", report=kill)
    heard: list[Step] = []
    again = load(encoder)
    found = train(
        again,
        epochs=4,
        held=HELD,
        checkpoint=tmp_path / "c.safetensors",
        report=lambda step, total, pace: heard.append(step),
    )
    assert found == wanted and tuple(heard) == wanted.history
    whole.save(tmp_path / "one")
    again.save(tmp_path / "two")
    assert directory_digest(tmp_path / "one") == directory_digest(tmp_path / "two")


def test_a_finished_run_called_again_takes_no_step(encoder: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "c.safetensors"
    first, second = load(encoder), load(encoder)
    wanted = train(first, epochs=2, held=HELD, checkpoint=checkpoint)
    before = file_digest(checkpoint)
    assert train(second, epochs=2, held=HELD, checkpoint=checkpoint) == wanted
    assert file_digest(checkpoint) == before
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.module.parameters(), second.module.parameters(), strict=True)
    )


def test_a_torn_checkpoint_counts_as_none(encoder: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "c.safetensors"
    wanted = train(load(encoder), epochs=2, checkpoint=checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    assert train(load(encoder), epochs=2, checkpoint=checkpoint) == wanted


def test_a_checkpoint_restores_weights_moments_and_progress(tmp_path: Path) -> None:
    def module() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        layer = torch.nn.Linear(3, 2)
        return layer, torch.optim.AdamW(layer.parameters(), lr=0.1)

    def step(layer: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        layer(torch.ones(1, 3)).sum().backward()
        optimizer.step()

    layer, optimizer = module()
    step(layer, optimizer)
    best = {"weight": torch.zeros(2, 3), "bias": torch.ones(2)}
    path = tmp_path / "c.safetensors"
    progress = {"history": [{"loss": 0.1 + 0.2}]}
    save_checkpoint(path, module=layer, best=best, optimizer=optimizer, progress=progress)
    other, other_optimizer = module()
    restored = load_checkpoint(path, module=other, optimizer=other_optimizer)
    assert restored is not None and restored[1] == progress
    assert all(torch.equal(restored[0][name], best[name]) for name in best)
    step(layer, optimizer)
    step(other, other_optimizer)
    for name, value in layer.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])
    assert [p.name for p in tmp_path.iterdir()] == ["c.safetensors"]


def test_a_full_disk_says_so(encoder: Path, tmp_path: Path) -> None:
    checkpoint, model = tmp_path / "c.safetensors", load(encoder)
    train(model, epochs=1, checkpoint=checkpoint)
    before = file_digest(checkpoint)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # as a disk that fills up
    try:
        with pytest.raises(PlaceUnusable, match=r"cannot write the checkpoint .*free some space"):
            train(load(encoder), epochs=2, checkpoint=checkpoint)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file_digest(checkpoint) == before


KILLED = """
import sys, time
from pathlib import Path
import torch
from tiny_encoder import HELD, train
from perennial.model.trainable import load_trainable

root = Path(sys.argv[1])
model = load_trainable(root / "encoder", max_tokens=32, device=torch.device("cpu"))

def report(step, total, pace):
    with (root / "steps").open("a") as stream:
        stream.write(f"{step.step}\\n")
    time.sleep(0.02)

train(model, epochs=6, held=HELD, checkpoint=root / "checkpoint.safetensors", report=report)
model.save(root / "out")
"""


@pytest.mark.slow
def test_a_killed_process_continues_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    wanted = load(write_encoder(tmp_path / "encoder"))
    train(wanted, epochs=6, held=HELD)
    wanted.save(tmp_path / "wanted")

    def start() -> subprocess.Popen[bytes]:
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
        command = [sys.executable, "-c", KILLED, str(tmp_path)]
        with (tmp_path / "complaint").open("wb") as stream:
            return subprocess.Popen(command, env=environment, stderr=stream)

    steps = tmp_path / "steps"
    for reached in (5, 14):  # in the middle of the second epoch, and of the fourth
        process = start()
        deadline = time.monotonic() + 60
        while not (steps.exists() and f"\n{reached}\n" in steps.read_text()):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "out").exists()
        steps.unlink()
    process = start()
    assert process.wait(timeout=240) == 0, (tmp_path / "complaint").read_text()
    assert directory_digest(tmp_path / "out") == directory_digest(tmp_path / "wanted")


# ---- validation


class Fixed:
    """A trainable that answers with the vectors that it was given."""

    def __init__(self, vectors: dict[str, list[float]]) -> None:
        self.vectors = vectors
        self.module = torch.nn.Identity()

    def prepare(self, texts: Any) -> Any:
        return list(texts)

    def lengths(self, texts: Any) -> np.ndarray:
        return np.ones(len(texts), dtype=np.int64)

    def cut(self, lengths: np.ndarray) -> list[np.ndarray]:
        return [np.arange(len(lengths))]

    def padding_share(self, lengths: np.ndarray) -> float:
        return 0.0

    def embed(self, texts: Any, rows: np.ndarray) -> torch.Tensor:
        return torch.tensor([self.vectors[texts[row]] for row in rows])

    def save(self, directory: Path) -> None:
        (directory / "vectors.json").write_text(json.dumps(self.vectors))


def score(documents: list[list[float]], *, known: list[int]) -> float:
    """MRR@10 of the query (1, 0) whose positive is document 0; `known` answer as well."""
    examples = pairs(["q"], ["d0"])
    count = len(documents)
    mask = np.zeros((1, count), dtype=np.int8)
    mask[0, [0, *known]] = 1
    examples = replace(
        examples,
        documents=[f"d{i}" for i in range(count)],
        known=type(examples.known)(mask),
    )
    model = Fixed({"q": [1.0, 0.0]} | {f"d{i}": d for i, d in enumerate(documents)})
    return mean_reciprocal_rank(model, examples, np.array([0]))


def test_validation_is_the_reciprocal_rank_among_all_documents() -> None:
    nearer, farther, wanted = [0.9, 0.1], [0.1, 0.9], [0.5, 0.5]
    assert score([wanted, farther], known=[]) == 1.0
    assert score([wanted, nearer, farther], known=[]) == 0.5
    assert score([wanted, nearer, nearer, farther], known=[]) == pytest.approx(1 / 3)
    assert score([wanted, *[nearer] * 9], known=[]) == pytest.approx(0.1)
    assert score([wanted, *[nearer] * 10], known=[]) == 0.0


def test_another_known_answer_is_no_mistake() -> None:
    assert score([[0.5, 0.5], [0.9, 0.1]], known=[1]) == 1.0


def test_a_collapsed_encoder_is_not_perfect() -> None:
    assert score([[1.0, 0.0]] * 30, known=[]) == 0.0


# ---- the encoder that learns


def test_what_was_saved_embeds_as_what_learned(encoder: Path, tmp_path: Path) -> None:
    from perennial.model.encoder import load_encoder

    model = load(encoder)
    train(model, epochs=1)
    model.save(tmp_path / "saved")
    asked = [*things().documents, "", "😀"]
    with torch.no_grad():
        learned = model.embed(model.prepare(asked), np.arange(len(asked))).numpy()
    assert load_encoder(tmp_path / "saved").encode(asked) == pytest.approx(learned, abs=1e-6)


def test_rows_are_embedded_in_the_order_asked(encoder: Path) -> None:
    model = load(encoder)
    texts = model.prepare(["", *things().documents, "  "])
    everything = model.embed(texts, np.arange(82))
    rows = np.array([81, 5, 0, 5, 40])
    assert torch.allclose(model.embed(texts, rows), everything[rows])


def test_training_leaves_the_given_tokenizer_alone() -> None:
    given = tokenizer()
    static_model(given)
    assert given.truncation is None
