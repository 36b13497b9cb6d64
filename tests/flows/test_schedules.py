"""What a schedule asks for: once, however many are late; and the daily sweep."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from perennial.release.stores.local import LocalStore

from .conftest import CHECKOUT, ask

pytestmark = pytest.mark.slow
FLOW = """
from prefect import flow
from datetime import UTC, datetime
from tasks.late import do_the_work_of_late_schedules, do_the_work_of_late_triggers

@flow(name="catalogue", on_running=[do_the_work_of_late_schedules], persist_result=False)
def catalogue(continues: bool = False, channel: str = "production", trigger: str | None = None):
    if not continues:
        do_the_work_of_late_triggers(before=datetime.now(UTC))
"""


def test_the_first_of_many_late_runs_does_the_work_of_all(prefect_server, tmp_path):
    (tmp_path / "late.py").write_text(FLOW)

    def post(path: str, body):
        return ask(prefect_server, path, body)

    flow = post("/flows/", {"name": "catalogue"})["id"]
    about = {"name": "late", "flow_id": flow, "path": str(tmp_path)}
    deployment = post("/deployments/", about | {"entrypoint": "late.py:catalogue"})["id"]
    now = datetime.now(UTC)

    def scheduled(at: datetime, **parameters) -> str:
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": at.isoformat()}}
        body = {"state": state, "parameters": parameters}
        return str(post(f"/deployments/{deployment}/create_flow_run", body)["id"])

    quarter = timedelta(minutes=15)
    late = [scheduled(now - n * quarter) for n in range(12, 0, -1)]
    tomorrow, asked_for = scheduled(now + 4 * quarter), scheduled(now - quarter)
    automated = scheduled(now - quarter, trigger="drift")
    staging, staged = (scheduled(now - quarter, channel="staging") for _ in range(2))
    going_on, drifted = (scheduled(now - quarter, continues=True) for _ in range(2))
    # Only the server's own scheduler marks its runs, and it makes none that are late already.
    with sqlite3.connect(Path(prefect_server["PREFECT_HOME"]) / "prefect.db", timeout=60) as rows:
        for run in (*late, tomorrow, staged):
            rows.execute("update flow_run set auto_scheduled = 1 where id = ?", (run,))
        by = json.dumps({"id": run, "type": "AUTOMATION", "display_value": "drift"})
        for run in (automated, staging, drifted):
            rows.execute("update flow_run set created_by = ? where id = ?", (by, run))
    rows.close()  # the block alone only commits
    for run in (going_on, late[0]):
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "flow-run", "execute", run],
            cwd=CHECKOUT,
            env=prefect_server,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    found = post("/flow_runs/filter", {"flow_runs": {"deployment_id": {"any_": [deployment]}}})
    states = {each["id"]: each["state"] for each in found}
    assert states[late[0]]["type"] == states[going_on]["type"] == "COMPLETED", done.stderr
    assert {states[run]["type"] for run in (*late[1:], automated)} == {"CANCELLED"}
    assert "does its work" in states[late[1]]["message"]
    others = (tomorrow, asked_for, staging, staged, drifted)
    assert {states[run]["type"] for run in others} == {"SCHEDULED"}


def test_the_daily_sweep_deletes_what_nothing_needs(prefect_server, tmp_path):
    store = LocalStore(tmp_path / "store")
    digest, _ = store.put_bytes(b"an object that nothing names")
    (path,) = (each for each in (tmp_path / "store" / "objects").rglob("*") if each.is_file())
    long_ago = time.time() - 3 * 24 * 3600
    os.utime(path, (long_ago, long_ago))
    done = subprocess.run(
        [sys.executable, "-m", "flows.sweep"],
        cwd=CHECKOUT,
        env={**prefect_server, "PERENNIAL_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "0 releases, 1 objects" in done.stdout and "were deleted" in done.stdout
    assert not store.has(digest)
