"""Processes that die or hang while people search: what they notice of it."""

import os
import signal
import time
from collections import Counter

import pyarrow.dataset as ds

from infra.gameday.company import stable
from infra.gameday.people import Asked
from infra.gameday.seen import Seen
from infra.gameday.town import ENDED, Town, wait_until
from infra.up.processes import is_postgres_ready

_HANG_SECONDS = 300.0
_RUN_SECONDS = 900.0


def search_dies(town: Town, asked: Asked) -> Seen:
    """SIGKILL to the search service, with whatever it had not written."""
    before, began = town.pid("search"), time.monotonic()
    town.kill("search")
    noticed = wait_until(lambda: town.pid("search") != before, seconds=120, what="a new one")
    wait_until(lambda: _answered_since(asked, began + noticed), seconds=120, what="an answer")
    whole = time.monotonic() - began
    ended = town.pid("search")
    os.killpg(ended, signal.SIGTERM)  # what it holds comes into the log, and it is started again
    wait_until(lambda: town.pid("search") != ended, seconds=120, what="a third one")
    after = time.monotonic()
    wait_until(lambda: _answered_since(asked, after), seconds=120, what="its answers")
    lost, twice = _unlogged(town, asked, until=after)
    unanswered = len([at for at in asked.failed if began <= at < began + whole])
    return Seen(
        "the search service is killed",
        "`make up`, and whoever asks",
        noticed,
        "`make up` starts it again",
        whole,
        f"{unanswered} answers while it was away, {lost} logged requests, {twice} twice",
        holds=lost <= 2 and twice == 0,
    )


def store_hangs(town: Town, asked: Asked) -> Seen:
    """The object store takes connections and says nothing."""
    began = time.monotonic()
    os.killpg(town.pid("seaweedfs"), signal.SIGSTOP)
    try:
        noticed = wait_until(
            lambda: not town.follows(), seconds=_HANG_SECONDS, what="a service that says so"
        )
    finally:
        os.killpg(town.pid("seaweedfs"), signal.SIGCONT)
    wait_until(lambda: town.follows() and bool(stable(town)), seconds=120, what="the store")
    failed = len(asked.since(began).failed)
    return Seen(
        "the store hangs",
        "the service: perennial_follows_channel 0",
        noticed,
        "by itself, once it is back",
        time.monotonic() - began,
        f"{failed} answers: the service has its release",
        holds=failed == 0,
    )


def database_dies(town: Town, asked: Asked) -> Seen:
    """SIGKILL to PostgreSQL, which keeps Prefect's and MLflow's tables."""
    deployed, began = _deployments(town), time.monotonic()
    before = town.pid("postgres")
    town.kill("postgres")
    noticed = wait_until(lambda: town.pid("postgres") != before, seconds=60, what="a new one")
    wait_until(lambda: is_postgres_ready(town.ports.postgres), seconds=60, what="PostgreSQL")
    wait_until(lambda: _deployments(town) == deployed, seconds=120, what="Prefect's answers")
    failed = len(asked.since(began).failed)
    return Seen(
        "PostgreSQL is killed",
        "`make up`, and Prefect's server",
        noticed,
        "`make up` starts it again",
        time.monotonic() - began,
        f"{failed} answers, no deployment",
        holds=failed == 0,
    )


def orchestrator_dies(town: Town, asked: Asked) -> Seen:
    """SIGKILL to Prefect's server while a retrain works."""
    first, run = stable(town), begin(town)
    began, before = time.monotonic(), town.pid("prefect")
    town.kill("prefect")
    noticed = wait_until(lambda: town.pid("prefect") != before, seconds=60, what="a new one")
    _wait_for_turn(town, run)
    return _turned(
        town, asked, "Prefect's server is killed in a retrain", "`make up`", noticed,
        "the retrain waits for it", began=began, first=first,
    )  # fmt: skip


def retrain_dies(town: Town, asked: Asked) -> Seen:
    """SIGKILL to the process of a retrain, in the middle of it."""
    first, run = stable(town), begin(town)
    time.sleep(5)
    began = time.monotonic()
    town.kill_flow(run)
    noticed = wait_until(
        lambda: town.state(run) == "CRASHED", seconds=900, what="the run to be called dead"
    )
    _wait_for_turn(town, run)
    return _turned(
        town, asked, "a retrain is killed", "its worker: Crashed", noticed,
        "`rollout`, with a run that continues it", began=began, first=first,
    )  # fmt: skip


def begin(town: Town) -> str:
    """A retrain that runs, by hand: the id of its run."""
    run = town.begin("retrain", fresh=True)
    wait_until(lambda: town.state(run) == "RUNNING", seconds=120, what="the retrain to begin")
    return run


def _wait_for_turn(town: Town, run: str) -> None:
    def has_ended() -> bool:
        runs = town.runs_of("retrain")
        since = next(number for number, each in enumerate(runs) if each["id"] == run)
        states = [each["state"]["type"] for each in runs[since:]]
        return "COMPLETED" in states and all(each in ENDED for each in states)

    wait_until(has_ended, seconds=_RUN_SECONDS, what="the retrain, or who continues it")


def _turned(
    town: Town, asked: Asked, what: str, noticed: str, noticed_seconds: float, mended: str,
    *, began: float, first: str,
) -> Seen:  # fmt: skip
    now, failed = stable(town), len(asked.since(began).failed)
    return Seen(
        what,
        noticed,
        noticed_seconds,
        mended,
        time.monotonic() - began,
        f"{failed} answers" + ("" if now != first else ", and the turn"),
        holds=failed == 0 and now != first,
    )


def _answered_since(asked: Asked, began: float) -> bool:
    return bool(asked.since(began).answered)


def _deployments(town: Town) -> list[str]:
    return sorted(each["name"] for each in town.prefect("/deployments/filter", {}))


def _unlogged(town: Town, asked: Asked, *, until: float) -> tuple[int, int]:
    """Answers that the log does not have, and those that it has twice."""
    log = ds.dataset(town.home / "source" / "requests").to_table(columns=["request_id"])
    logged = Counter(log["request_id"].to_pylist())
    told = [name for name, _, at in asked.answered if at < until]
    return sum(name not in logged for name in told), sum(logged[name] > 1 for name in told)
