"""A bell: who waits hears a ring at once, also one that came while it looked, and else goes on."""

import threading
import time

from tasks.bell import bell_of, heard, ring, wait_for_ring


def test_a_ring_ends_the_wait_and_silence_only_the_time(tmp_path):
    bell = bell_of(tmp_path, "review")
    last = heard(bell)
    began = time.monotonic()
    assert not wait_for_ring(bell, last, seconds=0.05)
    threading.Timer(0.05, ring, [bell]).start()
    assert wait_for_ring(bell, last, seconds=30)
    assert time.monotonic() - began < 5


def test_a_ring_between_the_look_and_the_wait_is_not_missed(tmp_path):
    bell = bell_of(tmp_path, "review")
    ring(bell)
    last = heard(bell)
    ring(bell)
    assert wait_for_ring(bell, last, seconds=0.0)
