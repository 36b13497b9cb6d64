"""A decision survives JSON unchanged."""

import json

import pytest

from perennial.errors import BadInput
from perennial.quality.decision import OUTCOMES, Decision, Evidence

EVIDENCE = Evidence("ndcg@10", 0.06, 0.04, 0.08, 600, 0.0, True)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_decision_survives_json(outcome):
    unknown = Evidence("queries", None, None, None, 0, 100.0, None)
    decision = Decision(outcome, ("because.",), (EVIDENCE, unknown))
    assert Decision.from_dict(json.loads(json.dumps(decision.to_dict()))) == decision


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"outcome": "promote", "reasons": []}, "evidence"),
        ({"outcome": "maybe", "reasons": [], "evidence": []}, "'maybe' is not an outcome"),
        ({"outcome": "promote", "reasons": [], "evidence": [{"nme": 1}]}, "nme"),
    ],
)
def test_what_is_no_decision_is_refused(value, words):
    with pytest.raises(BadInput, match=words):
        Decision.from_dict(value)
