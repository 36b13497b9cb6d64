"""import marks: what a person marked is among the next snapshot's judgements, once."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small import load_params, snapshot_into

from perennial.data.schema import JUDGEMENTS

GATE = "sha256:" + "ab" * 32


@pytest.fixture
def labelled(running) -> dict:
    """The first label of the source."""
    return pq.read_table(running / "source" / "judgements.parquet").to_pylist()[0]


@pytest.fixture
def mark(tmp_path, labelled):
    """`mark(doc_id=relevant, …)`: a file of marks on the labelled query, as a page writes it."""

    def write(at: str = "2026-01-09T10:00:00Z", **documents: bool):
        rows = [
            {"query": labelled["query"], "doc_id": doc.replace("_", "-"), "relevant": relevant}
            for doc, relevant in documents.items()
        ]
        pairs = [{"query": labelled["query"], "candidate": "worse"}]
        value = {"format_version": 1, "release": None, "gate": GATE, "reviewer": "Ada"}
        value |= {"marked_at": at, "marks": {"pairs": pairs, "documents": rows}}
        path = tmp_path / "marks.json"
        path.write_text(json.dumps(value))
        return path

    return write


@pytest.fixture
def snapshot(running, tmp_path):
    """The judgements and the digest of the next snapshot."""

    def take():
        params = load_params(tmp_path / "params.yaml")
        info = snapshot_into(running, tmp_path / "snapshot", params)
        return pq.read_table(tmp_path / "snapshot" / "judgements.parquet").to_pylist(), info.digest

    return take


def others(labelled: dict) -> tuple[str, str]:
    """Two documents that nobody judged for the query."""
    free = [f"doc-{i:05d}" for i in range(4) if f"doc-{i:05d}" != labelled["doc_id"]]
    return free[0], free[1]


def test_marked_documents_are_judgements_of_the_next_snapshot(
    run, mark, labelled, snapshot, running
):
    before, _ = snapshot()
    good, bad = others(labelled)
    path = mark(**{good.replace("-", "_"): True, bad.replace("-", "_"): False})
    code, out, err = run("import", "marks", "--path", path)
    assert (code, err) == (0, "")
    assert "2 documents a grade" in out and "1 preferences between answers" in out
    now, digest = snapshot()
    new = [row for row in now if row not in before]
    assert {(row["doc_id"], row["grade"]) for row in new} == {(good, 1), (bad, 0)}
    assert {row["slice"] for row in new} == {labelled["slice"]}, "a query has one slice"
    assert len(now) == len(before) + 2

    code, out, _ = run("import", "marks", "--path", path)
    assert code == 0 and "add nothing" in out
    assert snapshot() == (now, digest)
    assert len(list((running / "source" / "marks").iterdir())) == 1


def test_a_later_mark_corrects_an_earlier_one_in_whatever_order_they_come(
    run, mark, labelled, snapshot
):
    doc, _ = others(labelled)
    name = doc.replace("-", "_")
    assert run("import", "marks", "--path", mark("2026-01-09T12:00:00Z", **{name: False}))[0] == 0
    code, out, _ = run("import", "marks", "--path", mark("2026-01-09T10:00:00Z", **{name: True}))
    assert code == 0 and "0 documents a grade" in out
    assert [row["grade"] for row in snapshot()[0] if row["doc_id"] == doc] == [0]


def test_a_label_of_the_source_counts_more_than_a_mark_and_comes_later_without_harm(
    run, mark, labelled, snapshot, running
):
    doc, _ = others(labelled)
    path = mark(**{labelled["doc_id"].replace("-", "_"): False, doc.replace("-", "_"): True})
    code, out, _ = run("import", "marks", "--path", path)
    assert code == 0 and "1 documents already have a label" in out
    labels = running / "source" / "judgements.parquet"
    rows = [*pq.read_table(labels).to_pylist(), {**labelled, "doc_id": doc, "grade": 2}]
    pq.write_table(pa.Table.from_pylist(rows, schema=JUDGEMENTS), labels)
    now, _ = snapshot()
    mine = {row["doc_id"]: row["grade"] for row in now if row["query"] == labelled["query"]}
    assert mine[labelled["doc_id"]] == labelled["grade"]
    assert mine[doc] == 2
    pairs = [(row["query"], row["doc_id"]) for row in now]
    assert len(pairs) == len(set(pairs)), "validate refuses a document that is graded twice"


def test_a_label_whose_query_is_redacted_still_counts_more_than_a_mark(
    run, mark, labelled, snapshot, running, tmp_path
):
    labels = running / "source" / "judgements.parquet"
    doc, _ = others(labelled)
    secret = {**labelled, "query": "mail ada@example.com", "doc_id": doc, "grade": 3}
    rows = [*pq.read_table(labels).to_pylist(), secret]
    pq.write_table(pa.Table.from_pylist(rows, schema=JUDGEMENTS), labels)
    (plain,) = {row["query"] for row in snapshot()[0] if row["query"].startswith("mail ")}
    path = mark(**{doc.replace("-", "_"): False})
    path.write_text(path.read_text().replace(json.dumps(labelled["query"]), json.dumps(plain)))
    assert run("import", "marks", "--path", path)[0] == 0
    assert [row["grade"] for row in snapshot()[0] if row["query"] == plain] == [3]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text[:-9], "download the marks"),
        (lambda text: text.replace("doc-", "nowhere-"), "no document of the catalogue"),
        (lambda text: text.replace("2026-01-09", "3026-01-09"), "yet to come"),
    ],
)
def test_bad_marks_are_one_sentence_and_change_nothing(run, mark, labelled, running, spoil, said):
    path = mark(**{others(labelled)[0].replace("-", "_"): True})
    path.write_text(spoil(path.read_text()))
    code, out, err = run("import", "marks", "--path", path)
    assert (code, out) == (2, "")
    assert said in err and err.count("\n") == 1
    assert not (running / "source" / "marks").exists()


def test_marks_need_their_file(run, running):
    assert run("import", "marks")[0] == 2
    code, _, err = run("import", "marks", "--path", "nowhere.json")
    assert code == 2 and "cannot be read" in err


def test_a_damaged_file_of_marks_stops_the_snapshot_by_its_name(run, mark, labelled, running):
    path = mark(**{others(labelled)[0].replace("-", "_"): True})
    assert run("import", "marks", "--path", path)[0] == 0
    (kept,) = (running / "source" / "marks").iterdir()
    kept.write_text("{}")
    code, _, err = run("snapshot")
    assert code == 2 and kept.name in err
