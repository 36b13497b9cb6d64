"""A bridge between two spaces: exact where one is a turn of the other, refused where it lies."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from perennial.errors import BadInput, IntegrityError
from perennial.index.agreement import exact_rows, fit_each, recall_against_exact
from perennial.index.bridge import Bridge, read_bridge, write_bridge
from perennial.index.linear import KINDS, fit_bridge


def unit(count: int, dimension: int, *, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def turn(rows: np.ndarray, dimension: int, *, seed: int) -> np.ndarray:
    """The rows in another space of at least as many dimensions: every angle as it was."""
    random = np.random.default_rng(seed).standard_normal((dimension, dimension))
    return np.asarray(rows @ np.linalg.qr(random)[0][: rows.shape[1]], dtype=np.float32)


@settings(deadline=None, max_examples=30)
@given(
    new=st.integers(2, 12),
    more=st.integers(0, 6),
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 999),
)
def test_a_space_that_is_only_turned_is_recovered_exactly(
    new: int, more: int, kind: str, seed: int
) -> None:
    ours = unit(4 * (new + more), new, seed=seed)
    theirs = turn(ours, new + more, seed=seed + 1)
    bridge = fit_bridge(kind, new=ours, old=theirs, ridge=0.0)
    queries = unit(9, new, seed=seed + 2)
    assert bridge.dimensions == (new, new + more)
    np.testing.assert_allclose(
        bridge.apply(queries), turn(queries, new + more, seed=seed + 1), atol=2e-5
    )


@pytest.mark.parametrize("kind", KINDS)
def test_into_fewer_dimensions_what_the_old_space_can_tell_is_found(kind: str) -> None:
    # The documents need no more than 6 of the new encoder's 10 directions.
    theirs = unit(200, 6, seed=1)
    ours = turn(theirs, 10, seed=2)
    bridge = fit_bridge(kind, new=ours, old=theirs, ridge=0.0)
    queries = turn(unit(30, 6, seed=3), 10, seed=2)
    found = exact_rows(bridge.apply(queries), theirs, 5)
    assert recall_against_exact(found, queries=queries, documents=ours).tolist() == [1.0] * 30


def test_a_regression_undoes_what_no_turn_can() -> None:
    ours, stretch = unit(400, 8, seed=1), np.diag([1, 1, 1, 1, 5, 5, 0.2, 0.2])
    theirs = np.asarray(ours @ stretch + 0.3, dtype=np.float32)
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    cosine = {
        kind: float(
            (fit_bridge(kind, new=ours, old=theirs, ridge=1e-6).apply(ours) * theirs).sum(1).mean()
        )
        for kind in ("orthogonal", "affine")
    }
    assert cosine["affine"] > 0.98 > 0.9 > cosine["orthogonal"]


def test_adjoint_expects_the_score_that_the_new_encoder_would_give() -> None:
    # The old encoder sees the new one's space and 8 directions of noise beside it.
    ours = unit(3000, 6, seed=1)
    noise = np.random.default_rng(2).standard_normal((3000, 8)).astype(np.float32)
    theirs = np.hstack([ours, 0.5 * noise])
    queries = unit(50, 6, seed=3)
    bridge = fit_bridge("adjoint", new=ours, old=theirs, ridge=0.0)
    expected = queries @ ours.T
    assert np.corrcoef((bridge.apply(queries) @ theirs.T).ravel(), expected.ravel())[0, 1] > 0.999


@pytest.mark.parametrize("kind", ["affine", "adjoint"])
def test_a_rank_keeps_that_many_directions_and_the_strongest(kind: str) -> None:
    rng = np.random.default_rng(0)
    ours = rng.standard_normal((500, 9)).astype(np.float32)
    two = np.linalg.qr(rng.standard_normal((9, 9)))[0] * [3, 2, 1, 1, 1, 1, 1, 1, 1]
    theirs = np.asarray(ours @ two, dtype=np.float32)
    whole = fit_bridge(kind, new=ours, old=theirs, ridge=1e-6)
    cut = fit_bridge(kind, new=ours, old=theirs, ridge=1e-6, rank=2)
    assert np.linalg.matrix_rank(whole.matrix, tol=1e-4) == 9
    assert np.linalg.matrix_rank(cut.matrix, tol=1e-4) == 2
    if kind == "affine":
        strongest = np.eye(9)[:, :2]
        assert np.linalg.norm(cut.matrix @ strongest) > 0.99 * np.linalg.norm(cut.matrix)


def test_a_query_without_direction_keeps_none() -> None:
    bridge = Bridge(np.eye(3, dtype=np.float32), np.ones(3, dtype=np.float32))
    mapped = bridge.apply(np.array([[0, 0, 0], [1, 0, 0]], dtype=np.float32))
    assert mapped[0].tolist() == [0, 0, 0]
    np.testing.assert_allclose(mapped[1], np.array([2, 1, 1]) / np.sqrt(6), rtol=1e-6)


def test_documents_that_are_all_the_same_make_a_bridge_of_finite_numbers() -> None:
    same = np.tile(unit(1, 4, seed=1), (20, 1))
    for kind in KINDS:
        assert np.isfinite(fit_bridge(kind, new=same, old=same, ridge=0.0).matrix).all()


@pytest.mark.parametrize(
    ("new", "old", "options", "says"),
    [
        (unit(11, 4, seed=1), unit(11, 12, seed=1), {}, "11 documents are too few .* at least 12"),
        (unit(20, 4, seed=1), unit(19, 4, seed=1), {}, "the same documents under both"),
        (np.full((20, 4), np.nan), unit(20, 4, seed=1), {}, "20 of 20 vectors of the new encoder"),
        (unit(20, 4, seed=1), np.full((20, 4), np.inf), {}, "vectors of the old encoder hold NaN"),
        (unit(20, 4, seed=1), unit(20, 4, seed=1), {"rank": 0}, "rank of a bridge is 0"),
        (unit(20, 4, seed=1), unit(20, 4, seed=1), {"kind": "cubic"}, "'cubic' is no bridge"),
    ],
)
def test_what_cannot_fit_a_bridge_is_refused(
    new: np.ndarray, old: np.ndarray, options: dict[str, object], says: str
) -> None:
    given: dict[str, object] = {"kind": "affine", "ridge": 0.1} | options
    with pytest.raises(BadInput, match=says):
        fit_bridge(str(given.pop("kind")), new=new, old=old, **given)  # type: ignore[arg-type]


def test_queries_of_another_dimension_are_refused() -> None:
    bridge = fit_bridge("orthogonal", new=unit(9, 4, seed=1), old=unit(9, 5, seed=2), ridge=0.0)
    with pytest.raises(BadInput, match=r"shape \(2, 5\), the bridge takes 4"):
        bridge.apply(unit(2, 5, seed=1))


# ---- its file


def test_a_bridge_survives_its_file_and_the_same_bridge_has_the_same_bytes(tmp_path: Path) -> None:
    bridge = fit_bridge("affine", new=unit(20, 4, seed=1), old=unit(20, 6, seed=2), ridge=0.1)
    for name in ("one", "two"):
        write_bridge(tmp_path / name, bridge)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    read = read_bridge(tmp_path / "one")
    assert (read.matrix == bridge.matrix).all() and (read.offset == bridge.offset).all()


EYE, ZERO = np.eye(3, dtype=np.float32), np.zeros(3, dtype=np.float32)


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"\xff" * 40,
        save({"matrix": EYE, "offset": ZERO})[:-1],
        save({"matrix": EYE}),
        save({"matrix": EYE, "offset": ZERO, "more": ZERO}),
        save({"matrix": EYE, "offset": np.zeros(2, dtype=np.float32)}),
        save({"matrix": EYE * np.nan, "offset": ZERO}),
        save({"matrix": EYE.astype(np.float64), "offset": ZERO}),
        save({"matrix": ZERO, "offset": ZERO}),
    ],
)
def test_a_file_that_is_no_bridge_is_an_integrity_error(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "map.safetensors").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"the bridge .*map\.safetensors"):
        read_bridge(tmp_path / "map.safetensors")


# ---- how good it is


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 99))
def test_recall_is_the_share_of_the_nearest_that_were_found(n: int, k: int, seed: int) -> None:
    documents, queries = unit(n, 6, seed=seed), unit(4, 6, seed=seed + 100)
    found = np.random.default_rng(seed).permuted(np.tile(np.arange(n), (4, 1)), axis=1)[:, :k]
    found[0, 0] = -1
    nearest = np.argsort(-(queries @ documents.T), axis=1)[:, : min(k, n)]
    if found.shape[1] == k:
        expected = [len(set(f) & set(b)) / len(b) for f, b in zip(found, nearest, strict=True)]
        recall = recall_against_exact(found, queries=queries, documents=documents)
        assert recall.tolist() == pytest.approx(expected)
    assert (exact_rows(queries, documents, k) == nearest).all()


def test_documents_of_equal_vectors_may_stand_in_for_each_other() -> None:
    documents = np.repeat(unit(3, 4, seed=1), 4, axis=0)
    for rows in ([0, 1], [2, 3]):
        recall = recall_against_exact(np.array([rows]), queries=documents[:1], documents=documents)
        assert recall.tolist() == [1.0]


def test_the_best_kind_is_told_on_documents_that_it_was_not_fitted_on() -> None:
    ours = unit(300, 8, seed=1)
    held = np.arange(300) % 3 == 0
    # Few documents and much noise: a turn has least to get wrong.
    noise = 0.4 * np.random.default_rng(2).standard_normal((300, 8)).astype(np.float32)
    theirs = turn(ours, 8, seed=3) + noise
    options = {"held": held, "asked": unit(50, 8, seed=4), "ridge": 0.0, "rank": None, "k": 10}
    tried = fit_each(KINDS, new=ours[:40], old=theirs[:40], **(options | {"held": held[:40]}))
    recalls = [recall for _, recall in tried.values()]
    assert recalls == sorted(recalls, reverse=True) and set(tried) == set(KINDS)
    exact = fit_each(KINDS, new=ours, old=turn(ours, 8, seed=3), **options)
    assert [recall for _, recall in exact.values()] == [1.0] * 3
    assert list(exact) == list(KINDS)  # of equals the first named
    with pytest.raises(BadInput, match="10 documents are held out"):
        fit_each(KINDS, new=ours, old=theirs, **(options | {"held": np.arange(300) < 10}))
    with pytest.raises(BadInput, match="no query to choose"):
        fit_each(KINDS, new=ours, old=theirs, **(options | {"asked": ours[:0]}))
