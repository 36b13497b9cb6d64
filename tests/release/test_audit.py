"""What people did stays known, however many reindexes come after it, and whoever else writes."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tiny_release import NOON

from perennial.errors import Conflict, IntegrityError
from perennial.release.audit import MOVED, read_deeds, swap_channel, write_deed
from perennial.release.channels.channel import Channel
from perennial.release.channels.history import REINDEX
from perennial.release.channels.transitions import Signed, promoted, resumed, rolled_back
from perennial.release.manifests.canonical import utc_text
from perennial.verbs.history import history_of

ENCODER = "sha256:" + "1" * 64
KEY = b"a key"


def by(number, who):
    return Signed(utc_text(NOON + timedelta(minutes=number)), who, f"{number:032x}")


def release(number):
    return f"rel-{number:012x}"


def fill(store, *, key=None, moves=240):
    """A channel that two people touched, among reindexes: its history remembers 200 moves."""
    channel, number = None, 0

    def write(new):
        nonlocal channel, number
        swap_channel(store, channel, new.signed(key), key=key)
        channel, number = store.read_channel("production"), number + 1

    while number < moves:
        if number == 20:
            kept = {"lineage": ENCODER, "why": "rollback: worse"}
            write(rolled_back(channel, release(3), by=by(number, "anna"), **kept))
            write(resumed(channel, "mended", by=by(number, "bela")))
        else:
            new = {"name": "production", "lineage": ENCODER, "why": "15 documents changed"}
            write(promoted(channel, release(number), by=by(number, REINDEX), **new))
    return channel


def test_what_people_did_outlasts_the_history_of_the_channel(store):
    channel: Channel = fill(store)
    assert {move.who for move in channel.history} == {REINDEX}
    found = history_of(store, key=None, reindexes=False).deeds
    assert [(each["who"], each["why"]) for each in found] == [
        ("anna", "rollback: worse"),
        ("bela", "resumed: mended"),
    ]
    assert found[0]["about"]["to"] == release(3)
    assert len(history_of(store, key=None, reindexes=True).deeds) == 2 + len(channel.history)


def test_two_who_move_a_channel_at_once_keep_what_it_lets_go_of_once(store):
    seen = fill(store, moves=30)
    forgetful = replace(seen, generation=seen.generation + 1, history=seen.history[-3:])
    swap_channel(store, seen, replace(forgetful, write_id="1" * 32).signed(None), key=None)
    with pytest.raises(Conflict):
        swap_channel(store, seen, replace(forgetful, write_id="2" * 32).signed(None), key=None)
    assert [each.who for each in read_deeds(store, key=None)] == ["anna", "bela"]
    assert len(history_of(store, key=None, reindexes=False).deeds) == 2


def test_a_record_of_another_key_is_refused(store):
    about = {"sessions": 1}
    deed = {"what": "forgot a session", "why": "asked", "who": "anna", "now": NOON, "about": about}
    write_deed(store, **deed, key=KEY)
    (kept,) = read_deeds(store, key=KEY)
    assert (kept.who, kept.about, kept.what != MOVED) == ("anna", about, True)
    with pytest.raises(IntegrityError, match="another key"):
        read_deeds(store, key=b"another")
    write_deed(store, **deed, key=None)
    with pytest.raises(IntegrityError, match="not signed"):
        read_deeds(store, key=KEY)
    write_deed(store, **deed, key=b"another")
    shown = [each["doubt"] for each in history_of(store, key=KEY, reindexes=False).deeds]
    assert sorted(shown, key=str) == [None, "not signed", "wrongly signed"]
