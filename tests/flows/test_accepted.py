"""What the retrain remembers of an accepted log: after a kill too, and never of a refused one."""

import json
import os
import signal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small import LENIENT

from perennial.release.accepted import read_accepted

from .conftest import wait_for

pytestmark = pytest.mark.slow
RECORD = "accepted/production"


def test_a_retrain_killed_after_validate_remembers_its_log_later_and_a_refused_log_changes_nothing(
    make_company,
):
    company = make_company(LENIENT, {"gate": {"min_queries": 10_000}})
    process = company.start()
    validated = "artifacts/validate/summary.json"
    wait_for(lambda: bool(company.find(validated)), seconds=120, what="an accepted log")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=240)

    code, said = company.retrain()
    assert code == 1, said
    assert "was accepted: the next snapshot is compared with it" in said
    (workspace,) = company.workspaces()
    about = json.loads((workspace / "snapshot" / "snapshot.json").read_bytes())
    assert read_accepted(company.store, "production").newest.snapshot == about["digest"]
    assert read_accepted(company.store, "production").before is None
    written = company.store.read_record(RECORD)

    log = company.home / "source" / "requests" / "part-0000.parquet"
    pq.write_table(
        pq.read_table(log).slice(1), log
    )  # another log: the same has the reference it had
    path = company.home / "source" / "catalogue.parquet"
    rows = pq.read_table(path)
    pq.write_table(pa.concat_tables([rows, rows.slice(0, 1)]), path)
    code, said = company.retrain()
    assert code == 2 and "promises are broken" in said, said
    assert company.store.read_record(RECORD) == written
    (refused,) = set(company.workspaces()) - {workspace}
    frozen = json.loads((refused / "snapshot" / "accepted.json").read_bytes())
    assert frozen["snapshot"] == about["digest"], "it was compared with what was accepted"
