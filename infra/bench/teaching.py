"""What clicks teach beside true labels: the same loop with either, and its held-out gain."""

import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from infra.bench.row import Row, row
from perennial.data.split import is_held_out
from perennial.params import Params, load_params
from perennial.workspace import Workspace

METRIC = "ndcg@10"
MUST = 0.9  # of the gain that true labels bring
SESSIONS_PER_QUERY = 8.5  # as many as the demo's


@dataclass(frozen=True)
class World:
    """A source with known answers, and how many sessions search it, first with BM25, then again."""

    name: str
    kind: str
    path: Path | None
    sessions_per_query: float


@dataclass(frozen=True)
class Taught:
    """nDCG@10 on held-out queries, and what the clicks said of the training queries' answers."""

    champion: float
    clicks: float
    labels: float
    queries: int
    covered: float
    precision: float
    recall: float

    @property
    def share(self) -> float:
        """The clicks' gain as a share of the labels'."""
        return (self.clicks - self.champion) / (self.labels - self.champion)


def teach(world: World, home: Path, params_file: Path) -> Taught:
    """A champion, a log of people who search with BM25 and then with it, and two encoders."""
    from expectations.__main__ import validate
    from perennial.release.stores.open import open_store
    from perennial.stages import evaluate, index, judge, mine, train
    from perennial.stages.shell import run_stage
    from perennial.verbs.source import read_truth

    params = load_params(params_file)
    source, store = home / "source", open_store(str(home / "store"))
    _people_search(world, source, store, params)
    truth = read_truth(source)
    held = is_held_out(
        truth["query"].tolist(), share=params.split.held_out_share, salt=params.split.salt
    )
    known = truth[~held & (truth["grade"].to_numpy() > 0)]
    found: dict[str, Any] = {}
    for side in ("clicks", "labels"):
        workspace = Workspace(home / side)
        workspace.root.mkdir(parents=True)
        shutil.copy(params_file, workspace.params)
        if side == "clicks":
            _snapshot(source, store, workspace, params)
            with _standing_in(workspace.root):
                validate(workspace)
            run_stage("judge", judge.run, workspace)
        else:
            shutil.copytree(home / "clicks" / "snapshot", workspace.snapshot)
            shutil.copytree(home / "clicks/artifacts/validate", workspace.artifacts("validate"))
            workspace.artifacts("judge").mkdir(parents=True)
            as_judgements(known).to_parquet(
                workspace.artifacts("judge") / "judgements.parquet", index=False
            )
        for stage in (mine, train, index, evaluate):
            run_stage(stage.__name__.rpartition(".")[2], stage.run, workspace)
        found[side] = pd.read_json(workspace.artifacts("evaluate") / "metrics.json", typ="series")
    judged = pd.read_parquet(home / "clicks" / "artifacts" / "judge" / "judgements.parquet")
    precision, recall, covered = _agreement(judged[judged["label"] == "positive"], known)
    return Taught(
        champion=found["clicks"]["champion"][METRIC],
        clicks=found["clicks"]["candidate"][METRIC],
        labels=found["labels"]["candidate"][METRIC],
        queries=int(found["clicks"]["queries"]),
        covered=covered,
        precision=precision,
        recall=recall,
    )


def as_judgements(known: pd.DataFrame) -> pd.DataFrame:
    """True answers in the form in which the stage judge hands on its own."""
    rows = pd.DataFrame(
        {
            "query": known["query"],
            "doc_id": known["doc_id"],
            "label": "positive",
            "relevance": 1.0,
            "low": np.nan,
            "high": np.nan,
            "click_rate": np.nan,
            "examinations": 0.0,
            "source": "label",
        }
    )
    return rows.sort_values(["query", "label", "doc_id"]).reset_index(drop=True)


def rows(home: Path, *, medquad: Path | None) -> list[Row]:
    """The rows of apidocs, and of MedQuAD where its folder is named."""
    params = Path("params.yaml").absolute()
    worlds = [World("apidocs", "apidocs", None, SESSIONS_PER_QUERY)]
    if medquad is not None:
        worlds.append(World("MedQuAD", "beir", medquad, SESSIONS_PER_QUERY))
    found = [r for w in worlds for r in taught_rows(w, teach(w, home.absolute() / w.name, params))]
    if medquad is None:
        missing = "not measured: name its folder with --medquad"
        found.append(row("MedQuAD: gain of clicks", None, METRIC, against=missing))
    return found


def taught_rows(world: World, taught: Taught) -> list[Row]:
    """The rows of one world."""
    gain = taught.labels - taught.champion
    name = world.name
    return [
        row(f"{name}: first champion", taught.champion, METRIC),
        row(f"{name}: trained on true labels", taught.labels, METRIC),
        row(f"{name}: trained on clicks alone", taught.clicks, METRIC),
        row(
            f"{name}: gain of clicks",
            taught.clicks - taught.champion,
            METRIC,
            against="gain of true labels",
            base=gain if gain > 0 else None,
            at_least=MUST,
            of_ratio=True,
        ),
        row(f"{name}: training queries with a positive", taught.covered, "share"),
        row(f"{name}: positives that are true answers", taught.precision, "share"),
        row(f"{name}: true answers that are positives", taught.recall, "share"),
    ]


def _people_search(world: World, source: Path, store: Any, params: Params) -> None:
    from perennial.serving.searcher import Searcher
    from perennial.simulation.searches import LEXICAL, lexical_search, release_search
    from perennial.verbs.bootstrap import bootstrap
    from perennial.verbs.simulate import simulate
    from perennial.verbs.source import import_source, read_catalogue, read_truth

    start = datetime.fromisoformat(params.simulate.start)
    import_source(
        world.kind,
        path=world.path,
        to=source,
        updated_at=start,
        columns={},
        held_out_share=params.split.held_out_share,
        salt=params.split.salt,
    )
    catalogue = read_catalogue(source)
    bootstrap(
        catalogue=catalogue,
        params=params,
        store=store,
        channel="production",
        encoder=None,
        now=start,
        who="bench",
        key=None,
    )
    queries = read_truth(source)["query"].nunique()
    sessions = math.ceil(world.sessions_per_query * queries)
    section = params.simulate.model_copy(update={"sessions": sessions})
    searcher = Searcher.open(store, "production", source.with_name("cache"), math.inf, None)
    for search, release_id in (
        (lexical_search(catalogue), LEXICAL),
        (release_search(searcher.release), searcher.release.release_id),
    ):
        simulate(source, search, section=section, channel="production", release_id=release_id)


def _snapshot(source: Path, store: Any, workspace: Workspace, params: Params) -> None:
    from perennial.verbs.snapshot import take_snapshot

    take_snapshot(
        source,
        store,
        "production",
        workspace.snapshot,
        window_days=params.snapshot.window_days,
        click_window_seconds=params.snapshot.click_window_seconds,
        max_unknown_share=params.snapshot.max_unknown_share,
        min_query_sessions=params.snapshot.min_query_sessions,
        memory_mb=params.snapshot.memory_mb,
        key=None,
        session_key=None,
    )


def _agreement(positives: pd.DataFrame, known: pd.DataFrame) -> tuple[float, float, float]:
    """Precision and recall of the positives, and the share of queries that have one."""
    said = set(zip(positives["query"], positives["doc_id"], strict=True))
    true = set(zip(known["query"], known["doc_id"], strict=True))
    covered = positives["query"].nunique() / known["query"].nunique()
    return len(said & true) / max(len(said), 1), len(said & true) / len(true), covered


@contextmanager
def _standing_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
