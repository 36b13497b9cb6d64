"""Fresh mining between epochs: other negatives by the same rules; the same bytes after kills."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from small import CHECKOUT, write_params

from perennial.data.documents import indexed_texts
from perennial.data.negatives import ORIGINS
from perennial.data.rules import rules_pairs
from perennial.data.tables import read_table
from perennial.model.digest import directory_digest
from perennial.model.encoder import Encoder, load_encoder
from perennial.model.remining import Remining, new_share
from perennial.params.reading import load_params
from perennial.stages.examples import make_examples
from perennial.stages.remine import remining
from perennial.workspace import Workspace

pytestmark = pytest.mark.slow

TRAIN = {
    "epochs": 5,
    "remine_every": 2,
    "checkpoint_steps": 3,
    "learning_rate": 0.05,
    "patience": 9,
    "curriculum": [
        {"from_epoch": 0, "log": 0.2, "ann": 0.4, "random": 0.4, "easiest": 0.0, "hardest": 0.7},
        {"from_epoch": 3, "log": 0.0, "ann": 1.0, "random": 0.0, "easiest": 0.2, "hardest": 1.0},
    ],
}


@pytest.fixture
def workspace(trained_workspace: Path, tmp_path: Path) -> Workspace:
    """A workspace to train in, with fresh mining and a curriculum."""
    root = tmp_path / "workspace"
    shutil.copytree(trained_workspace, root, ignore=shutil.ignore_patterns("train", "evaluate"))
    write_params(root / "params.yaml", {"train": TRAIN})
    return Workspace(root)


def fresh(workspace: Workspace) -> tuple[Remining, list[str]]:
    """What train makes of the workspace, and the documents by row."""
    params = load_params(workspace.params)
    catalogue = read_table(workspace.table("catalogue"))
    triplets = pq.read_table(workspace.artifacts("mine") / "triplets.parquet").to_pandas()
    doc_ids = catalogue["doc_id"].tolist()
    made = remining(
        workspace,
        params.mine,
        every=2,
        examples=make_examples(triplets, catalogue, doc_ids=doc_ids),
        doc_ids=doc_ids,
        batch_size=params.index.batch_size,
    )
    return made, doc_ids


def vectors(encoder: Encoder, of: Remining) -> tuple[np.ndarray, np.ndarray]:
    return encoder.encode(of.examples.queries), encoder.encode(of.examples.documents)


def test_under_the_teachers_own_weights_the_fresh_negatives_are_those_of_the_stage(
    workspace: Workspace,
) -> None:
    of, _ = fresh(workspace)
    assert of.examples.documents == indexed_texts(read_table(workspace.table("catalogue")))
    champion = load_encoder(workspace.champion / "encoder")
    negatives, origins = of.mine(*vectors(champion, of))
    np.testing.assert_array_equal(negatives, of.examples.negatives)
    np.testing.assert_array_equal(origins, of.examples.origins)


def test_under_other_weights_they_change_and_stay_inside_the_rules(
    workspace: Workspace, trained_workspace: Path
) -> None:
    of, doc_ids = fresh(workspace)
    section = load_params(workspace.params).mine
    student = load_encoder(trained_workspace / "artifacts" / "train" / "encoder")
    asked, documents = vectors(student, of)
    negatives, origins = of.mine(asked, documents)
    assert 0.05 < new_share(of.examples.negatives, negatives) <= 1
    similarity = asked @ documents.T
    rules = pq.read_table(workspace.artifacts("mine") / "rules.parquet")
    never, passed = rules_pairs(rules, of.examples.queries, doc_ids)
    forbidden = set(zip(never.query.tolist(), never.document.tolist(), strict=True))
    logged = set(zip(passed.query.tolist(), passed.document.tolist(), strict=True))
    answers = pd.Series(of.examples.positive).groupby(of.examples.query).agg(list)
    seen = set()
    for triplet, query in enumerate(of.examples.query.tolist()):
        kept = negatives[triplet] >= 0
        found, origin = negatives[triplet][kept].tolist(), origins[triplet][kept].tolist()
        assert len(found) == len(set(found)) <= section.negatives
        assert not forbidden & {(query, document) for document in found}
        assert not set(answers[query]) & set(found)
        bound = section.max_positive_share * similarity[query, answers[query]].min()
        for document, where in zip(found, origin, strict=True):
            seen.add(ORIGINS[where])
            if ORIGINS[where] != "random":
                assert similarity[query, document] < bound + 1e-6
            if ORIGINS[where] == "log":
                assert (query, document) in logged
    assert "ann" in seen


def start(workspace: Workspace) -> subprocess.Popen[bytes]:
    with complaint(workspace).open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "perennial.stages.train"],
            cwd=workspace.root,
            env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
            stderr=stream,
        )


def complaint(workspace: Workspace) -> Path:
    return workspace.root / "complaint"


def steps_done(workspace: Workspace) -> int:
    path = workspace.work("train") / "progress.jsonl"
    return path.read_text().count("\n") if path.exists() else 0


def test_a_training_that_is_killed_among_fresh_negatives_ends_with_the_same_bytes(
    workspace: Workspace, tmp_path: Path
) -> None:
    whole = Workspace(tmp_path / "whole")
    shutil.copytree(workspace.root, whole.root)
    process = start(whole)
    assert process.wait(timeout=500) == 0, complaint(whole).read_text()
    about = json.loads((whole.artifacts("train") / "summary.json").read_text())
    assert list(about["remined"]) == ["3", "5"]
    assert all(0 < share <= 1 for share in about["remined"].values())
    per_epoch = about["steps"] // about["epochs"]
    assert about["epochs"] == 5 and per_epoch >= 3

    for reached in (2 * per_epoch + 2, 4 * per_epoch + 1):  # among the fresh, and the fresher ones
        (workspace.work("train") / "progress.jsonl").unlink(missing_ok=True)
        process = start(workspace)
        deadline = time.monotonic() + 60
        while steps_done(workspace) < reached:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (workspace.artifacts("train") / "summary.json").exists(), "it was too late"
    process = start(workspace)
    assert process.wait(timeout=500) == 0, complaint(workspace).read_text()
    assert directory_digest(workspace.artifacts("train")) == directory_digest(
        whole.artifacts("train")
    )
