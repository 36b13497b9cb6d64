"""What is swapped in is what a person approved: the release and the gate's table."""

import json
from pathlib import Path

import pytest
from small import write_params

from perennial.errors import Refused
from perennial.model.digest import file_digest
from perennial.quality.decision import Decision
from perennial.workspace import Places, Workspace
from tasks.canary import decided
from tasks.outcome import refusal
from tasks.review import approver
from tasks.run import Run
from tasks.swap import _who

RELEASE = "rel-0123456789ab"


@pytest.fixture
def make_run(tmp_path: Path):
    """A run whose gate promoted and whose candidate is registered."""

    def make(review: str, **changes: dict) -> Run:
        workspace = Workspace(tmp_path / "run")
        params = write_params(workspace.params, {"gate": {"review": review}, **changes})
        places = Places.from_environment({"PERENNIAL_HOME": str(tmp_path)})
        run = Run(workspace, places, params, "production", "no run")
        run.note("gate", "decision", Decision("promote", ("better",), ()).to_dict())
        gate = file_digest(workspace.work("gate") / "decision.json")
        run.note("register", "candidate", {"release_id": RELEASE, "version": "1", "gate": gate})
        return run

    return make


def approve(run: Run) -> None:
    gate = run.read("work/register/candidate.json")["gate"]
    run.note("review", "approval", {"release_id": RELEASE, "gate": gate, "reviewer": "Ada"})


def test_whoever_approved_is_named_where_the_channel_moves(make_run):
    run = make_run("required")
    approve(run)
    assert approver(run) == "Ada"
    assert _who(run) == "flow retrain, approved by Ada"


def test_nobody_is_named_where_nobody_was_asked(make_run):
    run = make_run("auto")
    approve(run)
    assert approver(run) is None and _who(run) == "flow retrain"


def test_where_nobody_can_be_simulated_a_retrain_ends_before_the_swap_and_people_decide(make_run):
    run = make_run("auto")
    decision = decided(run)
    assert refusal(decision) is not None, "the flow ends with it"
    assert decision.outcome == "inconclusive" and "truth.parquet" in decision.reasons[0]
    _, _, typed = decision.reasons[1].partition("python -m flows.rollout ")
    assert typed == f"--channel production --release {RELEASE} --wait"


def test_where_no_service_serves_a_retrain_may_swap_unseen_and_says_so(make_run):
    decision = decided(make_run("auto", canary={"unserved": "swap"}))
    assert refusal(decision) is None
    assert decision.outcome == "advance" and "canary.unserved" in decision.reasons[0]


def test_without_an_approval_nothing_is_swapped(make_run):
    with pytest.raises(Refused, match="nobody approved"):
        _who(make_run("required"))


def test_another_table_of_the_gate_voids_an_approval(make_run):
    run = make_run("required")
    approve(run)
    run.note("gate", "decision", Decision("promote", ("better, but less so",), ()).to_dict())
    assert approver(run) is None
    with pytest.raises(Refused, match="nobody approved"):
        _who(run)


def test_another_release_voids_an_approval(make_run):
    run = make_run("required")
    approve(run)
    path = run.workspace.work("register") / "candidate.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"release_id": "rel-ba9876543210"}))
    assert approver(run) is None
