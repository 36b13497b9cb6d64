"""The gate as a task: what a fresh process says of a candidate, and who may overrule."""

import json
import shutil
from pathlib import Path

import pytest

from perennial.errors import BadInput
from perennial.params.reading import load_params
from perennial.quality.decision import Decision
from perennial.workspace import Places, Workspace
from tasks.gate import LONGEST_REASON, forced, forced_because
from tasks.run import Run
from tasks.smoke import smoke_test


@pytest.fixture
def run(trained_workspace, tmp_path) -> Run:
    """A retrain that stands before its gate."""
    root = tmp_path / "workspace"
    shutil.copytree(trained_workspace, root)
    places = Places.from_environment({"PERENNIAL_HOME": str(tmp_path / "home")})
    return Run(Workspace(root), places, load_params(root / "params.yaml"), "production", "a run")


def without_of(found: dict) -> dict:
    return {name: value for name, value in found.items() if name not in ("of", "format_version")}


@pytest.mark.slow
def test_a_fresh_process_loads_both_and_measures_them_once(run):
    found = smoke_test(run, queries=20)
    assert found["failure"] is None
    assert found["queries"] == 20
    assert found["answered"] == {"champion": 20, "candidate": 20}
    ratio = found["latency_ratio"]
    assert 0.1 < ratio["low"] <= ratio["value"] <= ratio["high"] < 10
    assert ratio["n"] == 20
    # An approval names the digest of the gate's table: going on must not change it.
    assert without_of(smoke_test(run, queries=20)) == found
    kept = json.loads((run.workspace.work("gate") / "smoke.json").read_text())
    assert without_of(kept) == found


@pytest.mark.slow
def test_a_candidate_that_does_not_load_is_a_failure_in_a_sentence_and_tried_again(run):
    index: Path = run.workspace.artifacts("index") / "index"
    good = index.with_name("good")
    index.rename(good)
    shutil.copytree(run.workspace.champion / "index", index)
    found = smoke_test(run, queries=20)
    assert "the index was made by encoder sha256:" in found["failure"]
    assert found["failure"].endswith("(exit 3)")
    shutil.rmtree(index)
    good.rename(index)
    assert smoke_test(run, queries=20)["failure"] is None


def test_whoever_overrules_the_gate_says_why_and_the_decision_keeps_both():
    refused = Decision("reject", ("nDCG@10 fell.",), ())
    overruled = forced(refused, "the labels are stale")
    assert overruled.outcome == "promote"
    assert overruled.reasons == (
        "Forced past the gate, which said reject: the labels are stale",
        "nDCG@10 fell.",
    )
    assert overruled.to_dict()["forced"] == "the labels are stale"
    assert Decision.from_dict(overruled.to_dict()) == overruled
    assert "forced" not in refused.to_dict()


@pytest.mark.parametrize(
    ("force", "reason", "words"),
    [
        (True, " ", "--force needs --reason"),
        (False, "because", "--reason needs --force"),
        (True, "x" * (LONGEST_REASON + 1), f"has {LONGEST_REASON + 1} characters"),
    ],
)
def test_force_and_its_reason_come_together(force, reason, words):
    with pytest.raises(BadInput, match=words):
        forced_because(force, reason)


def test_a_reason_is_one_line_and_none_is_none():
    assert forced_because(True, " the labels\nare stale ") == "the labels are stale"
    assert forced_because(False, "") is None
