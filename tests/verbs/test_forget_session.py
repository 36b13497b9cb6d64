"""A forgotten session is in no byte that is left; all others are as they were."""

import html
import json
import os
import shutil
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perennial.data.schema import EVENTS, IMPRESSIONS, REQUESTS
from perennial.release.audit import read_deeds
from perennial.release.manifests.manifest import read_manifest
from perennial.release.publishing.publish import promote
from perennial.release.stores.local import LocalStore
from perennial.serving.log.spool import Spool
from perennial.verbs.forgetting.making import making
from perennial.verbs.freezing.sessions import pseudonym
from perennial.workspace import Places, Workspace

sys.path.insert(0, str(Path(__file__).parents[1]))
from everything import everything
from killing import die_at_every_step
from tiny_release import fast_folder, write_folders

from perennial.release.publishing.publish import publish

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
KEY = b"a key of sessions"
GONE, STAYS = "visitor-17", "visitor-18"
HASH = pseudonym(GONE, KEY)
OWN, SHARED = "where does Jörg keep <his> notes", "sort an array"
SNAPSHOT = "sha256:" + sha256(b"a snapshot").hexdigest()


def request(session, number, query):
    row = dict.fromkeys(("channel", "arm", "release_id"), "stable")
    row |= {"n_results": 1, "latency_ms": 1.0, "explored": False, "query": query, "ts": NOON}
    return row | {"request_id": f"{session[-2:]}-request-{number}", "session_id": session}


def write_log(folder, names, suffix="0.parquet", queries=(OWN, SHARED)):
    """Both sessions ask both queries, but OWN is GONE's alone; one impression and click each."""
    said = {GONE: queries, STAYS: [SHARED, "another thing"]}
    rows = [request(s, n, q) for s, asked in said.items() for n, q in enumerate(asked)]
    of = [{"request_id": each["request_id"], "doc_id": "d", "rank": 1} for each in rows]
    shown = [each | {"score": 1.0, "release_id": "stable"} for each in of]
    clicks = [
        each | {"event_id": f"e{n}", "type": "click", "ts": NOON} for n, each in enumerate(of)
    ]
    named = [each | {"session_id": names(each["session_id"])} for each in rows]
    for table, schema, values in (
        ("requests", REQUESTS, named),
        ("impressions", IMPRESSIONS, shown),
        ("events", EVENTS, clicks),
    ):
        path = folder / f"{table}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(values, schema=schema), path)


def write_text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def fill(home):
    """A live log of two days, a run with tables, pages and judgements, and what caches keep."""
    write_log(home / "source", str, "/date=2026-01-05/a.parquet")
    write_log(home / "source", str, "/b.parquet", queries=[SHARED])
    run = home / "runs" / "0123456789abcdef"
    write_log(run / "snapshot", lambda each: pseudonym(each, KEY), ".parquet")
    write_text(run / "snapshot" / "snapshot.json", json.dumps({"digest": SNAPSHOT}))
    judged = pa.table({"query": [OWN, SHARED], "doc_id": ["d", "d"]})
    (run / "artifacts" / "judge").mkdir(parents=True)
    pq.write_table(judged, run / "artifacts" / "judge" / "judgements.parquet")
    write_text(run / "work" / "report" / "report.html", f"<td> {html.escape(OWN)} </td>")
    write_text(run / "work" / "report" / "summary.json", json.dumps({"of": SHARED}))
    write_text(run / "work" / "shadow" / "answers.json", json.dumps([{"query": OWN}]))
    cached = home / "cache" / "dvc" / "files" / "md5" / "0a"
    cached.mkdir(parents=True)
    pq.write_table(judged, cached / "bcdef")
    pq.write_table(judged.slice(1), cached / "other")
    pages = home / "mlflow" / "artifacts" / "1" / "artifacts"
    write_text(pages / "review.html", f"<script>[{json.dumps(OWN)}]</script>")
    write_text(pages / "report.html", f"<td>{SHARED}</td>")


@pytest.fixture
def filled(home, monkeypatch):
    """The home, with the key of sessions in the environment."""
    monkeypatch.setenv("PERENNIAL_SESSION_KEY", KEY.decode())
    fill(home)
    return home


def traces(home):
    sought = [GONE, HASH, "17-request", OWN, html.escape(OWN), json.dumps(OWN)[1:-1]]
    told = everything(home).items()
    kept = home / "forgetting"  # until all is done
    return [
        path for path, said in told if kept not in path.parents and any(e in said for e in sought)
    ]


def rows(home, session):
    tables = [p for p in (home / "source" / "requests").rglob("*.parquet")]
    return sum(pq.read_table(p)["session_id"].to_pylist().count(session) for p in tables)


