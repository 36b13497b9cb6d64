"""A sweep beside publishers: what a manifest names is there, whoever was first."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from tiny_increment import publish_increment
from tiny_release import NOON

from perennial.errors import Refused
from perennial.release.channels.moves import promote
from perennial.release.stores.local import LocalStore
from perennial.release.sweeping.sweep import sweep
from perennial.release.verify import verify_store

PUBLISHERS, ROUNDS = 4, 6


def in_a_week():
    """So that everything is old, and only pins and channels keep it."""
    return datetime.now(UTC) + timedelta(days=7)


class Sweepers(LocalStore):
    """By a clock that is a week ahead, the temporary file of a live publisher is debris."""

    def remove_debris(self, *, before):
        """Nothing."""


@pytest.mark.slow
def test_a_sweep_that_keeps_as_little_as_it_may_takes_nothing_from_publishers(
    store, serving, tmp_path
):
    done, errors, swept = threading.Event(), [], []

    def publish_and_promote(number):
        mine = LocalStore(store.root)
        try:
            for i in range(ROUNDS):
                made = publish_increment(
                    mine,
                    serving,
                    tmp_path / f"{number}-{i}",
                    add={f"doc-{number}": f"word{i % 3}"},  # the same objects come and go
                    created_at=NOON + timedelta(hours=i),
                )
                promote(mine, f"channel-{number}", made.release_id, now=NOON, why="", who="test")
        except Exception as error:  # noqa: BLE001  shown by the test's own thread
            errors.append(error)

    def sweep_again_and_again():
        while not done.is_set():
            try:
                found = sweep(
                    Sweepers(store.root),
                    releases=1,
                    lineages=1,
                    grace=timedelta(hours=1),
                    pending=timedelta(days=30),
                    clock=in_a_week,
                )
                swept.append(len(found.objects))
            except Refused as error:
                errors.append(error)

    publishers = [
        threading.Thread(target=publish_and_promote, args=(i,)) for i in range(PUBLISHERS)
    ]
    sweeper = threading.Thread(target=sweep_again_and_again)
    for thread in (*publishers, sweeper):
        thread.start()
    for thread in publishers:
        thread.join()
    done.set()
    sweeper.join()
    assert sum(swept) > 0
    # A release may be gone between its publication and its promotion, which is then refused; here
    # retention alone decides about that, so that any other error is a hole.
    assert [e for e in errors if "is not in the store" not in str(e)] == []
    assert verify_store(store) == []
