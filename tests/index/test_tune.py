"""nprobe and efSearch are the least that find what exact search finds often enough."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tiny_index import ROWS, build, named, unit

from perennial.index.exact import chunks_of, exact_search
from perennial.index.index import Index
from perennial.index.tune import true_recall, tune

pytestmark = pytest.mark.usefixtures("one_thread")


def recall_at(
    index: Index, vectors: np.ndarray, probes: np.ndarray, name: str, value: int
) -> float:
    """Share of the true ten nearest, by sorting all scores."""
    searched = dataclasses.replace(index, settings={name: value})
    _, found = searched.search(probes, 10)
    wanted = np.argsort(-(probes @ vectors.T), axis=1)[:, :10]
    hits = [len({f"d{row:06d}" for row in w} & set(f)) for w, f in zip(wanted, found, strict=True)]
    return float(np.mean(hits)) / 10


@pytest.mark.parametrize("target", [0.5, 0.8, 0.9, 0.99, 1.0])
def test_nprobe_is_the_least_that_meets_the_target(tmp_path: Path, target: float) -> None:
    vectors, probes = unit(2000, seed=1), unit(60, seed=2)
    index = build(
        tmp_path, vectors, named(2000), factory="IVF32,Flat", probes=probes, recall_target=target
    )
    nprobe = index.settings["nprobe"]
    assert recall_at(index, vectors, probes, "nprobe", nprobe) >= target
    if nprobe > 1:
        assert recall_at(index, vectors, probes, "nprobe", nprobe - 1) < target


@pytest.mark.slow
def test_ef_is_the_least_that_meets_the_target(tmp_path: Path) -> None:
    vectors, probes = unit(5000, seed=1), unit(60, seed=2)
    index = build(
        tmp_path, vectors, named(5000), factory="HNSW8", probes=probes, recall_target=0.95
    )
    ef = index.settings["ef"]
    assert ef > 10  # below k it decides nothing
    assert recall_at(index, vectors, probes, "ef", ef) >= 0.95
    assert recall_at(index, vectors, probes, "ef", ef - 1) < 0.95


@pytest.mark.slow
def test_codes_that_cannot_reach_the_target_come_near_their_best(tmp_path: Path) -> None:
    vectors, probes = unit(ROWS, seed=1), unit(60, seed=2)
    index = build(
        tmp_path, vectors, named(ROWS), factory="IVF16,PQ4", probes=probes, recall_target=0.99
    )
    best = recall_at(index, vectors, probes, "nprobe", 16)
    assert best < 0.9
    nprobe = index.settings["nprobe"]
    assert 1 < nprobe < 16
    assert recall_at(index, vectors, probes, "nprobe", nprobe) >= best - 0.0021


def test_lossy_codes_that_reach_the_target_take_the_least_too(tmp_path: Path) -> None:
    vectors, probes = unit(2000, seed=1), unit(60, seed=2)
    given = {"factory": "IVF32,SQ8", "probes": probes, "recall_target": 0.9}
    index = build(tmp_path, vectors, named(2000), **given)
    nprobe = index.settings["nprobe"]
    assert recall_at(index, vectors, probes, "nprobe", nprobe) >= 0.9
    assert nprobe == 1 or recall_at(index, vectors, probes, "nprobe", nprobe - 1) < 0.9


def test_without_probes_the_documents_stand_in(tmp_path: Path) -> None:
    none = np.empty((0, 16), dtype=np.float32)
    given = {"factory": "IVF32,Flat", "recall_target": 0.95}
    index = build(tmp_path, unit(2000), named(2000), probes=none, **given)
    assert recall_at(index, unit(2000), unit(2000)[:200], "nprobe", index.settings["nprobe"]) > 0.9


def test_an_exact_index_has_nothing_to_tune(tmp_path: Path) -> None:
    vectors = unit(50)
    index = build(tmp_path, vectors, named(50))
    assert tune(index, vectors=vectors, probes=unit(5), recall_target=0.9) == {}


def test_equal_documents_may_stand_for_each_other() -> None:
    vectors = np.repeat(unit(4), 5, axis=0)
    probes = vectors[:1]
    bound = np.sort(probes @ vectors.T, axis=1)[:, -3]
    for rows in ([[0, 1, 2]], [[4, 3, 2]]):
        assert true_recall(np.array(rows), vectors=vectors, probes=probes, bound=bound) == 1.0
    some = true_recall(np.array([[0, -1, 19]]), vectors=vectors, probes=probes, bound=bound)
    assert some == pytest.approx(1 / 3)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_exact_search_in_chunks_is_exact_search(
    monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr("perennial.index.exact.CHUNK_ROWS", chunk)
    vectors, queries = unit(50), unit(6, seed=1)
    scores, rows = exact_search(queries, chunks_of(vectors), 8)
    order = np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :8]
    assert (rows == order).all()
    assert scores == pytest.approx(np.take_along_axis(queries @ vectors.T, order, axis=1), abs=1e-6)
    few, beyond = exact_search(queries, chunks_of(vectors[:3]), 8)
    assert (beyond[:, 3:] == -1).all() and np.isneginf(few[:, 3:]).all()
