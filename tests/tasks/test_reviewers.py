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
        ("model-versions/set-tag", {"key": "reviewer", "value": "bob"}, Signed("", False), "bob"),
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
        ("model-versions/create", {"tags": [{"key": "approved"}]}, Signed("", False), "without"),
        ("model-versions/create", {"tags": [{"key": "gate"}]}, Signed("", False), None),
        ("model-versions/create", ["approved"], Signed("", False), None),
        ("runs/set-tag", {"key": "reviewer", "value": "bob"}, Signed("", False), None),
    ],
)
def test_nobody_answers_under_another_name(path, body, stands, says):
    said = forgery(f"/api/2.0/mlflow/{path}", body, name="ada", signed_of=lambda *_: stands)
    assert (said is None) == (says is None)
