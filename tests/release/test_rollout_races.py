"""Real processes that look at one rollout at once: one of them moves it, all others are told."""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tiny_release import NOON, publish_folders

from perennial.release.publishing.publish import promote
from perennial.release.rollouts.moves import begin

sys.path.insert(0, str(Path(__file__).parent))
from rollout_looker import STEPS

pytestmark = pytest.mark.slow
LOOKER = Path(__file__).with_name("rollout_looker.py")
LOOKERS = 6


def looked_at(place, folder, outcomes):
    """What each process printed that saw the same channel and was let go at the same moment."""
    folder.mkdir()
    command = [sys.executable, str(LOOKER), place, str(folder)]
    crowd = [
        subprocess.Popen(
            [*command, f"looker-{n}", outcome, NOON.isoformat()], stdout=subprocess.PIPE, text=True
        )
        for n, outcome in enumerate(outcomes)
    ]
    deadline = time.monotonic() + 100
    while len(list(folder.glob("*.ready"))) < len(crowd):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (folder / "go").touch()
    said = [each.communicate(timeout=240)[0].strip() for each in crowd]
    assert [each.returncode for each in crowd] == [0] * len(crowd)
    return said


@pytest.mark.parametrize("kind", ["disk", "s3"])
def test_one_of_many_looks_moves_the_channel(kind, first, retrained, tmp_path, request):
    store = request.getfixturevalue("store" if kind == "disk" else "s3_store")
    serving = publish_folders(store, first)
    promote(store, "production", serving.release_id, now=NOON, why="first", who="test")
    release = publish_folders(store, retrained).release_id
    began = begin(
        store, "production", release,
        steps=STEPS, baseline=None, salt="s", now=NOON, who="test",
    )  # fmt: skip
    said = looked_at(store.place, tmp_path / "advance", ["advance"] * LOOKERS)
    assert Counter(said) == {"moved": 1, "overtaken": LOOKERS - 1}
    channel = store.read_channel("production")
    assert channel.generation == began.generation + 1
    assert len(channel.candidate.steps) == 2, "one step, whoever took it"

    mixed = ["advance", "rollback"] * (LOOKERS // 2)
    said = looked_at(store.place, tmp_path / "mixed", mixed)
    assert Counter(said)["moved"] == 1
    after = store.read_channel("production").candidate
    winner = mixed[said.index("moved")]
    assert (after is None) == (winner == "rollback")
