"""Who approved, on a real MLflow with its own authentication: nobody signs as somebody else."""

from pathlib import Path

import pytest

from tasks.reviewers import Signed, forgery

CHECKOUT = Path(__file__).parents[2]
RELEASE, GATE = "rel-a00000000007", "sha256:" + "ab" * 32
PASSWORD = "a long word of ours"


@pytest.mark.parametrize(
    ("path", "body", "stands", "says"),
    [
        ("model-versions/set-tag", {"key": "reviewer", "value": "bob"}, Signed("", False), "ada"),
        ("model-versions/set-tag", {"key": "note", "value": "x"}, Signed("", False), None),
        ("model-versions/set-tag", {"key": "reviewer", "value": "ada"}, Signed("", False), None),
        ("model-versions/set-tag", {"key": "reviewer", "value": "ada"}, Signed("bob", True), "bob"),
        ("model-versions/set-tag", {"key": "approved"}, Signed("ada", False), None),
        ("model-versions/set-tag", {"key": "approved"}, Signed("bob", False), "first"),
        ("model-versions/set-tag", {"key": "rejected"}, Signed("", False), "first"),
        ("model-versions/delete-tag", {"key": "rejected"}, Signed("bob", True), "bob"),
        ("model-versions/delete-tag", {"key": "reviewer"}, Signed("bob", False), "bob"),
        ("model-versions/delete-tag", {"key": "approved"}, Signed("ada", True), None),
        ("model-versions/delete-tag", {"key": "rejected"}, Signed("", True), None),
        ("model-versions/delete-tag", {"key": "note"}, Signed("bob", True), None),
        ("registered-models/alias", {"alias": "approved"}, Signed("bob", False), "first"),
        ("registered-models/alias", {"alias": "candidate"}, Signed("bob", False), None),
        ("registered-models/alias", {"alias": "gate"}, Signed("bob", True), None),
        ("model-versions/set-tag", {"key": "gate"}, Signed("bob", True), "only the flow"),
        ("model-versions/set-tag", {"key": "release_id"}, Signed("", True), "only the flow"),
        ("model-versions/set-tag", {"key": "lineage"}, Signed("ada", True), "only the flow"),
        ("model-versions/set-tag", {"key": "gate"}, Signed("bob", False), None),
        ("model-versions/delete-tag", {"key": "gate"}, Signed("ada", True), "only the flow"),
        ("model-versions/create", {"tags": [{"key": "approved"}]}, Signed("", False), "without"),
        ("model-versions/create", {"tags": [{"key": "gate"}]}, Signed("", False), None),
        ("model-versions/create", ["approved"], Signed("", False), None),
        ("runs/set-tag", {"key": "reviewer", "value": "bob"}, Signed("", False), None),
    ],
)
def test_nobody_answers_under_another_name(path, body, stands, says):
    said = asks("ada", path, body, stands)
    assert (said is None) == (says is None)
    assert said is None or says in said


def asks(name, path, body, stands, *, flow="flow", is_taking=False):
    path = f"/api/2.0/mlflow/{path}"
    about = {"name": name, "flow": flow, "signed_of": lambda *_: stands}
    return forgery(path, body, is_taking=is_taking, **about)


def test_an_alias_is_taken_away_by_whom_it_is_of_and_by_the_flow():
    body, path = {"name": "a model", "alias": "approved"}, "registered-models/alias"
    for name, may in {"ada": True, "bob": False, "flow": True}.items():
        said = asks(name, path, body, Signed("ada", True), is_taking=True)
        assert (said is None) == may


def test_the_flow_alone_changes_what_an_answer_is_about():
    body, path = {"key": "gate", "value": GATE}, "model-versions/set-tag"
    assert asks("flow", path, body, Signed("ada", True)) is None
    assert asks("flow", path, body, Signed("ada", True), flow="") is not None
    reviewer = {"key": "reviewer", "value": "ada"}
    assert asks("flow", path, reviewer, Signed("", False)) is not None, "it signs for nobody"
