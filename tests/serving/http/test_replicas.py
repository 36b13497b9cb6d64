"""Replicas of one service: whichever a load balancer asks, soon after a swap it is the new one."""

import time
from contextlib import ExitStack

import pytest
from service_process import people, service

pytestmark = pytest.mark.slow
_SECONDS = 20  # on a busy machine; each looks at the channel every second


def test_all_replicas_are_on_the_new_release_within_seconds_and_none_fails_an_answer(
    store, swap, newer, tmp_path
):
    old = store.read_channel("production").stable
    with ExitStack() as stack:
        every = []
        for number in range(3):  # each as on a machine of its own: all they share is the store
            home, places = tmp_path / f"machine-{number}", {"PERENNIAL_STORE": str(store.root)}
            _, port = stack.enter_context(service(home, **places))
            every.append(stack.enter_context(people(port)))
        wait_until(lambda: all(asked.releases for asked in every))
        assert {asked.releases[0] for asked in every} == {old}
        began = time.monotonic()
        swap(newer)
        wait_until(lambda: all(asked.releases[-1] == newer for asked in every))
        assert time.monotonic() - began < _SECONDS
    for asked in every:
        assert asked.failed == []
        switched = asked.releases.index(newer)
        assert set(asked.releases[switched + 4 :]) == {newer}, "four were under way"


def wait_until(holds):
    until = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)
