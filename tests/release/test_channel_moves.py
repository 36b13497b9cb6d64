"""A channel under any sequence of promote, rollback and resume, against an obvious model."""

import itertools
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

from perennial.errors import PerennialError, Refused
from perennial.release.publishing.publish import promote, resume, rollback
from perennial.release.stores.local import LocalStore

channel_names = (f"channel-{i}" for i in itertools.count())


class Moves(RuleBasedStateMachine):
    """The model: a stack of releases that stable stands on, and whether there is a hold."""

    store: LocalStore
    releases: list[tuple[str, int]]  # (release_id, lineage), all of one age

    @initialize()
    def start(self):
        self.name, self.stack, self.held, self.generation = (next(channel_names), [], False, 0)
        self.now = NOON

    def tick(self):
        self.now += timedelta(seconds=1)
        return {"now": self.now, "who": "test"}

    def moved(self, channel):
        self.generation += 1
        assert channel.generation == self.generation

    def stand_on(self, release):
        if release in self.stack:
            del self.stack[self.stack.index(release) :]
        self.stack.append(release)

    @rule(data=st.data())
    def promotes(self, data):
        release = data.draw(st.sampled_from(self.releases))
        if self.stack and self.stack[-1] == release:
            promote(self.store, self.name, release[0], why="", **self.tick())
        elif self.held:
            with pytest.raises(Refused, match="on hold"):
                promote(self.store, self.name, release[0], why="", **self.tick())
        else:
            self.moved(promote(self.store, self.name, release[0], why="", **self.tick()))
            self.stand_on(release)

    @precondition(lambda self: self.stack)
    @rule(same_lineage=st.booleans())
    def rolls_back(self, same_lineage):
        *earlier, stable = self.stack
        wanted = [r for r in earlier if (r[1] == stable[1]) == same_lineage]
        options = {"index": same_lineage, "why": "worse", **self.tick()}
        if not wanted:
            with pytest.raises(Refused, match="no earlier"):
                rollback(self.store, self.name, **options)
            return
        channel = rollback(self.store, self.name, **options)
        self.moved(channel)
        assert channel.stable == wanted[-1][0]
        self.stand_on(wanted[-1])
        self.held = True

    @precondition(lambda self: self.stack)
    @rule(data=st.data())
    def rolls_back_to(self, data):
        release = data.draw(st.sampled_from(self.releases))
        if release == self.stack[-1]:
            with pytest.raises(Refused, match="already serves"):
                rollback(self.store, self.name, to=release[0], why="", **self.tick())
            return
        self.moved(rollback(self.store, self.name, to=release[0], why="", **self.tick()))
        self.stand_on(release)
        self.held = True

    @precondition(lambda self: self.stack)
    @rule(reason=st.sampled_from(["fixed", " "]))
    def resumes(self, reason):
        if not self.held or not reason.strip():
            with pytest.raises(PerennialError):
                resume(self.store, self.name, reason=reason, **self.tick())
            return
        self.moved(resume(self.store, self.name, reason=reason, **self.tick()))
        self.held = False

    @invariant()
    def the_channel_says_what_the_model_says(self):
        channel = self.store.read_channel(self.name)
        if not self.stack:
            assert channel is None
            return
        assert channel.stable == self.stack[-1][0]
        assert list(channel.standing()) == [release_id for release_id, _ in self.stack]
        assert (channel.hold is not None) == self.held
        assert len(channel.history) == self.generation
        assert channel.history[-1].to == channel.stable


def test_any_sequence_of_moves_leaves_the_channel_that_the_model_predicts(tmp_path):
    Moves.store = LocalStore(tmp_path / "store")
    Moves.releases = []
    for lineage, count in ((1, 2), (2, 2), (3, 1)):
        for index in range(count):
            root = tmp_path / f"{lineage}-{index}"
            folders = write_folders(root, lineage=lineage, tag=f"tag{index}", documents=5)
            release_id = publish_folders(Moves.store, folders).release_id
            Moves.releases.append((release_id, lineage))
    run_state_machine_as_test(
        Moves,
        settings=settings(
            max_examples=25,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
