import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.errors import BadInput, IntegrityError, Refused
from perennial.release.channels.channel import (
    WRITES_LIMIT,
    Candidate,
    Channel,
    Hold,
    Mask,
    check_channel,
    read_channel_bytes,
)
from perennial.release.channels.history import HISTORY_LIMIT, Move
from perennial.release.channels.transitions import Signed, promoted, reindexed, resumed, rolled_back

KEY = b"a key of the house"
A, B, C, D = ("rel-" + letter * 12 for letter in "abcd")
AT = "2026-01-05T12:00:00Z"
L, M = ("sha256:" + digit * 64 for digit in "12")
MASK = Mask(digest=L, bytes=10, documents=1, watermark=AT)
release_ids = st.sampled_from([A, B, C, D])
texts = st.text(st.characters(codec="utf-8"), max_size=20)
moves = st.builds(
    Move,
    at=texts,
    from_=st.none() | release_ids,
    to=release_ids,
    why=texts,
    who=texts,
    lineage=st.none() | st.sampled_from([L, M]),
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
    writes=st.lists(texts, max_size=3).map(tuple),
    mask=st.none() | st.just(MASK),
    signature=st.none(),
)


writes = (f"w{i}" for i in itertools.count())


def by():
    return Signed(at=AT, who="test", write_id=next(writes))


def promote(channel, release_id, *, lineage=L, **options):
    named = {"name": "production", "lineage": lineage, "why": "better", "by": by()}
    return promoted(channel, release_id, **named, **options)


def back(channel, release_id, **options):
    return rolled_back(channel, release_id, lineage=L, why="worse", by=by(), **options)


def resume(channel, reason="fixed"):
    return resumed(channel, reason, by=by())


def reindex(channel, stable, candidate=None, *, lineage=L, **options):
    named = {"lineage": lineage, "why": "reindex", "by": by()}
    return reindexed(channel, stable=stable, candidate=candidate, **named, **options)


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
    value = json.loads(promote(None, A, lineage=None).to_bytes())
    assert value.keys() == {
        "format_version", "name", "generation", "write_id", "stable", "candidate", "hold", "history"
    }  # fmt: skip
    move = {"at": AT, "from": None, "to": A, "why": "better", "who": "test"}
    assert value["history"] == [move]
    later = json.loads(back(promote(promote(None, A), B), A, mask=MASK).to_bytes())
    assert later.keys() - value.keys() == {"writes", "mask"}
    assert later["history"][0] == move | {"lineage": L}
    assert later["mask"] == {"digest": L, "bytes": 10, "documents": 1, "watermark": AT}


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


def test_history_and_writes_are_bounded_and_keep_the_newest():
    channel = promote(None, A)
    for i in range(HISTORY_LIMIT + 10):
        channel = promote(channel, (B, C)[i % 2])
    assert len(channel.history) == HISTORY_LIMIT
    assert channel.history[-1].to == channel.stable
    assert channel.standing()[-1] == channel.stable
    assert len(channel.writes) == WRITES_LIMIT


def test_a_channel_remembers_the_writes_before_its_own():
    first = promote(None, A)
    second = promote(first, B)
    third = back(second, A)
    assert first.writes == ()
    assert third.writes == (first.write_id, second.write_id)


def rolling(stable=A, candidate=B, **changes):
    channel = promote(None, stable)
    return replace(channel, candidate=Candidate(candidate, "canary", 0.1, "salt", None), **changes)


def test_a_reindex_during_a_rollout_moves_both_in_one_write():
    before = rolling()
    after = reindex(before, (A, C), (B, D))
    assert (after.stable, after.candidate.release_id) == (C, D)
    assert after.generation == before.generation + 1
    assert replace(after.candidate, release_id=B) == before.candidate
    assert after.standing() == (A, C)


@pytest.mark.parametrize("candidate", [None, (C, D)])
def test_a_reindex_is_refused_where_the_rollout_is_another(candidate):
    with pytest.raises(Refused, match=f"rolls out {B}"):
        reindex(rolling(), (A, C), candidate)


def test_a_reindex_is_refused_where_stable_is_another():
    with pytest.raises(Refused, match="reindex what is there now"):
        reindex(promote(None, A), (B, C))


def test_a_mask_stays_through_resume_and_goes_with_a_reindex():
    channel = back(promote(promote(None, A), B), A, mask=MASK)
    assert resume(channel).mask == MASK
    assert reindex(resume(channel), (A, C)).mask is None
    assert promote(resume(channel), C).mask is None
    assert promote(resume(channel), C, mask=MASK).mask == MASK


def test_a_hold_lets_only_a_catch_up_of_its_own_encoder_through_and_stays():
    held = back(promote(promote(None, A), B), A)
    caught_up = reindex(held, (A, C), is_catch_up=True)
    assert (caught_up.stable, caught_up.hold) == (C, held.hold)
    assert promote(held, C, is_catch_up=True).hold == held.hold
    for refused in (
        lambda: reindex(held, (A, C)),
        lambda: reindex(held, (A, C), lineage=M, is_catch_up=True),
        lambda: promote(held, C, lineage=M, is_catch_up=True),
    ):
        with pytest.raises(Refused, match="on hold"):
            refused()
