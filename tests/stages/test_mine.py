"""mine: whose vectors it takes, whom it asks, and what it learns of its own mistakes."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small import write_params

from perennial.errors import BadInput, Refused
from perennial.model.digest import directory_digest
from perennial.model.encoder import load_encoder
from perennial.model.vectors import VectorCache


def embedded(workspace):
    """How many texts the stage had to embed."""
    folder = workspace.work("mine") / "vectors"
    if not folder.exists():
        return 0
    (path,) = folder.glob("*.sqlite")
    with VectorCache.open(folder, encoder_digest=f"sha256:{path.stem}", dimension=16) as cache:
        return len(cache)


def summary(workspace):
    return json.loads((workspace.artifacts("mine") / "summary.json").read_text())


def test_what_the_champions_index_holds_is_not_embedded_again(workspace, run):
    assert embedded(workspace) == 0
    table = pq.read_table(workspace.table("catalogue"))
    rows = table.to_pylist()
    rows[3]["text"] += " and more"
    pq.write_table(pa.Table.from_pylist(rows, table.schema), workspace.table("catalogue"))
    run("mine", workspace.root)
    assert embedded(workspace) == 1


def test_vectors_out_of_the_index_mine_what_embedding_mines(workspace, run):
    wanted = directory_digest(workspace.artifacts("mine"))
    # The same encoder under another digest, of which no index holds a vector.
    shutil.copytree(workspace.champion / "encoder", workspace.root / "teacher")
    (workspace.root / "teacher" / "README.md").write_text("a copy")
    write_params(workspace.params, {"mine": {"teacher": "teacher"}})
    run("mine", workspace.root)
    assert embedded(workspace) == 150
    assert directory_digest(workspace.artifacts("mine")) == wanted


def test_another_teacher_finds_others_and_its_neighbours_are_not_in_the_index(workspace, run):
    before = pq.read_table(workspace.artifacts("mine") / "triplets.parquet")
    student = workspace.artifacts("train") / "encoder"
    write_params(workspace.params, {"mine": {"teacher": str(student)}})
    run("mine", workspace.root)
    after = pq.read_table(workspace.artifacts("mine") / "triplets.parquet")
    assert after["query"] == before["query"] and after["positive"] == before["positive"]
    assert after["negatives"] != before["negatives"]
    write_params(workspace.params, {"mine": {"teacher": str(student), "search": "index"}})
    with pytest.raises(BadInput, match=r"set mine\.search to exact"):
        run("mine", workspace.root)


def test_a_teacher_that_is_not_there_is_named(workspace, run):
    write_params(workspace.params, {"mine": {"teacher": "nobody"}})
    with pytest.raises(BadInput, match=r"mine\.teacher is nobody, which is no folder"):
        run("mine", workspace.root)


def test_the_champions_index_may_be_searched_instead(workspace, run):
    before = pq.read_table(workspace.artifacts("mine") / "triplets.parquet")
    write_params(workspace.params, {"mine": {"search": "index"}})
    run("mine", workspace.root)
    after = pq.read_table(workspace.artifacts("mine") / "triplets.parquet")
    assert after.select(["query", "positive"]) == before.select(["query", "positive"])
    assert summary(workspace)["negatives"]["ann"] > 0


def label_two(workspace, near):
    """Two labelled answers for every query: its own, and one that the teacher finds `near`, or
    one of random words."""
    table = pq.read_table(workspace.table("judgements"))
    truth = pq.read_table(workspace.artifacts("judge") / "judgements.parquet").to_pandas()
    catalogue = pq.read_table(workspace.table("catalogue")).to_pandas()
    encoder = load_encoder(workspace.champion / "encoder")
    documents = encoder.encode(catalogue["text"].tolist())
    rows = []
    for query in sorted(truth["query"].unique()):
        order = (encoder.encode([query]) @ documents.T)[0].argsort()
        other = catalogue["doc_id"][int(order[-30] if near else order[0])]
        own = truth[(truth["query"] == query) & (truth["label"] == "positive")]["doc_id"]
        rows += [
            {"query": query, "doc_id": doc_id, "grade": 1, "slice": None}
            for doc_id in {*own, other}
        ]
    pq.write_table(pa.Table.from_pylist(rows, table.schema), workspace.table("judgements"))


def test_hidden_answers_tell_how_often_an_answer_is_mined(workspace, run):
    assert summary(workspace)["hidden_answers"] == 0  # nobody labelled a training query
    assert summary(workspace)["relevant_share"] is None
    shares = []
    for near in (False, True):
        label_two(workspace, near)
        write_params(workspace.params, {"mine": {"max_relevant_share": 1.0}})
        run("judge", workspace.root)
        run("mine", workspace.root)
        about = summary(workspace)
        assert about["hidden_answers"] > 20
        shares.append(about["relevant_share"])
    assert shares[0] < shares[1]
    write_params(workspace.params, {"mine": {"max_relevant_share": 0.0}})
    with pytest.raises(Refused, match="relevant_share is surely 0"):
        run("mine", workspace.root)
