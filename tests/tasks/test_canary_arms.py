"""What the report is told of a rollout, and people whose search is asked each query once."""

import numpy as np
import pytest

from perennial.quality.decision import Decision, Evidence
from perennial.quality.traffic import Arrived, Stratum
from perennial.simulation.searches import remembering
from tasks.canary_arms import arms_of


def test_the_report_gets_both_arms_and_the_relative_change():
    strata = [
        Stratum(0, "canary", 0.1, "2026-02-01", Arrived(90, 90, 54), Arrived(10, 10, 5)),
        Stratum(1, "canary", 0.5, "2026-02-02", Arrived(50, 50, 30), Arrived(50, 50, 33)),
    ]
    evidence = Evidence("click success", 1.05, 0.98, None, 200, 0.97, True)
    arms = arms_of(strata, Decision("advance", ("Fine.",), (evidence,)), alpha=0.05)
    assert arms["sessions"] == {"stable": 140, "candidate": 60}
    assert arms["successes"] == {"stable": 84, "candidate": 38}
    assert arms["shares"]["stable"]["value"] == pytest.approx(0.6)
    assert arms["difference"]["value"] == pytest.approx(0.05)
    assert arms["difference"]["low"] == pytest.approx(-0.02)
    assert arms["difference"]["high"] is None
    assert arms["max_loss"] == pytest.approx(0.03)


def test_a_search_that_remembers_answers_the_same_and_is_asked_once():
    asked = []

    def search(queries, k):
        asked.extend(queries)
        numbers = np.array([[float(len(query))] * k for query in queries])
        return numbers, numbers.astype(object)

    remembered = remembering(search)
    for queries in (["a", "bb", "a"], ["ccc", "bb"]):
        for mine, theirs in zip(remembered(queries, 2), search(queries, 2), strict=True):
            assert mine.tolist() == theirs.tolist()
    assert asked.count("bb") == 1 + 2 and len(asked) == 3 + 5
