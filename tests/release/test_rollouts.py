"""A rollout under any order of looks, clocks and writers: nobody sees what is not proven."""

import contextlib
import functools
import itertools
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tiny_release import NOON, publish_folders, write_folders

from perennial.errors import Conflict, Refused
from perennial.quality.decision import Decision
from perennial.release.channels.channel import Baseline
from perennial.release.channels.history import ended, thinned
from perennial.release.manifests.canonical import parse_utc
from perennial.release.publishing.publish import promote, resume, rollback
from perennial.release.rollouts.machine import Planned, begun, ticked
from perennial.release.rollouts.moves import begin, pause, step
from perennial.release.stores.local import LocalStore
from perennial.serving.routing import live_share

STEPS = [
    Planned("shadow", 0.0, 0.0, 0.0, 2.0),
    Planned("canary", 0.01, 0.3, 1.0, 4.0),
    Planned("canary", 0.5, 0.03, 2.0, 8.0),
]
USUAL = Baseline(0.6, 100.0)
names = (f"channel-{i}" for i in itertools.count())


def found(outcome):
    return Decision(outcome, (f"The evidence says {outcome}.",), ())


class Rollout(RuleBasedStateMachine):
    """Two flows that look whenever they like, one of them at an old channel; a clock that jumps.

    The model: how often the evidence let the candidate through since its rollout began.
    """

    store: LocalStore
    stable: str
    candidate: str
    lineage: str

    @initialize()
    def start(self):
        self.name, self.now = next(names), NOON
        self.said = {"who": "test", "key": None}
        promote(self.store, self.name, self.stable, now=self.now, why="first", **self.said)
        self.proofs, self.old = 0, self.channel()

    def channel(self):
        return self.store.read_channel(self.name)

    @rule(minutes=st.integers(-600, 600))
    def clock(self, minutes):
        self.now += timedelta(minutes=minutes)

    @rule(again=st.booleans())
    def begin(self, again):
        before = self.channel()
        try:
            after = begin(
                self.store,
                self.name,
                self.candidate,
                steps=STEPS,
                baseline=USUAL,
                salt="salt",
                now=self.now,
                again=again,
                **self.said,
            )
        except Refused:
            went_back = any("ended" in move.why for move in before.history)
            assert before.hold or before.stable == self.candidate or (went_back and not again)
        else:
            if before.candidate is None:
                went_back = any("ended" in move.why for move in before.history)
                assert again or not went_back, "it went back, and nobody asked for it again"
                self.proofs = 0
                assert after.candidate.stage == "shadow"

    @rule()
    def look_away(self):
        """The second flow reads the channel now, and decides on it some time later."""
        self.old = self.channel()

    @rule(outcome=st.sampled_from(["advance", "inconclusive", "rollback"]), late=st.booleans())
    def look(self, outcome, late):
        current, seen = self.channel(), self.old if late else self.channel()
        if seen.candidate is None:
            return
        held = seen.hold.reason if seen.hold else None
        after = ticked(seen.candidate, found(outcome), steps=STEPS, now=self.now, held=held)
        if after.candidate == seen.candidate:
            if after.decision.outcome == "promote" and seen.generation == current.generation:
                assert self.proofs == len(STEPS) - 1
                self.swap()
            return
        about = f"{ended(self.lineage)}: x" if after.candidate is None else "on"
        try:
            step(self.store, seen, after.candidate, now=self.now, why=about, **self.said)
        except Conflict:
            assert seen.generation != current.generation
            return
        assert seen.generation == current.generation, "only one of two looks moves the channel"
        if after.decision.outcome == "advance":
            assert outcome == "advance" and held is None
            self.proofs += 1

    def swap(self):
        promote(self.store, self.name, self.candidate, now=self.now, why="proven", **self.said)
        assert self.channel().candidate is None

    @precondition(lambda self: self.channel().hold is None)
    @rule()
    def pause(self):
        pause(self.store, self.name, reason="a look", now=self.now, **self.said)

    @precondition(lambda self: self.channel().hold is not None)
    @rule()
    def resume(self):
        resume(self.store, self.name, reason="fine", now=self.now, **self.said)

    @precondition(lambda self: self.channel().candidate is not None)
    @rule()
    def rollback(self):
        before = self.channel()
        rollback(self.store, self.name, now=self.now, why="by hand", **self.said)
        after = self.channel()
        assert after.candidate is None and after.hold and after.stable == before.stable
        assert after.history[-1].why.startswith(ended(self.lineage))

    @invariant()
    def nobody_sees_more_than_was_proven_nor_longer_than_was_granted(self):
        candidate = self.channel().candidate
        for moment in (self.now, self.now + timedelta(hours=9), self.now - timedelta(hours=9)):
            share = live_share(candidate, moment)
            if candidate is None:
                assert share == 0.0
                continue
            at = len(candidate.steps) - 1
            assert at == self.proofs, "a step for a proof, and none without"
            assert share in (0.0, STEPS[at].share)
            if share:
                left = parse_utc(candidate.deadline) - moment
                assert left > timedelta(0), "nobody past the deadline"
        if candidate is not None:
            whole = parse_utc(candidate.deadline) - parse_utc(candidate.steps[-1].since)
            assert whole == timedelta(hours=STEPS[len(candidate.steps) - 1].max_hours)


