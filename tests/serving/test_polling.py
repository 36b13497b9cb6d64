import gc
import threading
import time

import pytest

from perennial.serving.memory import give_back, let_go
from perennial.serving.polling import Poller, wait_seconds


class Looker:
    """Counts its looks."""

    def __init__(self):
        self.looks, self.looked = 0, threading.Event()

    def look(self):
        self.looks += 1
        self.looked.set()
        return 0.001


@pytest.mark.parametrize(
    ("poll_seconds", "failures", "expected"),
    [(0.5, 0, 0.5), (0.5, 1, 1.0), (0.5, 6, 32.0), (0.5, 7, 60.0), (0.5, 10**6, 60.0),
     (300.0, 0, 300.0), (300.0, 3, 300.0), (0.0, 9, 0.0)],
)  # fmt: skip
def test_each_failure_doubles_the_wait_up_to_a_minute(poll_seconds, failures, expected):
    assert wait_seconds(poll_seconds, failures) == expected


def test_a_poller_looks_until_it_is_closed():
    looker = Looker()
    poller = Poller(looker.look, seconds=0.0)
    assert looker.looked.wait(5)
    poller.close(timeout_seconds=5)
    looks = looker.looks
    time.sleep(0.02)
    assert looker.looks == looks


def test_a_poller_does_not_keep_its_owner_alive():
    looker = Looker()
    poller = Poller(looker.look, seconds=3600.0)
    del looker
    gc.collect()
    poller._thread.join(5)
    assert not poller._thread.is_alive()


def test_what_others_hold_is_let_go_when_the_time_is_up():
    class Thing:
        pass

    held = [Thing()]
    thing = held[0]
    assert let_go(held, timeout_seconds=0.0) is False
    assert held == []
    held = [thing]
    del thing
    assert let_go(held, timeout_seconds=0.0) is True


def test_giving_memory_back_is_allowed_everywhere():
    give_back()
