"""The catalogue as an index compares it: what it holds, what it refuses, and how it says so."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perennial.data import catalogue as module
from perennial.data.catalogue import read_documents, read_texts
from perennial.data.documents import indexed_texts
from perennial.errors import BadInput, TableInvalid
from perennial.model.digest import text_digest, text_digests

DAY = datetime(2026, 1, 5, tzinfo=UTC)


def table(**columns):
    whole = {
        "doc_id": ["b", "ä", "a", "Z"],
        "title": ["B", "", "A", "title"],
        "text": ["text of b", "no title 🙂", "", "text of Z"],
        "slice": ["x", None, "", "y"],
        "updated_at": [DAY, DAY, DAY.replace(day=9, microsecond=5), DAY],
    }
    return pa.table({name: value for name, value in (whole | columns).items() if value is not None})


def written(tmp_path, rows):
    pq.write_table(rows, tmp_path / "catalogue.parquet")
    return tmp_path / "catalogue.parquet"


def read(path):
    return read_documents(path, digests_of=text_digests)


@pytest.mark.parametrize("rows_at_a_time", [1, 3, 100])
def test_an_increment_reads_the_texts_that_a_full_build_reads(
    tmp_path, rows_at_a_time, monkeypatch
):
    monkeypatch.setattr(module, "_ROWS", rows_at_a_time)
    path = written(tmp_path, table())
    found = read(path)
    frame = pd.read_parquet(path).sort_values("doc_id").reset_index(drop=True)
    texts = indexed_texts(frame)
    assert found.doc_ids.to_pylist() == frame["doc_id"].tolist()
    assert found.text_digests.to_pylist() == [text_digest(text) for text in texts]
    assert found.slices.to_pylist() == ["y", "", "x", None]
    assert found.watermark == "2026-01-09T00:00:00.000005Z"
    for chosen in ([0, 1, 2, 3], [2, 0], [3], []):
        rows = np.array(chosen, dtype=np.int64)
        assert read_texts(found, rows) == [texts[row] for row in chosen]


def test_foreign_types_that_mean_the_same_are_read(tmp_path):
    rows = table(
        slice=None,
        title=pa.array(["B", "", "A", "title"]).dictionary_encode(),
        text=pa.array(["text of b", "no title 🙂", "", "text of Z"], pa.large_string()),
        updated_at=pa.array([0, 1, 2, 1_700_000_000_123_456_789], pa.timestamp("ns")),
    )
    found = read(written(tmp_path, rows))
    assert found.text_digests == read(written(tmp_path, table())).text_digests
    assert found.slices.null_count == 4
    assert found.watermark == "2023-11-14T22:13:20.123456Z"


@pytest.mark.parametrize(
    ("columns", "kind", "says"),
    [
        ({"doc_id": ["a", "b", "a", "c"]}, TableInvalid, "1 doc_ids stand more than once"),
        ({"doc_id": None}, TableInvalid, "lacks the column doc_id"),
        ({"text": None}, TableInvalid, "lacks the column text"),
        ({"updated_at": None}, TableInvalid, "lacks the column updated_at"),
        ({"text": ["a", None, "b", "c"]}, TableInvalid, "column text .* lacks values"),
        ({"updated_at": ["now", "then", "x", "y"]}, TableInvalid, "does not fit its type"),
        ({"text": [[1], [2], [3], [4]]}, TableInvalid, "does not fit its type"),
    ],
)
def test_a_broken_promise_is_one_sentence(tmp_path, columns, kind, says):
    with pytest.raises(kind, match=says) as caught:
        read(written(tmp_path, table(**columns)))
    assert "\n" not in str(caught.value)


def test_an_empty_a_missing_and_a_torn_catalogue_are_one_sentence_each(tmp_path):
    path = written(tmp_path, table().slice(0, 0))
    with pytest.raises(BadInput, match="the catalogue is empty"):
        read(path)
    path.write_bytes(b"PAR1 torn")
    with pytest.raises(BadInput, match="is not a readable parquet file"):
        read(path)
    path.unlink()
    with pytest.raises(BadInput, match="perennial import"):
        read(path)


def test_a_file_that_shrinks_while_it_is_read_gives_no_wrong_text(tmp_path):
    found = read(written(tmp_path, table()))
    written(tmp_path, table().slice(0, 2))
    with pytest.raises(BadInput, match="changed while it was read"):
        read_texts(found, np.array([0, 3]))