@pytest.mark.parametrize("given", [GONE, HASH])
def test_what_is_left_says_nothing_of_it_and_all_of_the_others(filled, run, given):
    assert len(traces(filled)) == 13
    code, out, err = run("forget", "--session", given, "--reason", "asked by letter", "--json")
    assert code == 0, err
    assert traces(filled) == [] and not list((filled / "forgetting").iterdir())
    done = json.loads(out)
    assert {name: tuple(each.values()) for name, each in done["removed"].items()} == {
        "DVC cache": (1, 1),
        "tracker's artifacts": (1, 0),
        "runs": (6, 7),
        "live log": (6, 9),
        "releases' references": (0, 0),
        "vector cache": (0, 0),
    }
    assert rows(filled, STAYS) == 4
    told = everything(filled)
    place = filled / "runs" / "0123456789abcdef"
    assert OWN not in told[place / "artifacts" / "judge" / "judgements.parquet"]
    assert SHARED in told[place / "artifacts" / "judge" / "judgements.parquet"]
    assert (filled / "mlflow" / "artifacts" / "1" / "artifacts" / "report.html").exists()
    assert (filled / "cache" / "dvc" / "files" / "md5" / "0a" / "other").exists()
    (deed,) = read_deeds(LocalStore(filled / "store"), key=None)
    assert (deed.what, deed.why, deed.about["rows"]) == ("forgot a session", "asked by letter", 17)
    code, out, _ = run("forget", "--session", given)
    assert (code, "Nothing of it was found" in out) == (0, True)


def test_a_hash_is_found_without_the_key_where_a_run_still_has_it(filled, run, monkeypatch):
    monkeypatch.delenv("PERENNIAL_SESSION_KEY")
    assert run("forget", "--session", HASH)[0] == 0
    assert traces(filled) == []


