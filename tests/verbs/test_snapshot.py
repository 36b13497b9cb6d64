"""snapshot: the settled window of the log, whole or not at all, with the champion's own bytes."""

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small import write_params

from perennial.data.schema import TABLES
from perennial.model.digest import directory_digest, file_digest
from perennial.release.caching.materialise import materialise
from perennial.release.stores.local import LocalStore
from perennial.verbs.freezing.queries import Rare
from perennial.verbs.snapshot import SnapshotInfo

WINDOW = {"snapshot": {"window_days": 3, "click_window_seconds": 7200}}


@pytest.fixture
def snapshot(run, tmp_path):
    """`snapshot()`: what `perennial snapshot --json` answers; `snapshot.place` holds the tables."""

    def take(*arguments):
        code, out, err = run("snapshot", *arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    take.place = tmp_path / "snapshot"
    return take


def rewrite(home, table, change):
    """Change the only file of a table of the source, as rows."""
    place = home / "source" / f"{table}.parquet"
    path = place if place.exists() else home / "source" / table / "part-0000.parquet"
    rows = pq.read_table(path).to_pylist()
    pq.write_table(pa.Table.from_pylist(change(rows), TABLES[table]), path)


def frozen(snapshot, table):
    return pq.read_table(snapshot.place / f"{table}.parquet").to_pandas()


def test_a_snapshot_is_the_tables_a_description_and_the_champions_bytes(
    running, snapshot, tmp_path
):
    about = snapshot()
    written = json.loads((snapshot.place / "snapshot.json").read_text())
    assert {k: about[k] for k in ("digest", "champion", "rows", "dropped")} == {
        k: written[k] for k in ("digest", "champion", "rows", "dropped")
    }
    assert written["channel"] == "production"
    for name, schema in TABLES.items():
        path = snapshot.place / f"{name}.parquet"
        assert pq.read_schema(path).equals(schema)
        assert written["digests"][name] == file_digest(path)
        assert written["rows"][name] == pq.read_metadata(path).num_rows
    store = LocalStore(running / "store")
    materialise(store, about["champion"], tmp_path / "champion")
    assert directory_digest(snapshot.place / "champion") == directory_digest(tmp_path / "champion")
    assert about["champion"] == store.read_channel("production").stable


def test_only_settled_requests_of_the_window_count_and_what_belongs_to_them(
    running, snapshot, tmp_path
):
    write_params(tmp_path / "params.yaml", WINDOW)
    every = pq.read_table(running / "source" / "requests" / "part-0000.parquet").to_pandas()
    last = every["ts"].max()
    start, settled = last - pd.Timedelta(days=3), last - pd.Timedelta(hours=2)
    wanted = every[(every["ts"] >= start) & (every["ts"] <= settled)]
    assert 0 < len(wanted) < len(every)
    snapshot()
    assert set(frozen(snapshot, "requests")["request_id"]) == set(wanted["request_id"])
    written = json.loads((snapshot.place / "snapshot.json").read_text())
    assert pd.Timestamp(written["window"]["start"]) == start
    assert pd.Timestamp(written["window"]["end"]) == last
    for table in ("impressions", "events"):
        source = pq.read_table(running / "source" / table / "part-0000.parquet").to_pandas()
        mine = source[source["request_id"].isin(wanted["request_id"])]
        key = ["request_id", "doc_id"]
        assert set(map(tuple, frozen(snapshot, table)[key].to_numpy())) == set(
            map(tuple, mine[key].to_numpy())
        )
        assert len(frozen(snapshot, table)) == len(mine)


def test_a_late_click_counts_and_one_after_the_end_of_the_log_waits(running, snapshot, tmp_path):
    write_params(tmp_path / "params.yaml", WINDOW)
    requests = pq.read_table(running / "source" / "requests" / "part-0000.parquet").to_pandas()
    last = requests["ts"].max()
    old = requests[requests["ts"] <= last - pd.Timedelta(hours=3)].iloc[-1]["request_id"]
    shown = pq.read_table(running / "source" / "impressions" / "part-0000.parquet").to_pandas()
    doc_id = shown[shown["request_id"] == old].iloc[0]["doc_id"]

    def click(rows):
        late = {"request_id": old, "doc_id": doc_id, "type": "click"}
        inside, after = last.to_pydatetime(), (last + pd.Timedelta(seconds=1)).to_pydatetime()
        rows.append(late | {"event_id": "late", "ts": inside})
        return [*rows, late | {"event_id": "too-late", "ts": after}]

    rewrite(running, "events", click)
    snapshot()
    found = set(frozen(snapshot, "events")["event_id"])
    assert "late" in found and "too-late" not in found


def test_equal_input_gives_an_equal_digest_however_the_log_is_cut_into_files(running, snapshot):
    first = snapshot()
    before = directory_digest(snapshot.place)
    assert snapshot() == first
    assert directory_digest(snapshot.place) == before
    for table in ("requests", "impressions", "events"):
        path = running / "source" / table / "part-0000.parquet"
        rows = pq.read_table(path)
        pq.write_table(rows.slice(len(rows) // 2), path)
        pq.write_table(rows.slice(0, len(rows) // 2), path.with_name("part-0001.parquet"))
    assert snapshot() == first
    assert directory_digest(snapshot.place) == before


def test_another_log_catalogue_or_champion_gives_another_digest(running, snapshot):
    digests = {snapshot()["digest"]}
    rewrite(running, "requests", lambda rows: [rows[0] | {"latency_ms": 1.5}, *rows[1:]])
    digests.add(snapshot()["digest"])
    rewrite(running, "catalogue", lambda rows: [rows[0] | {"title": "new"}, *rows[1:]])
    digests.add(snapshot()["digest"])
    assert len(digests) == 3


def test_requests_about_deleted_documents_are_left_out_whole_and_counted(running, snapshot, run):
    impressions = pq.read_table(running / "source" / "impressions" / "part-0000.parquet")
    shown = impressions.to_pandas()
    everything = snapshot()
    kept_before = set(frozen(snapshot, "requests")["request_id"])
    labelled = pq.read_table(running / "source" / "judgements.parquet")["doc_id"][0].as_py()
    deleted = [labelled, "doc-00120"]
    rewrite(running, "catalogue", lambda rows: [r for r in rows if r["doc_id"] not in deleted])
    about = snapshot()
    gone = set(shown[shown["doc_id"].isin(deleted)]["request_id"]) & kept_before
    assert 0 < about["dropped"]["requests"] == len(gone)
    assert about["dropped"]["judgements"] == 1
    assert set(frozen(snapshot, "requests")["request_id"]) == kept_before - gone
    for table in ("impressions", "events"):
        assert not set(frozen(snapshot, table)["request_id"]) & gone
    for table in ("impressions", "events", "judgements"):
        assert not set(frozen(snapshot, table)["doc_id"]) & set(deleted)
    assert about["rows"]["requests"] == everything["rows"]["requests"] - len(gone)
    assert json.loads((snapshot.place / "snapshot.json").read_text())["dropped"] == about["dropped"]
    assert about["digest"] != everything["digest"]
    out = run("snapshot")[1]
    assert f"{len(gone)} requests and 1 judgements are left out" in out
    assert "documents that the catalogue no longer has" in out


def test_a_log_that_mostly_misses_is_kept_whole_for_validate_to_refuse(running, snapshot):
    everything = snapshot()
    rewrite(running, "catalogue", lambda rows: rows[:40])
    about = snapshot()
    assert about["dropped"] == {"requests": 0, "judgements": 0}
    assert about["rows"]["impressions"] == everything["rows"]["impressions"]


def test_the_share_that_may_be_left_out_is_a_parameter(running, snapshot, tmp_path):
    rewrite(running, "catalogue", lambda rows: rows[1:])
    lost = snapshot()["dropped"]["requests"]
    share = lost / (lost + len(frozen(snapshot, "requests")))
    for bound, dropped in ((share * 1.01, lost), (share * 0.99, 0)):
        write_params(tmp_path / "params.yaml", {"snapshot": {"max_unknown_share": bound}})
        assert snapshot()["dropped"]["requests"] == dropped


def test_a_request_that_comes_twice_does_not_double_what_belongs_to_it(running, snapshot):
    everything = snapshot()["rows"]
    rewrite(running, "requests", lambda rows: [rows[0], *rows])
    assert snapshot()["rows"] == everything | {"requests": everything["requests"] + 1}


def test_a_snapshot_needs_a_champion_to_compare_with(run, running):
    shutil.rmtree(running / "store")
    code, _, err = run("snapshot")
    assert code == 2
    assert "perennial bootstrap" in err


def test_a_damaged_champion_is_no_input(run, running, snapshot):
    snapshot()
    before = directory_digest(snapshot.place)
    path = max((running / "store" / "objects").glob("??/*"), key=lambda p: p.stat().st_size)
    path.write_bytes(b"x" + path.read_bytes()[1:])
    code, _, err = run("snapshot")
    assert code == 3
    assert "is damaged in the store" in err
    assert directory_digest(snapshot.place) == before


@pytest.mark.parametrize("table", ["requests", "impressions", "events", "catalogue", "judgements"])
def test_a_damaged_table_is_named_and_the_old_snapshot_stays(run, running, snapshot, table):
    snapshot()
    before = directory_digest(snapshot.place)
    place = running / "source" / f"{table}.parquet"
    path = place if place.exists() else running / "source" / table / "part-0000.parquet"
    path.write_bytes(path.read_bytes()[:-50])
    code, out, err = run("snapshot")
    assert (code, out) == (2, "")
    assert err.startswith("perennial: ") and str(path) in err and err.count("\n") == 1
    assert directory_digest(snapshot.place) == before


@pytest.mark.slow
def test_a_snapshot_killed_before_any_change_leaves_the_old_one_or_none(
    run, running, snapshot, killed_verb, tmp_path
):
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(tmp_path / "params.yaml", folder)
    snapshot()
    wanted = directory_digest(snapshot.place)
    shutil.move(snapshot.place, folder / "snapshot")
    (folder / "snapshot" / "mark").touch()
    older = directory_digest(folder / "snapshot")
    killed = killed_verb(folder, "snapshot")
    seen = [
        directory_digest(each / "snapshot") if (each / "snapshot").exists() else None
        for each in killed
    ]
    assert set(seen) == {older, None, wanted}
    assert seen == sorted(seen, key=[older, None, wanted].index)
    assert seen.count(None) == 1, "between two renames, and never while anything is copied"
    for name in (".snapshot.old", ".snapshot.partial"):
        shutil.copytree(folder / "snapshot", tmp_path / name)
    snapshot()
    assert not list(tmp_path.glob(".snapshot.*")), "what a killed run left"


@pytest.mark.slow
@pytest.mark.parametrize("table", ["requests", "impressions", "judgements"])
def test_a_snapshot_killed_while_it_writes_a_table_leaves_the_old_one(
    running, snapshot, tmp_path, table
):
    snapshot()
    before = directory_digest(snapshot.place)
    command = [sys.executable, "-m", "perennial.cli", "snapshot"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    half = tmp_path / ".snapshot.partial" / f"{table}.parquet"
    while process.poll() is None and not half.exists():
        time.sleep(0.001)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert directory_digest(snapshot.place) == before
    snapshot()
    assert directory_digest(snapshot.place) == before
    assert not list(tmp_path.glob(".snapshot.*")), "what the killed one left"


def test_personal_data_in_queries_is_not_in_a_snapshot_and_is_counted(running, snapshot):
    rewrite(running, "requests", lambda rows: [r | {"query": "of jo@example.org"} for r in rows])
    about = snapshot()
    assert set(frozen(snapshot, "requests")["query"]) == {"of <email>"}
    assert about["redacted"]["requests"]["email"] == about["rows"]["requests"]
    assert about["redacted"]["judgements"]["email"] == 0


def test_labels_of_queries_that_redaction_makes_one_keep_the_higher_grade(running, snapshot):
    def ask(rows):
        same = {"doc_id": rows[0]["doc_id"], "slice": None}
        more = [{"query": f"of {who}@example.org", "grade": grade} | same
                for who, grade in (("jo", 1), ("al", 3), ("mo", 2))]  # fmt: skip
        return [*rows, *more]

    rewrite(running, "judgements", ask)
    snapshot()
    labels = frozen(snapshot, "judgements")
    assert labels[labels["query"] == "of <email>"]["grade"].tolist() == [3]


def test_what_was_redacted_is_said_with_its_counts_and_nothing_where_nothing_was():
    now = datetime(2026, 1, 5, tzinfo=UTC)
    found = {"requests": {"email": 2, "card": 0}, "judgements": {"email": 1, "ip": 1}}
    none = Rare(queries=0, requests=0)
    info = SnapshotInfo("sha256:0", "rel-1", {}, found, {}, none, "keyed", now, now)
    assert info.made_anonymous == "Redacted in queries: 3 email, 1 ip"
    assert replace(info, redacted={}).made_anonymous == ""
    assert info.left_out == ""
    left = replace(info, dropped={"requests": 2, "judgements": 0}, rare=Rare(3, 1_004)).left_out
    assert left == (
        "2 requests are left out: they are about documents that the catalogue no longer has. "
        "3 queries of 1,004 requests are left out: too few sessions asked them"
    )
