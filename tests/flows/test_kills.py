"""Six kills in turn: each run continues where the one before died, and the champion serves on."""

import os
import signal

import pytest
from small import LENIENT, STAGES

from .conftest import wait_for


@pytest.mark.slow
def test_a_retrain_killed_at_every_stage_still_ends_with_the_champion_replaced(make_company):
    company = make_company(LENIENT)
    channel = company.home / "store" / "channels" / "production.json"
    serving = channel.read_bytes()
    for stage in STAGES:
        # validate makes its outs last, and its folder for the page first
        begun = f"{'work' if stage == 'validate' else 'artifacts'}/{stage}"
        process = company.start()
        wait_for(lambda at=begun: bool(company.find(at)), seconds=120, what=f"{stage} to begin")
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=240)
        assert channel.read_bytes() == serving, stage
    code, said = company.retrain()
    assert code == 0, said
    assert company.stable() != company.champion
    assert len(company.workspaces()) == 1, "one run, continued"
    before = said.index("evaluate ran in")
    for stage in STAGES[:-2]:
        assert f"{stage} was up to date" in said[:before]
