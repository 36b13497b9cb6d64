"""What every stage leaves: its declared outs, sane values, the same bytes again, no held-out."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from perennial.data.split import is_held_out
from perennial.index.index import Index
from perennial.model.digest import directory_digest
from perennial.model.encoder import load_encoder
from perennial.workspace import Workspace

PIPELINE = yaml.safe_load((Path(__file__).parents[2] / "dvc.yaml").read_text())["stages"]
ORDER = ("validate", "judge", "mine", "audit", "train", "index", "evaluate")


@pytest.fixture(scope="module")
def done(finished):
    return Workspace(finished)


def declared(stage):
    row = PIPELINE[stage]
    plots = [next(iter(plot)) for plot in row.get("plots", [])]
    return {*row.get("outs", []), *row["metrics"], *plots}


def summary(workspace, stage):
    return json.loads((workspace.artifacts(stage) / "summary.json").read_text())


def held_out(queries):
    return is_held_out(list(queries), share=0.25, salt="perennial")


@pytest.mark.parametrize("stage", ORDER)
def test_a_stage_leaves_its_declared_outs_and_nothing_else(done, stage):
    written = {p.relative_to(done.root) for p in done.artifacts(stage).rglob("*") if p.is_file()}
    outs = declared(stage)
    assert all((done.root / out).exists() for out in outs)
    undeclared = [p for p in written if not any(p.is_relative_to(out) for out in outs)]
    assert undeclared == []


def test_the_same_input_gives_the_same_bytes_in_another_folder(done, run, tmp_path):
    for name in ("params.yaml", "snapshot"):
        copy = shutil.copytree if (done.root / name).is_dir() else shutil.copyfile
        copy(done.root / name, tmp_path / name)
    for stage in ORDER:
        run(stage, tmp_path)
        again = Workspace(tmp_path).artifacts(stage)
        assert directory_digest(again) == directory_digest(done.artifacts(stage)), stage


@pytest.mark.parametrize("stage", ORDER)
def test_a_stage_run_again_over_its_own_outs_leaves_the_same_bytes(workspace, run, stage):
    before = directory_digest(workspace.artifacts(stage))
    (workspace.artifacts(stage) / "left by a killed run").touch()
    run(stage, workspace.root)
    assert directory_digest(workspace.artifacts(stage)) == before


def test_judge_calls_wanted_what_was_wanted(done, company):
    judged = pq.read_table(done.artifacts("judge") / "judgements.parquet").to_pandas()
    truth = pq.read_table(company / "source" / "truth.parquet").to_pandas()
    right = set(zip(truth["query"], truth["doc_id"], strict=True))
    positives = judged[(judged["label"] == "positive") & (judged["source"] == "click")]
    pairs = list(zip(positives["query"], positives["doc_id"], strict=True))
    assert len(pairs) >= 40
    assert np.mean([pair in right for pair in pairs]) > 0.95
    negatives = judged[judged["label"] == "negative"]
    wrong = [pair in right for pair in zip(negatives["query"], negatives["doc_id"], strict=True)]
    assert not any(wrong)
    clicked = judged[judged["source"] == "click"]
    assert (clicked["low"] <= clicked["relevance"]).all()
    assert (clicked["relevance"] <= clicked["high"]).all()
    about = summary(done, "judge")
    assert about["positives"] == (judged["label"] == "positive").sum()
    assert about["agreement"]["relevance"] > 0.8


def test_mine_names_documents_of_the_catalogue_and_never_a_known_positive(done):
    triplets = pq.read_table(done.artifacts("mine") / "triplets.parquet").to_pandas()
    catalogue = set(pq.read_table(done.table("catalogue"))["doc_id"].to_pylist())
    known = triplets.groupby("query")["positive"].apply(set)
    for query, positive, negatives in zip(
        triplets["query"], triplets["positive"], triplets["negatives"], strict=True
    ):
        names = [n["doc_id"] for n in negatives]
        assert positive in catalogue and catalogue.issuperset(names)
        assert not known[query] & set(names)
        assert len(names) == len(set(names)) == 10
    about = summary(done, "mine")
    assert about["triplets"] == len(triplets)
    assert sum(about["negatives"].values()) == 10 * len(triplets)


def test_train_changes_the_encoder_and_its_curve_falls(done):
    about = summary(done, "train")
    assert about["encoder"] == directory_digest(done.artifacts("train") / "encoder")
    assert about["base"] == directory_digest(done.champion / "encoder")
    assert about["encoder"] != about["base"]
    curve = pd.read_csv(done.artifacts("train") / "curve.csv")
    assert list(curve["step"]) == list(range(about["steps"]))
    assert np.isfinite(curve[["loss", "active", "gradient_norm", "learning_rate"]]).all().all()
    assert 0 <= about["validation_mrr@10"] <= 1
    lines = (done.work("train") / "progress.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(curve["step"])


def test_index_holds_every_document_once_under_the_new_encoder(done):
    about = summary(done, "index")
    encoder = load_encoder(done.artifacts("train") / "encoder")
    index = Index.open(done.artifacts("index") / "index", encoder_digest=encoder.digest)
    catalogue = pq.read_table(done.table("catalogue")).to_pandas()
    assert sorted(index.doc_ids()) == sorted(catalogue["doc_id"])
    assert about["rows"] == about["live"] == about["catalogue"]["documents"] == len(catalogue)
    assert about["catalogue"]["watermark"] == "2026-01-05T00:00:00Z"
    health = about["health"]
    assert health["coverage"] == health["ann_recall@10"] == health["self_retrieval"] == 1
    assert health["dead_share"] == 0
    assert 1 <= health["effective_rank"] <= encoder.dimension
    references = done.artifacts("index") / "references"
    vectors = np.load(references / "vectors.npy", allow_pickle=False)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    logged = pq.read_table(done.table("requests"))["query"].to_pylist()
    kept = pq.read_table(references / "queries.parquet")
    asked = kept["query"].to_pylist()
    assert set(asked) <= set(logged) and len(asked) == len(set(asked)) > 0
    assert len(asked) < sum(kept["requests"].to_pylist()) <= 500, "as often as people asked"


def test_evaluate_compares_three_systems_on_the_held_out_queries_alone(done):
    out = done.artifacts("evaluate")
    metrics = json.loads((out / "metrics.json").read_text())
    scores = pq.read_table(out / "per_query.parquet").to_pandas()
    assert set(scores["system"]) == {"lexical", "champion", "candidate"}
    assert held_out(scores["query"]).all()
    for system, rows in scores.groupby("system"):
        assert len(rows) == metrics["queries"] > 10
        values = rows.drop(columns=["query", "slice", "system"])
        assert ((values >= 0) & (values <= 1)).all().all()
        assert metrics[system]["ndcg@10"] == pytest.approx(rows["ndcg@10"].mean(), abs=1e-6)
    comparison = json.loads((out / "comparison.json").read_text())
    for value in comparison["systems"]["candidate"].values():
        assert value["low"] <= value["value"] <= value["high"]
    answers = pq.read_table(out / "answers.parquet").to_pandas()
    assert answers.groupby(["system", "query"])["rank"].apply(list).map(len).max() == 10
    curve = pd.read_csv(out / "recall_by_k.csv")
    for _, rows in curve.groupby("system"):
        assert rows["recall"].is_monotonic_increasing
    gains = pd.read_csv(out / "gains.csv")
    assert len(gains) == metrics["queries"] and gains["gain"].is_monotonic_increasing


def test_no_held_out_query_reaches_what_training_reads_or_writes(done):
    requests = pq.read_table(done.table("requests"))["query"].to_pylist()
    assert held_out(requests).any(), "the log asks them, so that they could leak"
    judged = pq.read_table(done.artifacts("judge") / "judgements.parquet")["query"].to_pylist()
    mined = pq.read_table(done.artifacts("mine") / "triplets.parquet")["query"].to_pylist()
    for queries in (judged, mined):
        assert queries and not held_out(queries).any()
    secret = {query.encode() for query in requests if held_out([query])[0]}
    for stage in ("judge", "mine", "train"):
        for path in (done.root / "artifacts" / stage).rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                assert not [query for query in secret if query in data], path
    for path in done.work("train").rglob("*"):
        assert not path.is_file() or not [q for q in secret if q in path.read_bytes()], path
