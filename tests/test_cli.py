"""The on-call engineer's verbs, through the door that a person uses."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perennial.cli import main
from perennial.release.publishing.publish import promote
from perennial.release.stores.local import LocalStore

sys.path.insert(0, str(Path(__file__).parent))
from tiny_release import NOON, fast_folder, publish_folders, write_folders


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two lineages, the older first."""
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    return (
        write_folders(first, lineage=1, tag="first"),
        write_folders(second, lineage=2, tag="second", day=1),
    )


@pytest.fixture
def tmp_path():
    with fast_folder() as place:
        yield place


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty PERENNIAL_HOME, the only thing that says where anything is."""
    for name in ("STORE", "SOURCE", "RUNS", "CACHE", "SIGNING_KEY"):
        monkeypatch.delenv(f"PERENNIAL_{name}", raising=False)
    monkeypatch.setenv("PERENNIAL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def checkout(monkeypatch):
    """The working folder has a params.yaml."""
    monkeypatch.chdir(Path(__file__).parents[1])


@pytest.fixture
def releases(home, folders):
    """A store in which production went from one lineage to another: their two ids."""
    store = LocalStore(home / "store")
    ids = [publish_folders(store, each).release_id for each in folders]
    for release_id in ids:
        promote(store, "production", release_id, now=NOON, why="better", who="test")
    return ids


@pytest.fixture
def run(capsys):
    """`run("status", …)`: the exit code, stdout and stderr."""

    def run_verb(*arguments):
        code = main(list(arguments))
        return code, *capsys.readouterr()

    return run_verb


def run_json(run, *arguments):
    code, out, err = run(*arguments, "--json")
    assert err == ""
    return code, json.loads(out)


def damage(home):
    path = next((home / "store" / "objects").glob("??/*"))
    path.write_bytes(b"x" + path.read_bytes()[1:])
    return f"sha256:{path.name}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify"],
        ["rollback"],
        ["resume", "--reason", "x"],
        ["search", "word1"],
    ],
)
def test_before_the_first_release_every_verb_says_what_to_do(run, home, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("perennial: ") and "perennial bootstrap" in err
    assert err.count("\n") == 1
    assert not home.exists()


def test_status_of_an_empty_store_is_not_an_error(run, home):
    code, out, _ = run("status")
    assert code == 0
    assert "perennial bootstrap" in out
    code, view = run_json(run, "status")
    assert (code, view["channel"], view["releases"]) == (0, None, [])


def test_status_shows_what_is_served_and_every_release(run, releases):
    code, out, _ = run("status")
    assert code == 0
    assert f"production serves {releases[1]}" in out
    assert all(release_id in out for release_id in releases)
    code, view = run_json(run, "status")
    assert view["channel"]["stable"] == releases[1]
    assert {row["release_id"]: row["role"] for row in view["releases"]} == {
        releases[0]: None,
        releases[1]: "stable",
    }


def test_verify_reads_everything_and_finds_nothing_wrong(run, releases):
    code, out, err = run("verify")
    assert (code, err) == (0, "")
    assert out.startswith("2 releases read, 0 faults found.\n13 objects of ")
    assert "Waste" not in out
    assert run_json(run, "verify", releases[0]) == (
        0,
        {"format_version": 1, "releases": [releases[0]], "findings": []},
    )


def test_verify_exits_3_and_names_what_is_damaged(run, home, releases):
    digest = damage(home)
    code, out, _ = run("verify")
    assert code == 3
    assert digest in out
    code, found = run_json(run, "verify")
    assert code == 3
    assert digest in found["findings"][0]["problem"]


def test_rollback_resume_and_status_tell_one_story(run, releases):
    code, out, _ = run("rollback", "--reason", "too slow")
    assert code == 0
    assert f"production serves {releases[0]} again (it was {releases[1]})" in out
    assert "perennial resume --reason" in out
    code, out, _ = run("status")
    assert "ON HOLD" in out and "too slow" in out
    code, channel = run_json(run, "resume", "--reason", "bigger machine")
    assert (code, channel["hold"], channel["stable"]) == (0, None, releases[0])
    assert channel["history"][-1]["why"] == "resumed: bigger machine"


def test_rollback_takes_any_kept_release(run, releases):
    code, channel = run_json(run, "rollback", releases[0])
    assert (code, channel["stable"], channel["candidate"]) == (0, releases[0], None)
    assert channel["hold"]["reason"] == "rollback: by hand"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["rollback", "--index"], 1, "no earlier index of this lineage"),
        (["rollback", "../../etc/passwd"], 2, "is not a release id"),
        (["rollback", "rel-000000000000"], 2, "is not in the store"),
        (["verify", "rel-000000000000"], 2, "is not in the store"),
        (["resume", "--reason", "x"], 1, "not on hold"),
        (["resume", "--reason", " "], 2, "--reason"),
        (["status", "--channel", "../x"], 2, "is not a channel name"),
        (["search", " "], 2, "is empty"),
        (["search", "word1", "-k", "0"], 2, "k is 0"),
    ],
)
def test_a_refusal_is_one_sentence_and_its_exit_code(run, releases, arguments, code, says):
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert err.startswith("perennial: ") and says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["serve"], ["status", "--colour"], ["resume"]])
def test_a_wrong_command_line_exits_2(run, home, arguments):
    assert run(*arguments)[0] == 2


def test_search_shows_rank_score_id_title_and_first_words(run, home, releases):
    (home / "source").mkdir()
    rows = {
        "doc_id": ["second-7", "second-8"],
        "title": ["[bold]Seven[/bold]", "Eight"],
        "text": ["the number after six", "x"],
    }
    pq.write_table(pa.table(rows), home / "source" / "catalogue.parquet")
    code, out, _ = run("search", "word7", "-k", "3")
    assert code == 0
    assert all(
        part in out
        for part in ("second-7", "1.000", "[bold]Seven[/bold]", "the number after six", releases[1])
    )
    code, answer = run_json(run, "search", "word7", "-k", "3")
    assert answer["release_id"] == releases[1]
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2, 3]
    assert (answer["hits"][0]["doc_id"], answer["hits"][0]["title"]) == (
        "second-7",
        rows["title"][0],
    )


def test_search_without_a_source_still_answers(run, releases):
    code, answer = run_json(run, "search", "word7")
    assert (code, answer["hits"][0]["title"]) == (0, None)


def test_search_of_unknown_signs_finds_nothing_and_says_so(run, releases):
    code, out, _ = run("search", "🦆")
    assert code == 0
    assert "0 documents" in out


def test_search_refuses_a_damaged_release(run, home, releases):
    for path in (home / "store" / "objects").glob("??/*"):
        path.write_bytes(b"x" + path.read_bytes()[1:])
    code, out, err = run("search", "word7")
    assert (code, out) == (3, "")
    assert "damaged" in err


def test_status_survives_a_damaged_manifest_and_names_it(run, home, releases):
    (home / "store" / "releases" / f"{releases[0]}.json").write_text("{}")
    code, view = run_json(run, "status")
    assert code == 0
    problems = {row["release_id"]: row["problem"] for row in view["releases"]}
    assert "format_version" in problems[releases[0]] and problems[releases[1]] is None
    assert run("status")[0] == 0


def test_status_survives_a_damaged_pending_note_and_counts_it(run, home, releases):
    (home / "store" / "pending" / "rel-00000000000a.json").write_text("{")
    code, view = run_json(run, "status")
    assert (code, view["pending"]) == (0, ["rel-00000000000a"])
    assert "were killed: rel-00000000000a" in run("status")[1]


def test_waste_is_told_and_is_no_fault(run, home, releases):
    digest, _ = LocalStore(home / "store").put_bytes(b"left by a killed publisher")
    code, out, _ = run("verify")
    assert code == 0
    assert "Waste that nothing needs: 1 object (0.0 kB)" in out
    code, found = run_json(run, "verify")
    assert (code, found["orphans"]) == (0, [{"object": digest, "bytes": 26}])


def test_status_shows_segments_hidden_documents_and_a_sweep(run, home, releases):
    run("rollback")
    LocalStore(home / "store").swap_record("sweep", None, b"{}")
    code, out, _ = run("status")
    assert code == 0
    assert "50 documents that were deleted" not in out  # nothing that the old one has is gone
    assert "a sweep is deleting" in out
    code, view = run_json(run, "status")
    assert [(row["segments"], row["dead_share"]) for row in view["releases"]] == [(1, 0.0)] * 2
    assert (view["sweeping"], view["channel"]["mask"]["documents"]) == (True, 40)


def test_diff_of_two_releases_or_channels(run, releases):
    code, out, _ = run("diff", releases[0], "production")
    assert code == 0
    assert "another encoder" in out and "second-0" in out
    code, found = run_json(run, "diff", releases[0], "production")
    assert (found["b"], found["added"]["count"], found["removed"]["count"]) == (releases[1], 40, 40)
    code, out, err = run("diff", releases[0], "nowhere")
    assert (code, out) == (2, "")
    assert "neither a release nor a channel" in err


def test_sweep_only_plans_until_it_is_told_to_delete(run, home, releases, checkout):
    store = LocalStore(home / "store")
    digest, _ = store.put_bytes(b"left by a killed publisher")
    old = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    os.utime(home / "store" / "objects" / digest[7:9] / digest[7:], (old, old))
    code, out, _ = run("sweep")
    assert code == 0
    assert "0 releases and 1 object (0.0 kB)" in out and "perennial sweep --delete" in out
    assert store.has(digest)
    code, found = run_json(run, "sweep", "--delete")
    assert (code, found["deleted"], found["objects"]) == (0, True, 1)
    assert not store.has(digest)
    assert "Nothing can go" in run("sweep")[1]


def test_forget_reports_release_by_release_and_what_it_cannot_reach(run, home, releases, checkout):
    (home / "source").mkdir()
    rows = {"doc_id": ["second-7"], "title": [""], "text": [""]}
    pq.write_table(pa.table(rows), home / "source" / "catalogue.parquet")
    run("search", "word7")  # fills the reader's cache
    frozen = home / "runs" / "0123456789abcdef" / "snapshot"
    frozen.mkdir(parents=True)
    pq.write_table(pa.table(rows), frozen / "catalogue.parquet")
    code, out, _ = run("forget", "--doc", "second-7")
    assert code == 0
    assert releases[1] in out and "production serves a release without it" in out
    assert "Run 0123456789abcdef still holds it" in out and f"rm -r {frozen.parent}" in out
    assert "its id is nowhere" in out and "The source still has it" in out and "Not reached" in out
    code, found = run_json(run, "search", "word7")
    assert "second-7" not in {hit["doc_id"] for hit in found["hits"]}
    assert not list((home / "cache").rglob(releases[1]))
    code, done = run_json(run, "forget", "--doc", "second-7")
    assert (code, done["releases"], done["found"]) == (0, [], {})
    assert run("forget", "--doc", " ")[0] == 2


def test_store_init_says_that_the_place_is_good(run, home):
    code, out, _ = run("store", "init")
    assert code == 0
    assert "can keep releases" in out


def test_with_a_key_in_the_environment_an_unsigned_channel_is_refused(run, releases, monkeypatch):
    monkeypatch.setenv("PERENNIAL_SIGNING_KEY", "a key")
    for arguments in (["status"], ["rollback"], ["search", "word1"]):
        code, _, err = run(*arguments)
        assert code == 3
        assert "not signed" in err


def test_the_installed_command_exits_as_main_says(home, releases):
    command = [sys.executable, "-W", "error", "-m", "perennial.cli"]
    options = {"capture_output": True, "text": True, "timeout": 60}
    served = subprocess.run([*command, "status", "--json"], check=False, **options)
    assert (served.returncode, served.stderr) == (0, "")
    assert json.loads(served.stdout)["channel"]["stable"] == releases[1]
    refused = subprocess.run([*command, "rollback", "--index"], check=False, **options)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("perennial: production has no earlier index")
