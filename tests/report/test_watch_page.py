"""The page of a watch: the verdict first, everything escaped, nothing loaded."""

import re
from datetime import UTC, datetime

import numpy as np
import pytest

from perennial.report.watch import render_watch, words_of_p
from perennial.report.watch_view import Course, SignalRow, WatchView


def view(outcome):
    hours = 490_992 + np.arange(48)
    return WatchView(
        channel="production",
        release_id="rel-000000000000",
        at=datetime(2026, 2, 2, 12, tzinfo=UTC),
        log_end=datetime(2026, 2, 2, 11, tzinfo=UTC),
        decision={"outcome": outcome, "reasons": ["Much <b>changed</b>."], "evidence": []},
        rows=[
            SignalRow("novel queries, 2 h", "queries", "12 % are new", 0.2, 0.05, 1e-9, 1e-5, True),
            SignalRow("dead rows", "documents", "1 % are dead", 0.01, 0.2, None, None, False),
        ],
        courses=[Course("Requests an hour", hours, np.ones(48), np.full(48, np.nan))],
        alpha=0.0003,
    )


@pytest.mark.slow
def test_every_verdict_has_a_page_that_loads_nothing_and_is_the_same_twice():
    for outcome in ("none", "reindex", "retrain", "page"):
        page = render_watch(view(outcome))
        assert page == render_watch(view(outcome))
        assert "Much &lt;b&gt;changed&lt;/b&gt;." in page
        assert "novel queries, 2 h" in page and "<svg" in page
        assert not re.search(r"(src|href)=\"(?!#)", page)


def test_a_p_value_is_said_shortly():
    assert [words_of_p(p) for p in (0.0312, 2e-9, None)] == ["0.031", "2e\N{MINUS SIGN}09", "–"]  # noqa: RUF001
