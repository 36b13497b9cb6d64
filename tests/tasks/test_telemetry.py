"""Nobody is told that Perennial runs, and nothing of it lands in anybody's home."""

import os
from pathlib import Path

from tasks import state, telemetry


def test_importing_tasks_switches_every_telemetry_off():
    assert {name: os.environ.get(name) for name in telemetry.OFF} == telemetry.OFF


def test_libraries_keep_their_state_below_home_unless_told_otherwise(tmp_path: Path):
    environment = {"PERENNIAL_HOME": str(tmp_path), "MPLCONFIGDIR": "/elsewhere"}
    state.keep_at_home(environment)
    assert environment["PREFECT_HOME"] == str(tmp_path / "prefect")
    assert environment["MPLCONFIGDIR"] == "/elsewhere"
