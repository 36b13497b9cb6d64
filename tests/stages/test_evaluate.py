"""evaluate: its tables, the releases before the champion, and what neighbours tell of slices."""

import json
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perennial.data.documents import indexed_texts
from perennial.data.tables import read_table
from perennial.model.encoder import load_encoder
from perennial.quality.metrics import METRICS

EARLIER = "rel-0123456789ab"


def comparison(workspace) -> dict:
    return json.loads((workspace.artifacts("evaluate") / "comparison.json").read_text())


def with_earlier(workspace) -> None:
    """The champion stands before itself, as if the same encoder had served an older lineage."""
    folder = workspace.snapshot / "earlier"
    shutil.copytree(workspace.champion, folder / EARLIER)
    about = {"releases": [{"release_id": EARLIER, "lineage": "sha256:" + "0" * 64}]}
    (folder / "earlier.json").write_text(json.dumps({"format_version": 1, **about}))


def change_catalogue(workspace, change) -> None:
    path = workspace.table("catalogue")
    table = pq.read_table(path)
    rows = [change(row) for row in table.to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def test_an_earlier_release_is_scored_as_if_it_served_today(workspace, run):
    with_earlier(workspace)
    run("evaluate", workspace.root)
    scores = pd.read_parquet(workspace.artifacts("evaluate") / "per_query.parquet")
    table = scores.set_index(["system", "query"])[list(METRICS)]
    pd.testing.assert_frame_equal(table.loc[EARLIER], table.loc["champion"])
    found = comparison(workspace)
    assert found["earlier"] == [EARLIER]
    assert found["differences"][f"candidate-{EARLIER}"] == {
        name: {key: value for key, value in cell.items() if key != "p_holm"}
        for name, cell in found["differences"]["candidate-champion"].items()
    }


def test_of_changed_documents_an_earlier_release_knows_todays_text(workspace, run):
    with_earlier(workspace)
    shutil.rmtree(workspace.work("evaluate"), ignore_errors=True)
    change_catalogue(
        workspace,
        lambda row: row | ({"text": row["text"][::-1]} if row["doc_id"] < "doc-00050" else {}),
    )
    run("evaluate", workspace.root)
    catalogue = read_table(workspace.table("catalogue"))
    encoder = load_encoder(workspace.champion / "encoder")
    documents = encoder.encode(indexed_texts(catalogue))
    answers = pd.read_parquet(workspace.artifacts("evaluate") / "answers.parquet")
    ours = answers[answers["system"] == EARLIER]
    queries = ours["query"].drop_duplicates().tolist()
    best = np.sort(encoder.encode(queries) @ documents.T, axis=1)[:, ::-1][:, :10]
    found = ours.sort_values(["query", "rank"]).set_index("query")["score"]
    for query, expected in zip(queries, best, strict=True):
        np.testing.assert_allclose(found[query].to_numpy(), expected, atol=1e-5)


def test_what_nobody_judged_comes_with_who_showed_it_where_and_the_telling_ones_first(done):
    folder = done.artifacts("evaluate")
    pairs = pd.read_parquet(folder / "unjudged.parquet")
    assert list(pairs.columns) == ["query", "doc_id", "weight", "systems", "ranks"]
    assert pairs["weight"].is_monotonic_decreasing and len(pairs) > 10
    answers = pd.read_parquet(folder / "answers.parquet")
    unlabelled = answers[answers["grade"].isna()]
    sides = unlabelled[unlabelled["system"].isin(["champion", "candidate"])]
    wanted = set(zip(sides["query"], sides["doc_id"], strict=True))
    assert set(zip(pairs["query"], pairs["doc_id"], strict=True)) == wanted
    columns = answers[["query", "doc_id", "system", "rank"]]
    shown = set(columns.itertuples(index=False, name=None))
    for row in pairs.head(20).itertuples():
        for system, rank in zip(row.systems, row.ranks, strict=True):
            assert (row.query, row.doc_id, system, rank) in shown


def test_neighbours_tell_the_slices_of_documents_where_there_are_two(workspace, run):
    found = comparison(workspace)["neighbours"]
    assert set(found) == {"champion", "candidate"}
    documents = found["candidate"]["documents"]
    assert documents["n"] == 150
    assert 0 < documents["low"] <= documents["value"] <= documents["high"] <= 1
    assert found["candidate"]["queries"]["n"] == 0, "no document is of the queries' slice"
    change_catalogue(workspace, lambda row: row | {"slice": "reference"})
    run("evaluate", workspace.root)
    assert comparison(workspace)["neighbours"] == {}


def test_a_snapshot_from_before_earlier_releases_were_frozen_still_evaluates(workspace, run):
    shutil.rmtree(workspace.snapshot / "earlier")
    run("evaluate", workspace.root)
    assert comparison(workspace)["earlier"] == []


@pytest.fixture
def done(workspace):
    return workspace
