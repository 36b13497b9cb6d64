"""What was mined may teach only if every promise of the triplets is kept."""

import json
from copy import deepcopy
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small import write_params

from perennial.data.schema import CATALOGUE
from perennial.data.split import is_held_out
from perennial.errors import TableInvalid
from perennial.workspace import Workspace

NEGATIVE = pa.struct([("doc_id", pa.string()), ("origin", pa.string()), ("score", pa.float32())])
SCHEMA = pa.schema(
    [
        ("query", pa.string()),
        ("positive", pa.string()),
        ("positive_score", pa.float32()),
        ("negatives", pa.list_(NEGATIVE)),
    ]
)
LEARNT, HELD = (
    [
        name
        for name in (f"question {number}" for number in range(60))
        if is_held_out([name], share=0.25, salt="perennial")[0] == held
    ]
    for held in (False, True)
)
GOOD = [
    {
        "query": query,
        "positive": f"d{number}",
        "positive_score": 0.9,
        "negatives": [
            {"doc_id": f"d{number + 20}", "origin": "ann", "score": 0.4},
            {"doc_id": f"d{number + 40}", "origin": "random", "score": None},
        ],
    }
    for number, query in enumerate(LEARNT[:20])
]


def audited(root, rows, texts=None):
    """The summary of the rows; raises what the stage raises."""
    from expectations.audit import run

    workspace = Workspace(root)
    params = write_params(workspace.params)
    (root / "snapshot").mkdir(exist_ok=True)
    workspace.artifacts("mine").mkdir(parents=True, exist_ok=True)
    now, texts = datetime(2026, 1, 1, tzinfo=UTC), texts or {}
    documents = [
        {
            "doc_id": f"d{i}",
            "title": "",
            "text": texts.get(f"d{i}", f"text {i}"),
            "slice": None,
            "updated_at": now,
        }
        for i in range(60)
    ]
    pq.write_table(pa.Table.from_pylist(documents, CATALOGUE), workspace.table("catalogue"))
    triplets = workspace.artifacts("mine") / "triplets.parquet"
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), triplets)
    run(workspace, params)
    return json.loads((workspace.artifacts("audit") / "summary.json").read_text())


def changed(**changes):
    """Good triplets but for the first; `negative` changes its first negative."""
    rows = deepcopy(GOOD)
    rows[0]["negatives"][0] |= changes.pop("negative", {})
    rows[0] |= changes
    return rows


def test_triplets_that_keep_every_promise_may_teach(tmp_path):
    found = audited(tmp_path, GOOD)
    assert found["success"] and found["broken"] == [] == found["warnings"]
    assert (found["triplets"], found["queries"], found["negatives"]) == (20, 20, 40)


BREACHES = {
    "query must be given": changed(query="  "),
    "no query may be held out": changed(query=HELD[0]),
    "positive must be in the catalogue": changed(positive="gone"),
    "every negative must be in the catalogue": changed(negative={"doc_id": "gone"}),
    "no negative may be a positive of its query": changed(negative={"doc_id": "d0"}),
    "no negative may stand twice": changed(negative={"doc_id": "d40"}),
    "origin must be one of log, ann, random": changed(negative={"origin": "rumour"}),
    "positive_score must be a finite number": changed(positive_score=np.inf),
    "score must be a finite number": changed(negative={"score": None}),
    "90% of the triplets must have 1 or more": [row | {"negatives": []} for row in GOOD[:3]]
    + GOOD[3:],
}


@pytest.mark.parametrize("promise", BREACHES)
def test_a_broken_promise_is_named_in_a_sentence_and_shown(tmp_path, promise):
    with pytest.raises(TableInvalid) as caught:
        audited(tmp_path, BREACHES[promise])
    sentences = str(caught.value).splitlines()[1:]
    assert len(sentences) == 1 and sentences[0].startswith(f"triplets: {promise}"), sentences
    assert caught.value.exit_code == 2
    assert not (tmp_path / "artifacts" / "audit" / "summary.json").exists()
    told = json.loads((tmp_path / "work" / "audit" / "summary.json").read_text())
    assert len(told["broken"]) == 1 and told["broken"][0]["sample"]


def test_a_negative_may_not_be_another_positive_of_its_query(tmp_path):
    second = GOOD[0] | {"positive": "d20", "negatives": GOOD[0]["negatives"][1:]}
    with pytest.raises(TableInvalid, match="no negative may be a positive of its query"):
        audited(tmp_path, [*GOOD, second])


def test_a_negative_may_not_read_as_a_positive_does(tmp_path):
    with pytest.raises(TableInvalid, match="the same words as a positive"):
        audited(tmp_path, GOOD, texts={"d0": "one text", "d20": " one text "})


def test_a_document_that_is_negative_everywhere_warns_and_stops_nothing(tmp_path):
    hub = {"doc_id": "d59", "origin": "ann", "score": 0.1}
    rows = [row | {"negatives": [*row["negatives"], hub]} for row in GOOD[:19]]
    found = audited(tmp_path, rows)
    assert found["success"]
    (warning,) = found["warnings"]
    assert warning["sample"][0]["negative"] == "d59" and warning["count"] == 1


def test_the_page_escapes_what_was_mined_and_asks_no_other_host(tmp_path):
    with pytest.raises(TableInvalid):
        audited(tmp_path, changed(query="<script>alert(1)</script>", positive="gone"))
    page = (tmp_path / "work" / "audit" / "report.html").read_text()
    assert "&lt;script&gt;" in page
    assert "<script" not in page and "://" not in page


def test_the_same_triplets_give_the_same_bytes(tmp_path):
    pages = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        audited(tmp_path / name, GOOD)
        pages.append((tmp_path / name / "work" / "audit" / "report.html").read_bytes())
    assert pages[0] == pages[1]
