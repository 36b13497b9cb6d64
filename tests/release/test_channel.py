import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.errors import BadInput, IntegrityError, Refused
from perennial.release.channel import (
    HISTORY_LIMIT,
    Candidate,
    Channel,
    Hold,
    Move,
    check_channel,
    promoted,
    read_channel_bytes,
    resumed,
    rolled_back,
)

KEY = b"a key of the house"
A, B, C, D = ("rel-" + letter * 12 for letter in "abcd")
AT = "2026-01-05T12:00:00Z"
release_ids = st.sampled_from([A, B, C, D])
texts = st.text(st.characters(codec="utf-8"), max_size=20)
moves = st.builds(
    Move, at=texts, from_=st.none() | release_ids, to=release_ids, why=texts, who=texts
)
channels = st.builds(
    Channel,
    format_version=st.just(1),
    name=st.just("production"),
    generation=st.integers(1, 2**53),
    write_id=texts,
    stable=release_ids,
    candidate=st.none()
    | st.builds(
        Candidate, release_ids, texts, st.floats(0, 1) | st.just(1), texts, st.none() | texts
    ),
    hold=st.none() | st.builds(Hold, texts, texts),
    history=st.lists(moves, max_size=4).map(tuple),
    signature=st.none(),
)


def move(channel, transition, *arguments, **options):
    named = {"at": AT, "who": "test", "write_id": "w"} | options
    return transition(channel, *arguments, **named)


def promote(channel, release_id):
    return move(channel, promoted, release_id, name="production", why="better")


def back(channel, release_id):
    return move(channel, rolled_back, release_id, why="worse")


def resume(channel, reason="fixed"):
    return move(channel, resumed, reason)


@given(channels)
def test_a_channel_survives_its_bytes(channel):
    assert read_channel_bytes(channel.to_bytes(), name="production") == channel


@given(channels)
def test_a_signed_channel_survives_its_bytes_and_its_check(channel):
    found = read_channel_bytes(channel.signed(KEY).to_bytes(), name="production")
    assert check_channel(found, KEY) == found
    with pytest.raises(IntegrityError, match="another key"):
        check_channel(found, b"other")
    with pytest.raises(IntegrityError, match="altered"):
        check_channel(replace(found, generation=found.generation + 1), KEY)
    with pytest.raises(IntegrityError, match="not signed"):
        check_channel(channel, KEY)


def test_a_channel_has_exactly_the_fields_of_the_format():
    value = json.loads(promote(None, A).to_bytes())
    assert value.keys() == {
        "format_version", "name", "generation", "write_id", "stable", "candidate", "hold", "history"
    }  # fmt: skip
    assert value["history"] == [{"at": AT, "from": None, "to": A, "why": "better", "who": "test"}]


@pytest.mark.parametrize(
    ("field", "value"),
    [("stable", "../x"), ("generation", 0), ("generation", "1"), ("extra", 1), ("hold", {})],
)
def test_a_channel_with_a_wrong_field_is_refused_by_its_name(field, value):
    wrong = json.loads(promote(None, A).to_bytes()) | {field: value}
    with pytest.raises(IntegrityError, match=f"channel production: {field}"):
        read_channel_bytes(json.dumps(wrong).encode(), name="production")


def test_the_file_of_another_channel_is_refused():
    with pytest.raises(IntegrityError, match="channel staging holds channel production"):
        read_channel_bytes(promote(None, A).to_bytes(), name="staging")


def test_a_rollback_holds_until_somebody_resumes_with_a_reason():
    channel = back(promote(promote(None, A), B), A)
    assert (channel.stable, channel.generation) == (A, 3)
    assert channel.hold == Hold(reason="worse", since=AT)
    with pytest.raises(Refused, match=r"perennial resume --reason"):
        promote(channel, C)
    with pytest.raises(BadInput, match="reason"):
        resume(channel, "  ")
    resumed_channel = resume(channel)
    assert resumed_channel.hold is None
    assert resumed_channel.history[-1].why == "resumed: fixed"
    assert promote(resumed_channel, C).stable == C
    with pytest.raises(Refused, match="not on hold"):
        resume(resumed_channel)


def test_rolling_back_to_what_is_served_is_refused():
    with pytest.raises(Refused, match="already serves"):
        back(promote(None, A), A)


def test_a_promotion_during_the_rollout_of_another_release_is_refused():
    rolling = replace(promote(None, A), candidate=Candidate(B, "canary", 0.1, "salt", None))
    with pytest.raises(Refused, match=f"rolling out {B}"):
        promote(rolling, C)
    assert promote(rolling, B).candidate is None
    assert back(replace(rolling, stable=C), A).candidate is None


def test_standing_forgets_the_detours():
    channel = promote(promote(promote(None, A), B), C)
    assert channel.standing() == (A, B, C)
    assert back(channel, B).standing() == (A, B)
    assert back(back(channel, B), A).standing() == (A,)
    assert resume(back(channel, B)).standing() == (A, B)
    assert promote(resume(back(channel, A)), D).standing() == (A, D)


def test_history_is_bounded_and_keeps_the_newest():
    channel = promote(None, A)
    for i in range(HISTORY_LIMIT + 10):
        channel = promote(channel, (B, C)[i % 2])
    assert len(channel.history) == HISTORY_LIMIT
    assert channel.history[-1].to == channel.stable
    assert channel.standing()[-1] == channel.stable
