"""Negatives mined anew between epochs: by the weights of then, remembered through a kill."""

import os
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
from tiny_encoder import HELD, THINGS, things, train, write_encoder

from perennial.model.curriculum import Lesson
from perennial.model.digest import directory_digest
from perennial.model.examples import Examples
from perennial.model.remining import Remining, new_share
from perennial.model.trainable import Trainable, load_trainable

LESSONS = [
    Lesson(from_epoch=0, weights=(0.0, 0.2, 0.8), hardest=0.7),
    Lesson(from_epoch=2, weights=(0.0, 1.0, 0.0), easiest=0.3),
]


def origins(of: Examples) -> np.ndarray:
    """Two found by a search, one random."""
    return np.broadcast_to(np.array([1, 1, 2], dtype=np.int8), of.negatives.shape).copy()


def nearest(examples: Examples) -> Any:
    """A miner: the three nearest documents that are not the answer."""

    def mine(asked: np.ndarray, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        similarity = asked @ documents.T
        similarity[examples.query, examples.positive] = -np.inf
        rows = np.argsort(-similarity, axis=1, kind="stable")[:, :3][examples.query]
        return rows, origins(examples)

    return mine


def anew(*, every: int) -> Remining:
    """The things among thirty more documents, which stand before them."""
    examples = things()
    more = [f"page {number}" for number in range(30)]
    wide = replace(
        examples,
        documents=[*more, *examples.documents],
        positive=examples.positive + 30,
        negatives=examples.negatives + 30,
        known=type(examples.known)(
            np.pad(examples.known.toarray(), ((0, 0), (30, 0)))  # nobody asks for those
        ),
        origins=origins(examples),
    )
    return Remining(every=every, examples=wide, mine=nearest(wide))


def taught(model: Trainable, **changes: Any) -> Any:
    examples = replace(things(), origins=origins(things()))
    given = {"examples": examples, "curriculum": LESSONS, "held": HELD, "epochs": 6}
    return train(model, **(given | {"remining": anew(every=2)} | changes))


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return write_encoder(tmp_path / "encoder")


def load(encoder: Path) -> Trainable:
    return load_trainable(encoder, max_tokens=32, device=torch.device("cpu"))


def test_the_weights_of_then_are_asked_before_every_second_epoch(encoder: Path) -> None:
    heard: list[tuple[np.ndarray, np.ndarray]] = []
    fresh = anew(every=2)

    def mine(asked: np.ndarray, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        heard.append((asked, documents))
        return fresh.mine(asked, documents)

    model = load(encoder)
    done = taught(model, remining=replace(fresh, mine=mine))
    assert [epoch for epoch, _ in done.remined] == [2, 4]
    assert all(0 < share <= 1 for _, share in done.remined)
    (first, documents), (second, _) = heard
    assert first.shape == (THINGS, 24) and documents.shape == (THINGS + 30, 24)
    np.testing.assert_allclose(np.linalg.norm(documents, axis=1), 1, atol=1e-5)
    assert np.abs(first - second).max() > 0.01


def test_other_negatives_make_another_encoder_and_the_first_epochs_are_as_before(
    encoder: Path,
) -> None:
    with_them = taught(load(encoder))
    without = taught(load(encoder), remining=None)
    losses = [[step.loss for step in done.history] for done in (with_them, without)]
    assert losses[0][:8] == losses[1][:8]  # four steps an epoch
    assert losses[0][8:] != losses[1][8:]


def test_validation_ranks_the_same_documents_whatever_is_mined(encoder: Path) -> None:
    plain, fresh = (
        taught(load(encoder), remining=remining, epochs=1) for remining in (None, anew(every=1))
    )
    assert plain.best_validation == fresh.best_validation
    still = taught(load(encoder), learning_rate=1e-9)
    assert len({step.validation for step in still.history if step.validation is not None}) == 1


@pytest.mark.parametrize("last", [5, 7, 8, 13, 15, 16, 22])
def test_a_run_that_was_stopped_anywhere_continues_to_the_same_bytes(
    encoder: Path, tmp_path: Path, last: int
) -> None:
    whole, parts, again = (load(encoder) for _ in range(3))
    wanted = taught(whole)
    checkpoint = tmp_path / "checkpoint.safetensors"

    class Killed(Exception):
        pass

    def kill(step: Any, total: int, pace: object) -> None:
        if step.step == last:
            raise Killed

    with pytest.raises(Killed):
        taught(parts, checkpoint=checkpoint, report=kill)
    assert taught(again, checkpoint=checkpoint) == wanted
    whole.save(tmp_path / "one")
    again.save(tmp_path / "two")
    assert directory_digest(tmp_path / "one") == directory_digest(tmp_path / "two")


def test_the_share_of_new_ones_counts_pairs() -> None:
    before = np.array([[1, 2, -1], [3, 4, 5]])
    assert new_share(before, np.array([[2, 1], [4, 9]])) == 0.25
    assert new_share(before, np.array([[3, 4], [1, 2]])) == 1.0
    assert new_share(before, np.full((2, 2), -1)) == 0.0


KILLED = """
import sys, time
from pathlib import Path
import torch
from test_remining import load, taught

root = Path(sys.argv[1])
model = load(root / "encoder")

def report(step, total, pace):
    with (root / "steps").open("a") as stream:
        stream.write(f"{step.step}\\n")
    time.sleep(0.02)

taught(model, checkpoint=root / "checkpoint.safetensors", report=report)
model.save(root / "out")
"""


@pytest.mark.slow
def test_a_killed_process_with_a_curriculum_and_fresh_negatives_ends_with_the_same_bytes(
    tmp_path: Path,
) -> None:
    wanted = load(write_encoder(tmp_path / "encoder"))
    taught(wanted)
    wanted.save(tmp_path / "wanted")

    def start() -> subprocess.Popen[bytes]:
        tests = Path(__file__).parents[1]
        path = os.pathsep.join([str(tests.parent), str(tests), str(tests / "model")])
        command = [sys.executable, "-c", KILLED, str(tmp_path)]
        with (tmp_path / "complaint").open("wb") as stream:
            return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path}, stderr=stream)

    steps = tmp_path / "steps"
    for reached in (6, 14, 19):  # in the first lesson, among the fresh ones, and among the fresher
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
