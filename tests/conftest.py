"""A small synthetic world with known answers: valid tables from a seed, for every room's tests."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, settings

from perennial.data.schema import LOG_TABLES, TABLES

if TYPE_CHECKING:
    from seaweed import S3Server
    from warm import WarmPython

    from perennial.release.stores.s3.store import S3Store

# All cores run tests and servers: how long an example takes there says nothing of the code.
# The same examples in every run; `make lives` looks at others each time.
# Explaining a failure traces every line of every example, which takes longer than the examples.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
settings.register_profile("house", deadline=None, phases=PHASES, derandomize=True)
settings.register_profile("wild", deadline=None, phases=PHASES)
settings.load_profile(os.environ.get("EXAMPLES", "house"))


@pytest.hookimpl(trylast=True)  # the reporter is there by then
def pytest_configure(config: pytest.Config) -> None:
    """Failures are told at once, by the process that gathers the reports."""
    if reporter := config.pluginmanager.get_plugin("terminalreporter"):
        from told_at_once import ToldAtOnce

        config.pluginmanager.register(ToldAtOnce(reporter))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that may take longest come first: begun last, they would be waited for alone."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


START = pd.Timestamp("2026-01-05", tz="UTC")
SYLLABLES = np.array([c + v for c in "bdfgklmnprstvz" for v in "aeiou"])
RESULTS = 10
COMPANY = {"documents": 150, "queries": 100, "requests": 600}
CLICK_WINDOW = pd.Timedelta(seconds=1_800)


@dataclass
class World:
    """Five tables that keep every promise until a test breaks one; `answers`: query to doc_id."""

    tables: dict[str, pd.DataFrame | pa.Table]
    start: datetime
    end: datetime
    answers: dict[str, str]

    def frame(self, table: str) -> pd.DataFrame:
        """The table as a frame that a test may change in place."""
        frame = self.tables[table]
        assert isinstance(frame, pd.DataFrame)
        return frame

    def arrow(self, table: str) -> pa.Table:
        """The table in its schema's types; a pyarrow table that a test put there comes as it is."""
        found = self.tables[table]
        if isinstance(found, pa.Table):
            return found
        # pandas 3.1 warns when pyarrow reads its time zones: plain values go through
        columns = {
            field.name: pa.array(found[field.name].to_list(), field.type, from_pandas=True)
            for field in TABLES[table]
        }
        return pa.table(columns, schema=TABLES[table])

    def write_workspace(self, root: Path) -> Path:
        """params.yaml and snapshot/ below root as `perennial snapshot` leaves them; no champion."""
        snapshot = root / "snapshot"
        snapshot.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(__file__).parents[1] / "params.yaml", root / "params.yaml")
        for table in TABLES:
            pq.write_table(self.arrow(table), snapshot / f"{table}.parquet")
        about = {
            "format_version": 1,
            "window": {"start": self.start.isoformat(), "end": self.end.isoformat()},
            "rows": {table: len(self.tables[table]) for table in TABLES},
            "digests": {table: "sha256:" + "0" * 64 for table in TABLES},
            "champion": "rel-000000000000",
            "channel": "production",
            "digest": "sha256:" + "0" * 64,
        }
        none_yet = {"format_version": 1, "snapshot": None, "profile": None}
        (snapshot / "accepted.json").write_text(json.dumps(none_yet), encoding="utf-8")
        (snapshot / "snapshot.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
        return root

    def write_source(self, folder: Path) -> Path:
        """The tables as a source folder: the log as appended files, and truth.parquet."""
        for table in TABLES:
            path = folder / f"{table}.parquet"
            if table in LOG_TABLES:
                path = folder / table / "part-0000.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(self.arrow(table), path)
        truth = self.arrow("judgements").drop_columns(["slice"])
        pq.write_table(truth, folder / "truth.parquet")
        return folder


@pytest.fixture(scope="session")
def make_world() -> Callable[..., World]:
    """The factory: `make_world(documents=…, queries=…, requests=…, seed=…)`."""
    return build_world


@pytest.fixture
def world() -> World:
    """A fresh healthy world of 120 documents, 60 queries and 400 requests."""
    return build_world()


def build_world(
    *, documents: int = 120, queries: int = 60, requests: int = 400, seed: int = 0
) -> World:
    """Documents of made-up words; a query is three words of its answer; users click what is right.

    Query i asks for document i, so that `documents` must be at least `queries` and 11.
    """
    rng = np.random.default_rng(seed)
    words = np.unique(_join(SYLLABLES[rng.integers(0, len(SYLLABLES), (8 * documents, 3))], ""))
    rng.shuffle(words)
    texts = words[rng.integers(0, len(words), (documents, 40))]
    doc_ids = np.array([f"doc-{i:05d}" for i in range(documents)])
    questions = np.array([f"{q} {i}" for i, q in enumerate(_join(texts[:queries, 2:5], " "))])

    asked = rng.integers(0, queries, requests)
    request_ids = np.array([f"req-{i:06d}" for i in range(requests)])
    asked_at = START + pd.to_timedelta(np.sort(rng.integers(0, 7 * 86_400, requests)), unit="s")
    # distinct others around the answer: a random start, then every following document
    offsets = 1 + (rng.integers(0, documents - 1, (requests, 1)) + np.arange(RESULTS)) % (
        documents - 1
    )
    shown = (asked[:, None] + offsets) % documents
    answer_at = rng.integers(0, RESULTS, requests)
    shown[np.arange(requests), answer_at] = asked
    ranks = np.broadcast_to(np.arange(1, RESULTS + 1), shown.shape)
    chance = np.where(shown == asked[:, None], 0.9, 0.05) * ranks**-0.3
    row, column = np.nonzero(rng.random(shown.shape) < chance)

    catalogue = pd.DataFrame(
        {
            "doc_id": doc_ids,
            "title": _join(texts[:, :2], " "),
            "text": _join(texts, " "),
            "slice": np.where(np.arange(documents) % 3 == 0, "guide", "reference"),
            "updated_at": START - pd.to_timedelta(np.arange(documents) % 90, unit="D"),
        }
    )
    log = pd.DataFrame(
        {
            "request_id": request_ids,
            "session_id": [f"ses-{i // 2:06d}" for i in range(requests)],
            "ts": asked_at,
            "query": questions[asked],
            "channel": "production",
            "arm": "stable",
            "release_id": "rel-000000000000",
            "n_results": RESULTS,
            "latency_ms": np.round(rng.gamma(4.0, 2.0, requests), 3),
            "explored": rng.random(requests) < 0.1,
        }
    )
    impressions = pd.DataFrame(
        {
            "request_id": np.repeat(request_ids, RESULTS),
            "doc_id": doc_ids[shown.ravel()],
            "rank": ranks.ravel(),
            "score": (1.0 / ranks).ravel(),
            "release_id": "rel-000000000000",
            "team": None,
            "propensity": None,
        }
    )
    events = pd.DataFrame(
        {
            "event_id": [f"evt-{i:06d}" for i in range(len(row))],
            "request_id": request_ids[row],
            "doc_id": doc_ids[shown[row, column]],
            "type": "click",
            "value": None,
            "ts": asked_at[row] + pd.to_timedelta(rng.integers(1, 120, len(row)), unit="s"),
        }
    )
    judgements = pd.DataFrame(
        {"query": questions, "doc_id": doc_ids[:queries], "grade": 3, "slice": "made up"}
    )
    return World(
        tables={
            "catalogue": catalogue,
            "requests": log,
            "impressions": impressions,
            "events": events,
            "judgements": judgements,
        },
        start=START.to_pydatetime(),
        # the last request is just old enough to count: no click on it can be late any more
        end=(asked_at[-1] + CLICK_WINDOW).to_pydatetime(),
        answers=dict(zip(questions.tolist(), doc_ids[:queries].tolist(), strict=True)),
    )


def _join(words: np.ndarray, separator: str) -> np.ndarray:
    """(n, w) words to (n,) texts."""
    return np.array([separator.join(row) for row in words.tolist()])


@pytest.fixture(scope="session")
def s3_server() -> Iterator["S3Server"]:
    """A real SeaweedFS, started for the first test that asks and stopped after the last one."""
    from seaweed import seaweed
    from tiny_release import fast_folder

    with fast_folder() as place, seaweed(place / "seaweed") as server:
        yield server


@pytest.fixture
def s3_store(s3_server: "S3Server", monkeypatch: pytest.MonkeyPatch) -> "S3Store":
    """An empty store in a bucket of its own; the environment leads boto3 to the server."""
    from seaweed import open_s3

    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    store = open_s3(s3_server.new_bucket())
    assert store.bucket.client.meta.endpoint_url == s3_server.endpoint  # whatever is set later
    # A bucket's first write has the server make a volume: a test that waits for a second does not.
    store.bucket.call("put_object", "first", Body=b"1")
    store.bucket.call("delete_object", "first")
    return store


@pytest.fixture(scope="session")
def warm() -> Iterator["WarmPython"]:
    """What commands and stages fork from, where their import is not what is looked at."""
    from warm import warm_python

    with warm_python() as python:
        yield python


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with params.yaml, source/ and a store whose first champion serves; read-only."""
    from small import fill_home

    return fill_home(tmp_path_factory.mktemp("company"), build_world(**COMPANY))


@pytest.fixture(scope="session")
def fresh_workspace(company: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which no stage ran yet: params.yaml and a snapshot; read-only."""
    from small import load_params, snapshot_into

    root = tmp_path_factory.mktemp("fresh")
    shutil.copy(company / "params.yaml", root / "params.yaml")
    snapshot_into(company, root / "snapshot", load_params(root / "params.yaml"))
    return root


@pytest.fixture(scope="session")
def trained_workspace(
    fresh_workspace: Path, tmp_path_factory: pytest.TempPathFactory, warm: "WarmPython"
) -> Path:
    """A workspace after all six stages, each a process of its own; read-only."""
    from small import STAGES, module_of

    root = tmp_path_factory.mktemp("trained") / "workspace"
    shutil.copytree(fresh_workspace, root)
    for stage in STAGES:
        done = warm.run(module_of(stage), cwd=root)
        assert done.returncode == 0, (stage, done.stderr)
    return root
