import os
import threading
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perennial.serving.excerpts import Excerpt, read_excerpts
from perennial.serving.titles import Titles, _made


def write_catalogue(folder, text):
    rows = {"doc_id": ["a", "b"], "title": ["About a", "About b"], "text": [text, "short"]}
    pq.write_table(pa.table(rows), folder / "catalogue.parquet")


def test_an_excerpt_is_the_title_and_whole_first_words(tmp_path):
    write_catalogue(tmp_path, "many  words\n" * 100)
    found = read_excerpts(tmp_path, ["a", "missing"])
    assert found.keys() == {"a"}
    assert found["a"].title == "About a"
    assert found["a"].first_words.startswith("many words many")
    assert found["a"].first_words.endswith((" words …", " many …"))
    assert len(found["a"].first_words) <= 142
    assert read_excerpts(tmp_path, ["b"])["b"] == Excerpt("About b", "short")


def test_a_source_without_a_readable_catalogue_gives_no_excerpts(tmp_path):
    assert read_excerpts(tmp_path, ["a"]) == {}
    (tmp_path / "catalogue.parquet").write_bytes(b"not parquet")
    assert read_excerpts(tmp_path, ["a"]) == {}
    pq.write_table(pa.table({"doc_id": ["a"]}), tmp_path / "catalogue.parquet")
    assert read_excerpts(tmp_path, ["a"]) == {}


def test_titles_are_looked_up_by_id_in_a_table_that_follows_the_catalogue(tmp_path, monkeypatch):
    titles = Titles(tmp_path / "catalogue.parquet")
    assert titles.of(["a"]) == {}
    write_catalogue(tmp_path, "many  words\n" * 100)
    for wanted in (["a", "b", "missing", "a"], ["b"], []):
        assert titles.of(wanted) == read_excerpts(tmp_path, wanted)
    write_catalogue(tmp_path, "others")
    wait_until(lambda: titles.of(["a"]) == {"a": Excerpt("About a", "others")})
    # The catalogue did not change, so nobody reads it again.
    monkeypatch.setattr("perennial.serving.titles.pq.ParquetFile", None)
    assert titles.of(["b"])["b"].first_words == "short"
    (tmp_path / "catalogue.parquet").unlink()
    assert titles.of(["b"]) == {}
    titles.close()


def test_nobody_waits_while_a_table_is_made_of_a_newer_catalogue(tmp_path, monkeypatch):
    write_catalogue(tmp_path, "old")
    titles, go = Titles(tmp_path / "catalogue.parquet"), threading.Event()
    assert titles.of(["a"])["a"].first_words == "old"
    made = []

    def slowly(catalogue):
        made.append(catalogue)
        assert go.wait(10)
        return _made(catalogue)

    monkeypatch.setattr("perennial.serving.titles._made", slowly)
    write_catalogue(tmp_path, "new")
    for _ in range(3):
        assert titles.of(["a"])["a"].first_words == "old"
    go.set()
    wait_until(lambda: titles.of(["a"])["a"].first_words == "new")
    assert len(made) == 1
    write_catalogue(tmp_path, "unread")
    go.clear()
    assert titles.of(["a"])["a"].first_words == "new"
    titles.close()
    go.set()
    wait_until(lambda: titles._maker is None)
    assert titles._table is None, "who closed it left nothing open"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_table_whose_making_fails_takes_no_titles_away_and_is_tried_again(tmp_path, monkeypatch):
    write_catalogue(tmp_path, "old")
    titles = Titles(tmp_path / "catalogue.parquet")
    assert titles.of(["a"])["a"].first_words == "old"
    failed = []

    def fail(catalogue):
        failed.append(catalogue)
        if len(failed) == 1:
            raise MemoryError("no room")

    monkeypatch.setattr("perennial.serving.titles._made", fail)
    write_catalogue(tmp_path, "new one")

    def has_failed_twice():
        assert titles.of(["a"])["a"].first_words == "old"
        return len(failed) > 1

    wait_until(has_failed_twice)
    monkeypatch.setattr("perennial.serving.titles._made", _made)
    wait_until(lambda: titles.of(["a"])["a"].first_words == "new one")
    titles.close()


def wait_until(holds, seconds=10.0):
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.002)


def test_a_catalogue_that_is_none_has_no_titles(tmp_path):
    (tmp_path / "catalogue.parquet").write_bytes(b"not parquet")
    assert Titles(tmp_path / "catalogue.parquet").of(["a"]) == {}


def test_a_table_that_could_not_be_made_is_made_later_of_the_same_catalogue(tmp_path):
    write_catalogue(tmp_path, "words")
    catalogue = tmp_path / "catalogue.parquet"
    whole, titles = catalogue.read_bytes(), Titles(catalogue)
    for written, found in ((bytes(len(whole)), set()), (whole, {"a"})):
        catalogue.write_bytes(written)
        os.utime(catalogue, ns=(1, 1))  # nothing tells the two apart but a second try
        assert titles.of(["a"]).keys() == found
    titles.close()
