"""What people did is shown, also what nobody signed; then it is said that it was not."""

import json
from datetime import UTC, datetime

from perennial.release.audit import write_deed
from perennial.release.stores.local import LocalStore

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_records_from_before_there_was_a_key_are_shown_and_marked(home, run, monkeypatch):
    store = LocalStore(home / "store")
    deed = {"what": "forgot a session", "who": "anna", "now": NOON, "about": {}}
    write_deed(store, **deed, why="before", key=None)
    write_deed(store, **deed, why="after", key=b"a key")
    assert run("history")[0] == 0
    monkeypatch.setenv("PERENNIAL_SIGNING_KEY", "a key")
    code, out, err = run("history", "--json")
    shown = {each["why"]: each["doubt"] for each in json.loads(out)["deeds"]}
    assert (code, shown) == (3, {"before": "not signed", "after": None})
    assert "1 of 2 records are not signed" in err
    code, out, _ = run("history")
    assert code == 3 and "NOT SIGNED" in out and "after" in out


def test_good_records_are_shown_and_those_that_cannot_be_read_are_named(home, run):
    store = LocalStore(home / "store")
    deed = {"what": "forgot a session", "who": "anna", "now": NOON, "about": {}}
    write_deed(store, **deed, why="asked", key=None)
    store.swap_record("audit/20260105-broken", None, b"{not json")
    code, out, err = run("history", "--json")
    told = json.loads(out)
    assert (code, [each["why"] for each in told["deeds"]]) == (3, ["asked"])
    assert (
        len(told["malformed"]) == 1 and "audit/20260105-broken is not JSON" in told["malformed"][0]
    )
    assert "1 of 2 records cannot be read" in err and "audit/20260105-broken" in err
    code, out, err = run("history")
    assert code == 3 and "asked" in out and "audit/20260105-broken" in err


def test_the_history_of_one_channel_is_shown_beside_another_that_is_damaged(running, run):
    (running / "store" / "channels" / "staging.json").write_text("{")
    code, out, err = run("history")
    assert code == 3 and "bootstrap" in out and "channel staging" in err