def test_a_tracking_server_is_left_to_the_flow_which_is_told_what_to_look_for(
    filled, run, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://tracker.example")
    code, out, _ = run("forget", "--session", GONE)
    assert code == 1 and "python -m flows.forget --session" in out
    (journal,) = (filled / "forgetting").iterdir()
    assert journal.stat().st_mode & 0o077 == 0 and OWN in json.loads(journal.read_text())["queries"]
    assert traces(filled) == []


def test_a_plan_counts_the_same_and_writes_nothing(filled, run):
    before = {path: path.read_bytes() for path in filled.rglob("*") if path.is_file()}
    code, out, _ = run("forget", "--session", GONE, "--dry-run")
    assert code == 0 and "Nothing was written" in out and "live log" in out
    assert {path: path.read_bytes() for path in filled.rglob("*") if path.is_file()} == before


def test_what_a_service_spools_and_a_run_at_work_are_waited_for(filled, run):
    from tasks.workspace import alone_in

    source, place = filled / "source", filled / "runs" / "0123456789abcdef"
    spool = Spool(source / ".spool", day=NOON.date(), name="serve-1")
    table = pa.Table.from_pylist([request(GONE, 9, OWN)], schema=REQUESTS)
    spool.append("requests", table.to_batches()[0])
    with alone_in(Workspace(place)):
        code, out, _ = run("forget", "--session", GONE)
    assert code == 1 and "holds 1 of its requests" in out and f"At work: {place.name}" in out
    assert all(place in path.parents or ".spool" in path.parts
               for path in traces(filled))  # fmt: skip
    spool.close()
    os.close(spool._lock)  # as if it had been killed
    assert run("forget", "--session", GONE)[0] == 0
    assert traces(filled) == []


HALF = (
    "home/runs/.incoming-1/snapshot/.snapshot.partial/.spill/rows",
    "home/runs/.reproducing-1/run/.cache/page.html",
    ".snapshot.partial/.spill/rows",
    ".snapshot.old/page.html",
)


def test_what_was_killed_half_made_goes_whole_and_what_is_being_made_is_waited_for(filled, run):
    here = filled.parent
    for name in HALF:
        write_text(here / name, f"<td>{html.escape(OWN)}</td>")
    with making(filled / "runs"), making(here):
        code, out, _ = run("forget", "--session", GONE, "--json")
    half = {".incoming-1", ".reproducing-1", ".snapshot.old", ".snapshot.partial"}
    assert code == 1 and set(json.loads(out)["at_work"]) == half
    assert all((here / name).exists() for name in HALF)
    with making(filled / "runs"):
        shutil.rmtree(filled / "runs" / ".incoming-1")
        shutil.rmtree(filled / "runs" / ".reproducing-1")
        code, out, _ = run("forget", "--session", GONE, "--json")  # whose folder is not made yet
    assert code == 1 and json.loads(out)["at_work"] == [f"a snapshot in {filled / 'runs'}"]
    write_text(here / HALF[0], OWN)
    assert run("forget", "--session", GONE)[0] == 0
    assert traces(here) == [] and not list(here.glob(".snapshot.*"))
    assert [each.name for each in (filled / "runs").iterdir()] == ["0123456789abcdef"]


def test_a_run_is_looked_at_whole_and_a_place_may_be_called_as_an_encoder_is(
    tmp_path, run, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "encoder" / "home"
    monkeypatch.setenv("PERENNIAL_HOME", str(home))
    monkeypatch.setenv("PERENNIAL_SESSION_KEY", KEY.decode())
    (tmp_path / "params.yaml").write_bytes((Path(__file__).parents[2] / "params.yaml").read_bytes())
    fill(home)
    place = home / "runs" / "0123456789abcdef"
    write_text(place / "nohup.out", f'asked "{OWN}"\n')
    write_text(place / "perennial" / "quality" / "code.py", f'"{OWN}"')
    assert run("forget", "--session", GONE)[0] == 0
    assert traces(home) == [] and not (place / "nohup.out").exists()
    assert (place / "perennial" / "quality" / "code.py").exists()


def test_a_number_that_each_snapshot_gives_anew_names_nobody(filled, run):
    code, _, err = run("forget", "--session", "session-0000001")
    assert code == 2 and "numbers its sessions anew" in err
    assert run("forget", "--session", " ")[0] == 2
    assert run("forget", "--session", GONE, "--doc", "d")[0] == 2
    assert run("forget", "--dry-run", "--doc", "d")[0] == 2


def test_releases_lose_its_queries_and_those_that_learned_of_it_are_named(filled, run, tmp_path):
    store, folders = LocalStore(filled / "store"), write_folders(tmp_path / "made")
    sample = pa.table({"query": [SHARED, OWN]})
    pq.write_table(sample, folders.references / "queries.parquet")
    options = {"catalogue": folders.catalogue, "health": {}, "parent": None, "created_at": NOON}
    places = {name: getattr(folders, name) for name in ("encoder", "index", "references")}
    origin = {"provenance": {"snapshot_digest": SNAPSHOT}}
    old = publish(store, **places, **options, **origin).release_id
    promote(store, "production", old, now=NOON, why="first", who="test")
    children = []
    for lineage, asked in ((1, sample), (2, pa.table({"query": [SHARED, "more"]}))):
        made = write_folders(tmp_path / f"child-{lineage}", lineage=lineage)
        pq.write_table(asked, made.references / "queries.parquet")
        places = {name: getattr(made, name) for name in ("encoder", "index", "references")}
        later = options | {"parent": old, "created_at": NOON + timedelta(hours=1)}
        later["provenance"] = {}
        children.append(publish(store, **places, **later).release_id)
    first, second = children
    assert first < old, "else the order of ids would do"
    code, out, _ = run("forget", "--session", GONE, "--json")
    done, new = json.loads(out), store.read_channel("production").stable
    successor = done["successors"].pop(first)
    assert code == 0 and done["successors"] == {old: new}
    assert set(done["trained"]) == set(store.release_ids()) == {new, successor, second}
    about = read_manifest(store.manifest_bytes(successor), release_id=successor, key=None)
    assert about.parent == new
    assert traces(filled) == []
    manifest = read_manifest(store.manifest_bytes(new), release_id=new, key=None)
    kept = pq.read_table(
        filled
        / "store"
        / "objects"
        / Path(manifest.references.queries.digest[7:9])
        / manifest.references.queries.digest[7:]
    )
    assert kept["query"].to_pylist() == [SHARED]
    assert run("verify")[0] == 0


def test_what_a_killed_call_removed_is_in_the_audit_log_too(filled, run, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://tracker.example")
    assert run("forget", "--session", GONE)[0] == 1  # its journal stays
    for record in (filled / "store").rglob("audit*/*"):
        record.unlink()  # as if it had been killed before that
    store = LocalStore(filled / "store")
    assert read_deeds(store, key=None) == []
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert run("forget", "--session", GONE)[0] == 0
    (deed,) = read_deeds(store, key=None)
    assert deed.about["continued"] and deed.about["sessions"]
    assert run("forget", "--session", GONE)[0] == 0
    assert len(read_deeds(store, key=None)) == 1


@pytest.mark.slow
def test_one_that_was_killed_anywhere_is_finished_by_the_next(filled):
    from perennial.verbs.forgetting.forget import forget_session

    def forget(home, asked=HASH):
        return forget_session(
            asked,
            places=Places.from_environment({"PERENNIAL_HOME": str(home)}),
            store=LocalStore(home / "store"),
            here=home,
            session_key=None,  # the hash is found by the run alone, which goes first
            key=None,
            who="test",
            why="test",
            pending=NOON - NOON,
            now=NOON,
            say=print,
        )

    for more in ("cache", "mlflow", "runs/0123456789abcdef/work", "source/events/date=2026-01-05"):
        shutil.rmtree(filled / more)  # so many steps less
    with fast_folder() as graves:
        die_at_every_step(filled, graves, forget, stride=3)
        killed = sorted(graves.iterdir())
        assert len(killed) > 8
        assert any(traces(each) for each in killed)
        for each in killed:
            assert forget(each).is_over
            assert traces(each) == [] and not list((each / "forgetting").iterdir())
            assert rows(each, STAYS) == 4
