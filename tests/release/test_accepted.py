"""The record of the last accepted log: the latest window wins, whoever writes it, and when."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from tiny_release import NOON

from perennial.errors import IntegrityError
from perennial.release.accepted import ACCEPTED, Profiled, accept, read_accepted, reference_for
from perennial.release.sweeping.sweep import sweep
from perennial.release.verify import verify_store, verify_whole_store

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
RECORD = f"{ACCEPTED}production"


def digest(number):
    return f"sha256:{number:064x}"


def accepted(store, number, *, before=None, log=None):
    """Accept the log whose window ends on day `number`."""
    return accept(
        store,
        "production",
        snapshot=digest(number),
        profile={"requests": number, "top_queries": [{"query": "my name is Ann", "requests": 1}]},
        log=digest(100 + number if log is None else log),
        end=MONDAY + timedelta(days=number),
        before=before,
    )


def newest(store):
    return read_accepted(store, "production").newest.snapshot


def test_what_is_remembered_is_the_reference_of_another_log_and_names_nobody(store):
    assert reference_for(store, "production", log=digest(1)) is None
    assert accepted(store, 1)
    assert reference_for(store, "production", log=digest(102)) == Profiled(
        digest(1), {"requests": 1}
    )
    assert reference_for(store, "staging", log=digest(102)) is None
    assert b"Ann" not in store.read_record(RECORD)


def test_the_same_log_again_is_compared_with_what_it_was_compared_with(store):
    accepted(store, 1)
    first = reference_for(store, "production", log=digest(102))
    accepted(store, 2, before=first)
    assert reference_for(store, "production", log=digest(102)) == first
    written = store.read_record(RECORD)
    assert accepted(store, 2, before=first)
    assert store.read_record(RECORD) == written


def test_in_any_order_the_latest_window_stays_and_an_older_run_is_told(store):
    for order in permutations((1, 2, 3)):
        store.swap_record(RECORD, store.read_record(RECORD), None)
        told = [accepted(store, number) for number in order]
        assert newest(store) == digest(3)
        assert told == [number == max(order[: at + 1]) for at, number in enumerate(order)]


def crowd(store, numbers):
    """What each of several runs is told that accept at once."""
    start, told = threading.Barrier(len(numbers)), {}

    def one(number):
        start.wait()
        told[number] = accepted(store, number)

    threads = [threading.Thread(target=one, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def test_of_many_at_once_the_latest_window_stays(store):
    for _ in range(5):
        store.swap_record(RECORD, store.read_record(RECORD), None)
        told = crowd(store, range(1, 9))
        assert newest(store) == digest(8) and told[8]
        assert len(told) == 8


def test_whoever_reads_an_old_record_before_a_newer_one_is_written_does_not_lose_that(store):
    class Slow(type(store)):
        def read_record(self, name):
            found = super().read_record(name)
            if not self.overtaken:
                self.overtaken = True
                assert accepted(store, 3)
            return found

    late = Slow(store.root)
    late.overtaken = False
    assert not accepted(late, 2)
    assert newest(store) == digest(3)


@pytest.mark.slow
def test_the_same_on_s3(s3_store):
    crowd(s3_store, range(1, 5))
    assert newest(s3_store) == digest(4)
    assert not accepted(s3_store, 2)


def test_a_sweep_leaves_the_record(store, serving):
    accepted(store, 1)
    days = {"grace": timedelta(days=1), "pending": timedelta(days=1)}
    sweep(store, releases=1, lineages=1, clock=lambda: NOON + timedelta(days=99), **days)
    assert newest(store) == digest(1)


def test_verify_knows_the_record_and_names_a_damaged_one(store, serving):
    accepted(store, 1)
    assert verify_store(store) == [] and verify_whole_store(store).orphans == ()
    store.swap_record(RECORD, store.read_record(RECORD), b'{"format_version": 1}')
    (finding,) = verify_store(store)
    assert finding.thing == f"record {RECORD}"
    with pytest.raises(IntegrityError, match="the last accepted log of production"):
        reference_for(store, "production", log=digest(1))
    with pytest.raises(IntegrityError, match="the last accepted log of production"):
        accepted(store, 2)
