"""A world's promises checked in this process; Great Expectations is imported once for all tests."""

from collections.abc import Callable
from functools import partial

import pytest

from perennial.data.split import is_held_out

SETTINGS = {
    "max_text_characters": 200_000,
    "max_query_characters": 2_000,
    "max_null_slice_share": 0.5,
    "min_requests": 100,
    "min_clicks": 50,
    "click_window_seconds": 1_800,
    "is_held_out": partial(is_held_out, share=0.25, salt="perennial"),
}


@pytest.fixture(scope="session")
def outcomes_of() -> Callable:
    """`outcomes_of(world, tables=None, **settings)`: the outcomes, of all tables or of some."""
    from expectations.check import check
    from expectations.snapshot import promises_of
    from expectations.tables import Snapshot

    def outcomes(world, tables=None, **settings):
        snapshot = Snapshot(
            tables={name: world.arrow(name) for name in world.tables},
            start=world.start,
            end=world.end,
            digest="sha256:" + "0" * 64,
        )
        promises = promises_of(snapshot, **(SETTINGS | settings))
        suites = [each for each in promises.suites if tables is None or each.table in tables]
        return check(suites, promises.frames, unusable=promises.unusable, sample_rows=5)

    return outcomes


@pytest.fixture(scope="session")
def broken(outcomes_of) -> Callable:
    """`broken(world, tables)`: what is broken, by "table: promise"."""

    def found(world, tables=None, **settings):
        outcomes = outcomes_of(world, tables, **settings)
        return {f"{each.table}: {each.must}": each for each in outcomes if each.kept is False}

    return found
