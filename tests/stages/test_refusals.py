"""A stage refuses what it cannot use in a sentence, and goes on when it is mended."""

import json
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small import digest_of, write_params

from perennial.data.schema import TABLES
from perennial.data.split import is_held_out
from perennial.errors import BadInput, EncoderMismatch, TableInvalid, TrainingStopped
from perennial.model.digest import directory_digest
from perennial.params.reading import load_params


def rewrite(path, change, schema=None):
    table = pq.read_table(path)
    rows = change(table.to_pylist())
    pq.write_table(pa.Table.from_pylist(rows, schema or table.schema), path)


def test_a_log_without_clicks_teaches_nothing(workspace, run):
    rewrite(workspace.log("events"), lambda rows: [], TABLES["events"])
    with pytest.raises(BadInput, match="the log has no click, so it teaches nothing; collect more"):
        run("judge", workspace.root)


def test_clicks_too_rare_to_be_sure_of_say_what_to_lower(workspace, run):
    write_params(workspace.params, {"judge": {"min_examinations": 10_000}})
    with pytest.raises(BadInput, match=r"lower judge\.min_examinations or judge\.min_click_rate"):
        run("judge", workspace.root)


def test_what_a_person_judged_counts_more_than_clicks(workspace, run):
    path = workspace.artifacts("judge") / "judgements.parquet"
    clicked = pq.read_table(path).to_pylist()
    first = next(row for row in clicked if row["label"] == "positive")
    assert first["source"] == "click"
    pair = {name: first[name] for name in ("query", "doc_id")}
    rewrite(workspace.table("judgements"), lambda rows: [*rows, pair | {"grade": 0}])
    run("judge", workspace.root)
    judged = [row for row in pq.read_table(path).to_pylist() if pair.items() <= row.items()]
    assert [(row["label"], row["source"]) for row in judged] == [("negative", "label")]
    assert len(pq.read_table(path)) == len(clicked)


def test_judgements_about_deleted_documents_are_passed_over(workspace, run):
    gone = pq.read_table(workspace.artifacts("mine") / "triplets.parquet")["positive"][0].as_py()
    rewrite(workspace.table("catalogue"), lambda rows: [r for r in rows if r["doc_id"] != gone])
    run("mine", workspace.root)
    triplets = pq.read_table(workspace.artifacts("mine") / "triplets.parquet").to_pandas()
    assert gone not in set(triplets["positive"])
    assert gone not in {n["doc_id"] for row in triplets["negatives"] for n in row}


def test_mine_refuses_judgements_of_another_world(workspace, run):
    rewrite(
        workspace.table("catalogue"),
        lambda rows: [r | {"doc_id": "x" + r["doc_id"]} for r in rows],
    )
    with pytest.raises(BadInput, match="no judged document is in the catalogue any more"):
        run("mine", workspace.root)


def test_train_refuses_a_triplet_of_a_held_out_query(workspace, run):
    labels = pq.read_table(workspace.table("judgements"))["query"].to_pylist()
    held = is_held_out(labels, share=0.25, salt="perennial")
    secret = labels[int(np.flatnonzero(held)[0])]
    paraphrase = " ".join(reversed(secret.upper().split()))
    rewrite(
        workspace.artifacts("mine") / "triplets.parquet",
        lambda rows: [rows[0] | {"query": paraphrase}, *rows[1:]],
    )
    with pytest.raises(TableInvalid, match=rf"1 triplets are of held-out.*{paraphrase}.*dvc repro"):
        run("train", workspace.root)


def test_train_with_too_few_triplets_stops_itself(workspace, run):
    rewrite(workspace.artifacts("mine") / "triplets.parquet", lambda rows: rows[:1])
    with pytest.raises(TrainingStopped, match=r"collect more clicks, or lower judge\.min"):
        run("train", workspace.root)


def test_a_finished_training_keeps_no_checkpoint_and_a_torn_one_is_not_used(workspace, run):
    assert not list(workspace.work("train").rglob("checkpoint*"))
    wanted = directory_digest(workspace.artifacts("train"))
    own = workspace.work("train") / digest_of(workspace, load_params(workspace.params))
    own.mkdir()
    (own / "checkpoint.safetensors").write_bytes(b"half of one")
    run("train", workspace.root)
    assert directory_digest(workspace.artifacts("train")) == wanted


def test_a_checkpoint_is_only_ever_continued_with_the_same_input(workspace, run):
    seen = {digest_of(workspace, load_params(workspace.params))}
    for change in ({"train": {"seed": 8}}, {"split": {"salt": "other"}}):
        seen.add(digest_of(workspace, write_params(workspace.params, change)))
    params = write_params(workspace.params)
    assert digest_of(workspace, params) in seen
    for path, change in (
        (workspace.artifacts("mine") / "triplets.parquet", {"positive_score": 0.5}),
        (workspace.table("catalogue"), {"title": "new"}),
    ):
        rewrite(path, lambda rows, change=change: [rows[0] | change, *rows[1:]])
        seen.add(digest_of(workspace, params))
    (workspace.champion / "encoder" / "README.md").write_text("another")
    seen.add(digest_of(workspace, params))
    assert len(seen) == 6


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("stage", ["mine", "train"])
def test_a_champion_whose_weights_are_no_numbers_is_refused(workspace, run, stage, value):
    from safetensors.numpy import load_file, save_file

    path = workspace.champion / "encoder" / "model.safetensors"
    weights = load_file(path)
    weights["embedding.weight"][5, 3] = value
    save_file(weights, path)
    with pytest.raises(BadInput, match=r"model\.safetensors holds NaN or Inf in 1 of"):
        run(stage, workspace.root)


def test_evaluate_never_searches_one_encoders_index_with_another(workspace, run):
    shutil.rmtree(workspace.artifacts("index") / "index")
    shutil.copytree(workspace.champion / "index", workspace.artifacts("index") / "index")
    with pytest.raises(EncoderMismatch):
        run("evaluate", workspace.root)


def test_without_a_held_out_label_nothing_can_be_proved(workspace, run):
    rewrite(workspace.table("judgements"), lambda rows: [], TABLES["judgements"])
    with pytest.raises(BadInput, match="no held-out query has a relevant judgement"):
        run("evaluate", workspace.root)


def test_slices_may_be_missing(workspace, run):
    rewrite(
        workspace.table("judgements"),
        lambda rows: [r | {"slice": None if i % 2 else "a"} for i, r in enumerate(rows)],
    )
    run("evaluate", workspace.root)
    comparison = json.loads((workspace.artifacts("evaluate") / "comparison.json").read_text())
    assert "a" in comparison["slices"]


def test_texts_without_a_known_token_are_indexed_and_found_by_nobody(workspace, run):
    rewrite(
        workspace.table("catalogue"),
        lambda rows: [rows[0] | {"title": "", "text": "\u200b"}, *rows[1:]],
    )
    run("index", workspace.root)
    about = json.loads((workspace.artifacts("index") / "summary.json").read_text())
    assert about["live"] == 150
    assert all(np.isfinite(list(about["health"].values())))


def test_a_catalogue_of_one_document_goes_through(workspace, run):
    one = pq.read_table(workspace.artifacts("mine") / "triplets.parquet")["positive"][0].as_py()
    rewrite(workspace.table("catalogue"), lambda rows: [r for r in rows if r["doc_id"] == one])
    run("mine", workspace.root)
    run("index", workspace.root)
    variance = pd.read_csv(workspace.artifacts("index") / "variance.csv")
    assert len(variance) == 16, "a declared plot must be there, however small the catalogue"
