"""A person overrules the gate: the retrain goes on, and everybody says so from then on."""

import json
import os
import subprocess
import sys

import pytest
from small import LENIENT

from .conftest import CHECKOUT

pytestmark = pytest.mark.slow

WHY = "the labels are of last year"


def test_a_forced_promotion_is_told_by_decision_release_channel_and_status(make_company):
    company = make_company(LENIENT, {"gate": {"min_queries": 10_000}})
    code, said = company.retrain("--force")
    assert code == 2 and "--force needs --reason" in said
    code, said = company.retrain("--force", "--reason", WHY)
    assert code == 0, said
    assert company.stable() != company.champion
    (workspace,) = company.workspaces()
    decision = json.loads((workspace / "work" / "gate" / "decision.json").read_text())
    assert (decision["outcome"], decision["forced"]) == ("promote", WHY)
    assert "10000 are needed" in decision["reasons"][1]
    assert company.store.read_channel("production").history[-1].forced == WHY
    status = subprocess.run(
        [sys.executable, "-m", "perennial.cli", "status"],
        cwd=CHECKOUT,
        env=os.environ | dict(company.environment),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "FORCED past the gate" in status and WHY in status
