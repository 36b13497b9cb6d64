"""The rollout as processes on a real server: begun, looked at by two at once, killed, swapped."""

import functools
import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from small import LENIENT

from perennial.cli import main
from perennial.data.tables import read_table, write_table
from perennial.params.reading import load_params
from perennial.release.manifests.canonical import parse_utc
from perennial.serving.routing import arm_of
from perennial.verbs.bootstrap import bootstrap

from .conftest import CHECKOUT, wait_for
from .test_deployment import ask

pytestmark = pytest.mark.slow
QUICK = {
    "canary": {
        "steps": [{"share": 0.5, "margin": 0.3, "min_hours": 0.0, "max_hours": 5.0}],
        "max_loss": 0.0,
        "shadow_min_hours": 0.0,
        "session_seconds": 0.0,
        "settle_seconds": 0.0,
        "min_baseline_sessions": 100,
    },
    "snapshot": {"click_window_seconds": 1},
}


def start(company, *arguments):
    """`python -m flows.rollout`, running."""
    return subprocess.Popen(
        [sys.executable, "-m", "flows.rollout", "--params", str(company.params), *arguments],
        cwd=CHECKOUT,
        env=dict(company.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(process):
    said, _ = process.communicate(timeout=500)
    return process.returncode, said


def another_release(company):
    """An encoder of another seed, of the same catalogue."""
    params = load_params(company.params)
    section = params.bootstrap.model_copy(update={"seed": 99})
    return bootstrap(
        catalogue=read_table(company.home / "source" / "catalogue.parquet"),
        params=params.model_copy(update={"bootstrap": section}),
        store=company.store,
        channel="staging",
        encoder=None,
        now=datetime.now(UTC),
        who="a test",
        key=None,
    ).release_id


def people(company, tag, *, begin, end, found=0.6):
    """2,000 of them, drawn as the service draws; `found` of those on the candidate succeed."""
    rolling = company.store.read_channel("production").candidate
    rng, count = np.random.default_rng(5), 2_000
    sessions = [f"s-{tag}-{n}" for n in range(count)]
    share = rolling.share if rolling else 0.0
    arms = [arm_of(s, salt=rolling.salt, share=share) if rolling else "stable" for s in sessions]
    ours = np.array([arm == "candidate" for arm in arms])
    seconds = np.sort(rng.uniform(0, (end - begin).total_seconds(), count))
    times = pd.DatetimeIndex([begin + timedelta(seconds=each) for each in seconds])
    world = read_table(company.home / "source" / "truth.parquet")
    requests = pd.DataFrame({
        "request_id": [f"q-{each}" for each in sessions],
        "session_id": sessions,
        "ts": times,
        "query": rng.choice(world["query"], count),
        "channel": "production",
        "arm": arms,
        "release_id": np.where(ours, rolling.release_id if rolling else "", company.stable()),
        "n_results": 10,
        "latency_ms": rng.lognormal(3, 0.3, count),
        "explored": False,
    })  # fmt: skip
    happy = rng.random(count) < np.where(ours, found, 0.6)
    events = pd.DataFrame({
        "event_id": [f"e-{each}" for each in sessions], "request_id": requests["request_id"],
        "doc_id": "d", "type": "dwell", "value": 60.0, "ts": times,
    })[happy]  # fmt: skip
    for name, rows in {"events": events, "requests": requests}.items():
        write_table(rows, company.home / "source" / name / f"{tag}.parquet", table=name)


def since(company):
    return parse_utc(company.store.read_channel("production").candidate.steps[-1].since)


def test_a_rollout_survives_its_flows_and_ends_with_the_swap(make_company, monkeypatch, capsys):
    company = make_company(LENIENT, QUICK)
    release, now = another_release(company), datetime.now(UTC)
    people(company, "before", begin=now - timedelta(hours=2), end=now - timedelta(minutes=1))
    begun = [start(company, "--release", release) for _ in range(2)]
    ends = [ended(each) for each in begun]
    assert [code for code, _ in ends] == [0, 0], ends
    assert sum("advance: " in said for _, said in ends) >= 1, ends
    assert not any("nanobind" in said for _, said in ends), "nothing of duckdb outlives a flow"
    channel = company.store.read_channel("production")
    assert (channel.candidate.release_id, channel.candidate.share) == (release, 0.5)
    assert channel.stable == company.champion

    code, said = ended(start(company))
    assert (code, "none: " in said) == (0, True), "nobody came yet"
    assert company.store.read_channel("production") == channel

    waiting = start(company, "--wait", "--poll-seconds", "1")
    about = company.environment
    looks = functools.partial(ask, about, "/artifacts/count", {})
    seen = looks()
    wait_for(lambda: looks() > seen, quiet_seconds=240, what="another look")
    place = company.store.root
    place.rename(place.with_name("away"))
    said = next(line for line in waiting.stdout if "looking again" in line)
    assert "production" in said, said
    place.with_name("away").rename(place)
    seen = looks()
    wait_for(lambda: looks() > seen, quiet_seconds=240, what="a look after the store was away")
    waiting.send_signal(signal.SIGKILL)
    waiting.communicate(timeout=240)
    assert company.store.read_channel("production") == channel, "a killed flow leaves it as it was"

    people(company, "during", begin=since(company), end=datetime.now(UTC))
    both = [start(company), start(company)]
    ends = [ended(each) for each in both]
    assert [code for code, _ in ends] == [0, 0], ends
    assert company.stable() == release
    assert company.store.read_channel("production").candidate is None
    kinds = {item["key"] for item in ask(about, "/artifacts/filter", {})}
    assert {"rollout-canary", "rollout-evidence", "rollout-sessions"} <= kinds

    # The old champion may come back the same way; people like it less, and it goes back.
    code, said = ended(start(company, "--release", company.champion))
    assert code == 0, said
    people(company, "again", begin=since(company), end=datetime.now(UTC), found=0.3)
    code, said = ended(start(company))
    assert (code, "rollback: " in said) == (1, True), said
    assert company.stable() == release
    code, said = ended(start(company, "--release", company.champion))
    assert (code, "went back" in said) == (1, True), said

    for name, value in company.environment.items():
        monkeypatch.setenv(name, value)
    assert main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)
