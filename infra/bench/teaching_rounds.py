"""Two companies that learn round by round from one start: of clicks alone, or of true labels."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from infra.bench.teaching_answers import as_judgements, known_answers, learned
from infra.bench.teaching_world import CHANNEL, World, people_search, settle_in
from perennial.params.reading import load_params
from perennial.params.whole import Params
from perennial.workspace import Workspace

METRIC = "ndcg@10"
SIDES = ("clicks", "labels")


@dataclass(frozen=True)
class Round:
    """After one round: (q,) nDCG@10 of the held-out queries on each side; and what the clicks so
    far say of the training queries' true answers."""

    crowd: Sequence[str]
    clicks: np.ndarray
    labels: np.ndarray
    shown: float
    covered: float
    precision: float
    recall: float


@dataclass(frozen=True)
class Taught:
    """The q held-out queries, (q,) nDCG@10 of the first champion, which both sides start from,
    and every round."""

    queries: tuple[str, ...]
    champion: np.ndarray
    rounds: tuple[Round, ...]


def teach(
    world: World, home: Path, params_file: Path, *, crowds: Sequence[Sequence[str]]
) -> Taught:
    """As many rounds as there are crowds. In each people search, on BM25 and on the clicks' side's
    own champion; then both sides retrain from their champions, in the same steps, and promote.

    The labels' side passes over judge: all true answers of the training queries are its
    judgements. The clicks' side hears of no answer but by clicks. Held-out queries train neither.
    """
    from perennial.release.stores.open import open_store

    params, source = load_params(params_file), home / "source"
    settle_in(world, source, params)
    known = known_answers(source, params)
    _first_champion(source, home, params)
    shutil.copytree(home / "clicks" / "store", home / "labels" / "store")
    rounds: list[Round] = []
    champion, queries = np.empty(0), tuple[str, ...]()
    for number, crowd in enumerate(crowds, start=1):
        for searched in crowd:
            people_search(
                world, source, open_store(str(home / "clicks" / "store")), params, searched
            )
        scores: dict[str, np.ndarray] = {}
        for side in SIDES:
            workspace = Workspace(home / side / f"round-{number}")
            _retrain(workspace, source, params_file, known if side == "labels" else None, home)
            every = pd.read_parquet(workspace.artifacts("evaluate") / "per_query.parquet")
            table = every.pivot(index="query", columns="system", values=METRIC)
            scores[side], queries = table["candidate"].to_numpy(), tuple(table.index)
            champion = champion if len(champion) else table["champion"].to_numpy()
        made = Workspace(home / "clicks" / f"round-{number}")
        rounds.append(Round(crowd, scores["clicks"], scores["labels"], *learned(made, known)))
    return Taught(queries, champion, tuple(rounds))


def _first_champion(source: Path, home: Path, params: Params) -> None:
    from perennial.release.stores.open import open_store
    from perennial.verbs.bootstrap import bootstrap
    from perennial.verbs.source import read_catalogue

    bootstrap(
        catalogue=read_catalogue(source),
        params=params,
        store=open_store(str(home / "clicks" / "store")),
        channel=CHANNEL,
        encoder=None,
        now=datetime.fromisoformat(params.simulate.start),
        who="bench",
        key=None,
    )


def _retrain(
    workspace: Workspace, source: Path, params_file: Path, known: pd.DataFrame | None, home: Path
) -> None:
    """Snapshot to evaluate, and the candidate becomes the side's champion; no gate asks."""
    from expectations.__main__ import validate
    from perennial.release.stores.open import open_store
    from perennial.stages import evaluate, index, judge, mine, train
    from perennial.stages.shell import run_stage

    workspace.root.mkdir(parents=True)
    shutil.copy(params_file, workspace.params)
    params = load_params(workspace.params)
    store = open_store(str(workspace.root.parent / "store"))
    champion = _snapshot(source, store, workspace, params)
    if known is None:
        with _standing_in(workspace.root):
            validate(workspace)
        run_stage("judge", judge.run, workspace)
    else:
        log = home / "clicks" / workspace.root.name / "artifacts" / "validate"
        shutil.copytree(log, workspace.artifacts("validate"))
        workspace.artifacts("judge").mkdir(parents=True)
        as_judgements(known).to_parquet(
            workspace.artifacts("judge") / "judgements.parquet", index=False
        )
    for stage in (mine, train, index, evaluate):
        run_stage(stage.__name__.rpartition(".")[2], stage.run, workspace)
    _promote(workspace, store, parent=champion, params=params)


def _snapshot(source: Path, store: Any, workspace: Workspace, params: Params) -> str:
    from perennial.verbs.snapshot import take_snapshot

    taken = take_snapshot(
        source,
        store,
        CHANNEL,
        workspace.snapshot,
        params=params.snapshot.model_copy(update={"lineages": 1}),
        key=None,
        session_key=None,
    )
    return taken.champion


def _promote(workspace: Workspace, store: Any, *, parent: str, params: Params) -> None:
    from perennial.release.publishing.publish import promote, publish

    index = workspace.artifacts("index")
    summary = pd.read_json(index / "summary.json", typ="series")
    number = int(workspace.root.name.rpartition("-")[2])
    now = datetime.fromisoformat(params.simulate.start) + timedelta(days=number)
    made = publish(
        store,
        encoder=workspace.artifacts("train") / "encoder",
        index=index / "index",
        references=index / "references",
        catalogue=summary["catalogue"],
        health=summary["health"],
        provenance={},
        parent=parent,
        created_at=now,
        key=None,
    )
    promote(store, CHANNEL, made.release_id, now=now, why="taught", who="bench", key=None)


@contextmanager
def _standing_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
