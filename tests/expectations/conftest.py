"""A world's promises checked in this process; Great Expectations is imported once for all tests."""

import itertools
from collections.abc import Callable
from functools import partial

import pytest

from perennial.data.split import is_held_out

RULES = {
    "max_text_characters": 200_000,
    "max_query_characters": 2_000,
    "max_null_slice_share": 0.5,
    "min_requests": 100,
    "min_clicks": 50,
    "max_dwell_seconds": 14_400,
    "click_window_seconds": 1_800,
}
SETTINGS = {
    "reference": None,
    "quarantine": False,
    "max_quarantined_share": 0.05,
    "max_requests_per_minute": 30,
    "max_requests_per_session": 500,
    "max_bot_share": 0.2,
    "min_click_fall": 0.1,
    "max_volume_change": 0.5,
    "max_query_shift": 0.2,
    "sample_rows": 5,
    "memory_mb": 512,
    "is_held_out": partial(is_held_out, share=0.25, salt="perennial"),
}


@pytest.fixture
def findings_of(tmp_path) -> Callable:
    """`findings_of(world, **settings)`: what validate finds in the world, written as parquet."""
    from expectations.snapshot import look, rules_of
    from expectations.tables import read_snapshot

    number = itertools.count()

    def findings(world, **settings):
        root = world.write_workspace(tmp_path / f"world-{next(number)}")
        snapshot = read_snapshot(root / "snapshot")
        rules = rules_of(snapshot, **{k: settings.get(k, v) for k, v in RULES.items()})
        chosen = {k: settings.get(k, v) for k, v in SETTINGS.items()}
        return look(snapshot, rules, spill=root / "spill", **chosen)

    return findings


@pytest.fixture
def outcomes_of(findings_of) -> Callable:
    """`outcomes_of(world, tables=None, **settings)`: the outcomes, of all tables or of some."""

    def outcomes(world, tables=None, **settings):
        found = findings_of(world, **settings).outcomes
        return [each for each in found if tables is None or each.table in tables]

    return outcomes


@pytest.fixture
def broken(outcomes_of) -> Callable:
    """`broken(world, tables)`: what is broken, by "table: promise"."""

    def found(world, tables=None, **settings):
        outcomes = outcomes_of(world, tables, **settings)
        return {f"{each.table}: {each.must}": each for each in outcomes if each.kept is False}

    return found
