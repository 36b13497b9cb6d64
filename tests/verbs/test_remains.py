"""Where a forgotten document still stands outside of the store: told by name, with the command."""

import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from perennial.release.forgetting.traces import Traces
from perennial.verbs.remains import find_remains, owe_nothing_of, show_remains
from perennial.workspace import Places, Workspace

GONE = "document-7"
TRACES = Traces((GONE,), frozenset([b"\x01\x02\x03\x04" * 16]))


@pytest.fixture
def places(tmp_path):
    return Places.from_environment({"PERENNIAL_HOME": str(tmp_path / "a home")})


def write_table(path, column):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"column": column}), path)


def fill(places, name, *, is_over=False):
    """A run with a frozen table, and triplets whose negatives are lists of structs."""
    run = places.runs / name
    write_table(run / "snapshot" / "catalogue.parquet", pa.array([GONE, "other"]))
    negatives = pa.array([[{"doc_id": "other"}, {"doc_id": GONE}]] * 5000)
    write_table(run / "artifacts" / "mine" / "triplets.parquet", negatives)
    write_table(run / "artifacts" / "judge" / "judgements.parquet", pa.array(["document-77"]))
    if is_over:
        (run / "work" / "report").mkdir(parents=True)
        (run / "work" / "report" / "summary.json").write_text("{}")
    return run


def test_every_run_that_holds_it_is_named_and_its_command_removes_it(places):
    over, open_ = fill(places, "aaaa", is_over=True), fill(places, "bbbb")
    clean = places.runs / "cccc"
    write_table(clean / "snapshot" / "catalogue.parquet", pa.array(["other"]))
    found = find_remains(places, TRACES)
    assert [(each.name, each.kind, each.files, each.is_over) for each in found] == [
        ("aaaa", "run", 2, True),
        ("bbbb", "run", 2, False),
    ]
    for each in found:
        subprocess.run(each.command, shell=True, check=True)
    assert find_remains(places, TRACES) == ()
    assert not over.exists() and not open_.exists() and clean.exists()


def test_a_run_that_holds_it_is_pushed_no_more(places):
    run, clean = Workspace(fill(places, "aaaa", is_over=True)), Workspace(places.runs / "cccc")
    write_table(clean.snapshot / "catalogue.parquet", pa.array(["other"]))
    for each in (run, clean):
        each.owed.parent.mkdir(parents=True)
        each.owed.write_text("{}")
    owe_nothing_of(find_remains(places, TRACES), places.runs)
    assert run.is_over and clean.owed.exists()


def test_a_vector_in_a_runs_index_is_found_without_the_id(places):
    path = places.runs / "aaaa" / "artifacts" / "index" / "segment.faiss"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"head" + b"\x01\x02\x03\x04" * 16 + b"tail")
    assert find_remains(places, TRACES)[0].first == (str(path),)


def test_what_else_lies_at_home_and_the_sources_logs_are_told_without_a_command(places):
    write_table(places.source / "impressions.parquet", pa.array([GONE]))
    write_table(places.source / "catalogue.parquet", pa.array([GONE]))  # told in words of its own
    (places.home / "pages").mkdir()
    (places.home / "pages" / "review.html").write_text(f"<td>{GONE}</td>")
    for place in (places.cache, places.home / "store"):  # clean by then
        write_table(place / "any.parquet", pa.array([GONE]))
    pages, source = find_remains(places, TRACES)
    assert (pages.name, pages.files, pages.command) == (str(places.home / "pages"), 1, None)
    assert source.first == (str(places.source / "impressions.parquet"),)


def test_a_table_that_nobody_can_read_is_told_and_stops_nothing(places):
    run = fill(places, "aaaa")
    whole = (run / "artifacts" / "mine" / "triplets.parquet").read_bytes()
    (places.runs / "bbbb").mkdir()
    (places.runs / "bbbb" / "half.parquet").write_bytes(whole[: len(whole) // 2])
    assert [(each.name, each.files) for each in find_remains(places, TRACES)] == [
        ("aaaa", 2),
        ("bbbb", 1),
    ]


def test_nothing_is_there_before_the_first_retrain(places):
    assert find_remains(places, TRACES) == ()


def test_what_is_told_has_the_run_and_a_command_that_no_narrow_terminal_cuts(places, capsys):
    fill(places, "aaaa")
    (run,) = find_remains(places, TRACES)
    show_remains(vars(run), Console(width=20))
    out = capsys.readouterr().out
    assert "Run aaaa still holds it in 2 files" in out and run.command in out.splitlines()[1]
