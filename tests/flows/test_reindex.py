"""The reindex as a process of its own on a real server: nothing to do, done, refused, killed."""

import json
import os
import signal
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from mlflow import MlflowClient
from small import LENIENT

from perennial.release.verify import verify_store
from perennial.report.review_view import approval_of
from perennial.serving.loaded import load_release
from tasks.registry import MODEL

from .conftest import CHECKOUT, wait_for
from .test_deployment import ask

pytestmark = pytest.mark.slow


def start(company, *arguments):
    """`python -m flows.reindex`, running."""
    return subprocess.Popen(
        [sys.executable, "-m", "flows.reindex", "--params", str(company.params), *arguments],
        cwd=CHECKOUT,
        env=dict(company.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(company, *arguments):
    """Its exit code, and all that it said."""
    process = start(company, *arguments)
    said, _ = process.communicate(timeout=500)
    return process.returncode, said


def edit(company, change):
    path = company.home / "source" / "catalogue.parquet"
    rows = pq.read_table(path)
    schema, rows = rows.schema, rows.to_pylist()
    pq.write_table(pa.Table.from_pylist(change(rows), schema=schema), path)


def amended(rows):
    rows[0]["text"] += " and more"
    return [*rows[:-1], {**rows[1], "doc_id": "doc-new"}]


def test_a_changed_catalogue_is_served_and_an_unchanged_one_publishes_nothing(make_company):
    company = make_company()
    code, said = run(company)
    assert code == 0, said
    assert "none: production already serves these 150 documents: nothing to do." in said
    assert "Unchanged" in said
    assert company.stable() == company.champion

    edit(company, amended)
    code, said = run(company)
    assert code == 0, said
    assert company.stable() != company.champion
    assert f"promote: production serves {company.stable()}: 1 added, 1 changed, 1 removed" in said
    assert "seconds: compare" in said
    runs = ask(company.environment, "/flow_runs/filter", {"sort": "EXPECTED_START_TIME_DESC"})
    latest = next(item for item in runs if item["state"]["name"] == "Promote")
    wanted = {"flow_runs": {"id": {"any_": [latest["id"]]}}}
    artifacts = ask(company.environment, "/artifacts/filter", wanted)
    keys = {item["key"] for item in artifacts}
    assert {"reindex-decision", "reindex-evidence", "reindex-changes", "reindex-seconds"} <= keys

    serving = company.stable()
    edit(company, lambda rows: rows[:20])
    code, said = run(company)
    assert code == 1 and "--accept-removals" in said, said
    edit(company, lambda rows: [*rows, rows[0]])
    code, said = run(company)
    assert code == 2 and "1 doc_ids stand more than once" in said, said
    assert "Traceback" not in said
    assert company.stable() == serving and verify_store(company.store) == []


def test_a_killed_reindex_is_finished_by_the_next(make_company):
    company = make_company()
    edit(company, amended)
    process = start(company)
    work = company.home / "cache" / "reindex" / "production" / "work"
    wait_for(work.exists, quiet_seconds=120, what="the work to begin")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=240)
    code, said = run(company)
    assert code == 0, said
    assert company.stable() != company.champion
    assert not work.exists() and verify_store(company.store) == []


def test_a_retrain_that_waited_for_its_review_swaps_in_todays_catalogue(make_company):
    company = make_company(LENIENT, {"gate": {"review": "required"}})
    retrain = company.start()
    note = "work/register/candidate.json"
    wait_for(lambda: bool(company.find(note)), quiet_seconds=240, what="a registered candidate")
    before = pq.read_table(company.home / "source" / "catalogue.parquet").to_pylist()
    gone, text_of_new = before[-1]["doc_id"], before[1]["text"]
    edit(company, amended)
    code, said = run(company)
    assert code == 0 and company.stable() != company.champion, said
    reindexed = company.stable()
    parent = json.loads(company.store.manifest_bytes(reindexed))["parent"]
    assert parent == company.champion, "nobody was promoted before the answer"
    about = json.loads(company.find(note)[0].read_text())
    client = MlflowClient(company.tracking_uri)
    word = approval_of(about["release_id"], about["gate"])
    version = client.get_model_version(MODEL, about["version"])
    assert word in version.description
    pages = {item.path for item in client.list_artifacts(version.run_id, "review")}
    assert "review/review.html" in pages, "a person has something to read before the answer"
    for tag, value in (("reviewer", "Ada"), ("approved", word)):
        client.set_model_version_tag(MODEL, about["version"], tag, value)
    said, _ = retrain.communicate(timeout=500)
    assert retrain.returncode == 0, said
    assert company.stable() not in (reindexed, about["release_id"])
    manifest = json.loads(company.store.manifest_bytes(company.stable()))
    assert manifest["parent"] == about["release_id"]
    assert manifest["catalogue"]["documents"] == 150
    assert "1 added, 1 changed, 1 removed since its snapshot" in said
    serves = load_release(company.store, company.stable(), company.home / "reader")
    assert "doc-new" in serves.index.doc_ids() and gone not in serves.index.doc_ids()
    (answer,) = serves.search_many([text_of_new], 3)
    assert "doc-new" in {hit.doc_id for hit in answer.hits}
    alias = client.get_model_version_by_alias(MODEL, "champion")
    assert str(alias.version) == str(about["version"]), "the encoder is the same model"
    assert alias.tags["release_id"] == about["release_id"], "the one that was reviewed"
    assert alias.tags["serves"] == company.stable()
    told = client.get_run(alias.run_id).data.tags
    assert (told["serves"], told["reviewer"]) == (company.stable(), "Ada")
    moves = company.store.read_channel("production").history
    assert moves[-1].who == "flow retrain, approved by Ada"
    (page,) = company.find("work/report/report.html")
    assert about["release_id"] in page.read_text() and company.stable() in page.read_text()
    code, said = run(company)
    assert code == 0 and "nothing to do" in said


def test_the_deployment_runs_every_quarter_of_an_hour_and_never_twice_at_once():
    deployments = yaml.safe_load((CHECKOUT / "infra" / "prefect.yaml").read_text())["deployments"]
    (reindex,) = [item for item in deployments if item["name"] == "reindex"]
    assert [item["cron"] for item in reindex["schedules"]] == ["*/15 * * * *"]
    assert reindex["concurrency_limit"]["limit"] == 1