def test_any_order_of_looks_clocks_and_writers(store, first, retrained):
    Rollout.store = store
    Rollout.stable = publish_folders(store, first).release_id
    candidate = publish_folders(store, retrained)
    Rollout.candidate, Rollout.lineage = candidate.release_id, candidate.lineage
    run_state_machine_as_test(
        Rollout,
        settings=settings(
            max_examples=30,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def candidate_at(number: int, *, began=NOON):
    state = begun("rel-" + "0" * 12, steps=STEPS, baseline=USUAL, salt="s", now=began)
    for _ in range(number):
        state = ticked(state, found("advance"), steps=STEPS, now=began + timedelta(hours=1))
        state = replace(state.candidate, deadline=None) if state.candidate is None else (
            state.candidate
        )  # fmt: skip
        began += timedelta(hours=1)
    return state


@pytest.mark.parametrize(
    ("hours", "outcome", "held", "decided", "steps"),
    [
        (0.5, "advance", None, "none", 2),  # proven, but not yet for so long
        (1.5, "advance", None, "advance", 3),
        (1.5, "inconclusive", None, "none", 2),
        (0.1, "rollback", None, "rollback", 0),  # harm waits for nothing
        (4.0, "advance", None, "inconclusive", 0),  # at the deadline it goes back
        (99.0, "inconclusive", None, "inconclusive", 0),
        (1.5, "advance", "a look", "none", 2),
        (1.5, "rollback", "a look", "rollback", 0),
        (99.0, "advance", "a look", "inconclusive", 0),
        (-5.0, "advance", None, "none", 2),  # a clock that went back decides nothing
    ],
)
def test_what_a_look_decides(hours, outcome, held, decided, steps):
    state = candidate_at(1)
    now = parse_utc(state.steps[-1].since) + timedelta(hours=hours)
    after = ticked(state, found(outcome), steps=STEPS, now=now, held=held)
    assert after.decision.outcome == decided
    assert (len(after.candidate.steps) if after.candidate else 0) == steps
    assert after.decision.reasons


def test_a_reindex_in_the_middle_changes_the_release_and_nothing_else():
    state = candidate_at(1)
    continued = replace(state, release_id="rel-" + "1" * 12)
    now = parse_utc(state.steps[-1].since) + timedelta(hours=2)
    one, other = (ticked(s, found("advance"), steps=STEPS, now=now) for s in (state, continued))
    assert replace(other.candidate, release_id=state.release_id) == one.candidate


def test_a_candidate_that_no_rollout_began_goes_back():
    bare = replace(candidate_at(0), steps=())
    assert ticked(bare, found("advance"), steps=STEPS, now=NOON).candidate is None


def test_what_went_back_does_not_begin_again_by_itself(store, serving, retrained):
    release = publish_folders(store, retrained)
    said = {"now": NOON, "who": "test"}
    again = {"steps": STEPS, "baseline": USUAL, "salt": "s"} | said
    seen = begin(store, "production", release.release_id, **again)
    assert begin(store, "production", release.release_id, **again) == seen, "asked twice"
    step(store, seen, None, why=f"{ended(release.lineage)}: it lost", **said)
    with pytest.raises(Refused, match="went back"):
        begin(store, "production", release.release_id, **again)
    assert begin(store, "production", release.release_id, again=True, **again).candidate


class AtOnce(LocalStore):
    """A writer that has read the channel, and waits there until the other one has, too."""

    def __init__(self, root, meeting):
        super().__init__(root)
        self.meeting = meeting

    def read_channel(self, name):
        found, meeting, self.meeting = super().read_channel(name), self.meeting, None
        if meeting is not None:
            meeting.wait(20)
        return found


@pytest.mark.parametrize("is_same", [True, False])
def test_of_two_rollouts_begun_at_once_one_begins_and_the_other_finds_it(
    store, serving, retrained, tmp_path, is_same
):
    one = publish_folders(store, retrained).release_id
    other = one
    if not is_same:
        other = publish_folders(store, write_folders(tmp_path / "x", lineage=3)).release_id
    meeting, said = threading.Barrier(2), {}
    plan = {"steps": STEPS, "baseline": USUAL, "now": NOON}

    def run(who, release_id):
        with contextlib.suppress(Conflict):
            place = AtOnce(store.root, meeting)
            said[who] = begin(place, "production", release_id, salt=who, who=who, **plan)

    both = [threading.Thread(target=run, args=each) for each in (("ann", one), ("bob", other))]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    (winner,) = said
    channel = store.read_channel("production")
    assert channel == said[winner] and channel.candidate.salt == winner
    loser, wanted = ("bob", other) if winner == "ann" else ("ann", one)
    again = functools.partial(begin, store, "production", wanted, salt=loser, who=loser, **plan)
    if is_same:
        assert again() == channel, "its rollout is there, begun by the other"
    else:
        with pytest.raises(Refused, match="is rolling out"):
            again()


@pytest.mark.parametrize("to_the_last_lineage", [False, True])
def test_what_a_person_took_back_does_not_begin_again_by_itself(
    store, serving, retrained, reindexed, to_the_last_lineage
):
    """Neither at once nor after a week of reindexes, which thin the history out."""
    release = publish_folders(store, retrained)
    said = {"now": NOON, "who": "test"}
    plan = {"steps": STEPS, "baseline": USUAL, "salt": "s"} | said
    if to_the_last_lineage:
        newer = publish_folders(store, reindexed).release_id
        promote(store, "production", newer, why="reindex", **said)
    begin(store, "production", release.release_id, **plan)
    back = rollback(store, "production", why="rollback: worse", index=to_the_last_lineage, **said)
    assert back.hold.reason == "rollback: worse", "what a person said, and nothing else"
    resume(store, "production", reason="fine", **said)
    with pytest.raises(Refused, match=r"went back \(rollout of .* ended: rollback: worse\)"):
        begin(store, "production", release.release_id, **plan)
    seen = store.read_channel("production")
    history = seen.history
    for number in range(700):
        move = replace(history[-1], at=f"{number:06d}", why="reindex")
        history = thinned((*history, move))
    later = replace(seen, generation=seen.generation + 1, write_id="a week", history=history)
    store.compare_and_swap("production", seen, later.signed(None))
    with pytest.raises(Refused, match="went back"):
        begin(store, "production", release.release_id, **plan)
    assert begin(store, "production", release.release_id, again=True, **plan).candidate


def test_channels_of_before_keep_their_bytes(store, serving, retrained):
    release = publish_folders(store, retrained)
    channel = begin(
        store, "production", release.release_id,
        steps=STEPS, baseline=None, salt="s", now=NOON, who="test",
    )  # fmt: skip
    bare = replace(channel, candidate=replace(channel.candidate, steps=(), baseline=None))
    assert b"steps" not in bare.to_bytes() and b"baseline" not in bare.to_bytes()
    assert b"steps" in channel.to_bytes()
