"""How a process enters Ray's clusters: with one token, and not before it is there."""

import os

from perennial.compute.cluster import token_here


def test_a_process_has_one_token_for_all_its_clusters(monkeypatch) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    first = token_here()
    assert len(first) == 64
    os.environ["RAY_AUTH_TOKEN"] = first
    assert token_here() == first


def test_another_process_has_another_token(monkeypatch) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    assert token_here() != token_here()
