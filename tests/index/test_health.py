"""An index's health on cases whose values are known."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_index import build as build_one
from tiny_index import grow, merge, opened
from tiny_index import named as numbered
from tiny_index import unit as clustered

from perennial.index.build import build_index
from perennial.index.exact import stored_vectors
from perennial.index.fidelity import codes_similarity, least_similarity
from perennial.index.health import imbalance, index_health, needs_new_quantizer
from perennial.index.index import Index
from perennial.index.lists import list_sizes

pytestmark = pytest.mark.usefixtures("one_thread")
MADE_BY = "sha256:" + "a" * 64


def unit(count: int, *, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, 6)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def build(
    directory: Path,
    vectors: np.ndarray,
    doc_ids: list[str],
    *,
    factory: str = "Flat",
    nprobe: int = 8,
) -> Index:
    index = build_index(
        directory,
        vectors=vectors,
        doc_ids=doc_ids,
        text_digests=["sha256:0"] * len(doc_ids),
        encoder_digest=MADE_BY,
        slices=None,
        factory=factory,
        recall_target=0.9,
        memory_mb=100,
        probes=unit(30, seed=9),
        seed=0,
    )
    return dataclasses.replace(index, settings={"nprobe": nprobe})


def health(
    index: Index, vectors: np.ndarray, doc_ids: list[str], **changes: Any
) -> dict[str, float]:
    given: dict[str, Any] = {"probes": unit(30, seed=9), "seed": 1}
    return index_health(index, vectors=vectors, doc_ids=doc_ids, **(given | changes))


def named(count: int) -> list[str]:
    return [f"d{row}" for row in range(count)]


def test_an_exact_index_of_the_whole_catalogue_is_well(tmp_path: Path) -> None:
    vectors = unit(60)
    assert health(build(tmp_path, vectors, named(60)), vectors, named(60)) == {
        "ann_recall@10": 1.0,
        "codes_similarity": 1.0,
        "codes_spread": 0.0,
        "coverage": 1.0,
        "self_retrieval": 1.0,
        "dead_share": 0.0,
        "imbalance": 1.0,
        "recall_on_codes": 0.0,
        "segments": 1.0,
    }


def test_few_documents_are_well_too(tmp_path: Path) -> None:
    vectors = unit(2)
    values = health(build(tmp_path, vectors, named(2)), vectors, named(2))
    assert values["ann_recall@10"] == values["self_retrieval"] == 1.0


@pytest.mark.parametrize(
    ("held", "wanted", "coverage"),
    [
        (["a", "b", "c"], ["a", "b", "c", "d"], 3 / 4),  # one is missing
        (["a", "b", "c", "x"], ["a", "b", "c"], 3 / 4),  # one is foreign
        (["a", "b", "c", "c"], ["a", "b", "c"], 3 / 4),  # one is doubled
        (["x", "y"], ["a", "b"], 0.0),
    ],
)
def test_coverage_falls_by_what_is_missing_foreign_or_doubled(
    tmp_path: Path, held: list[str], wanted: list[str], coverage: float
) -> None:
    index = build(tmp_path, unit(len(held)), held)
    assert health(index, unit(len(wanted)), wanted)["coverage"] == coverage


def test_documents_under_each_others_names_are_not_found_by_themselves(tmp_path: Path) -> None:
    vectors = unit(60)
    index = build(tmp_path, vectors, [*named(60)[1:], "d0"])
    values = health(index, vectors, named(60))
    assert values["coverage"] == 1.0 and values["self_retrieval"] < 0.5


def test_documents_of_one_vector_may_stand_in_any_order(tmp_path: Path) -> None:
    vectors = np.repeat(unit(1), 40, axis=0)
    values = health(build(tmp_path, vectors, named(40)), vectors, named(40))
    assert values["self_retrieval"] == values["ann_recall@10"] == 1.0


def test_a_probe_of_too_few_lists_loses_recall(tmp_path: Path) -> None:
    vectors = unit(800)
    values = [
        health(
            build(tmp_path / str(n), vectors, named(800), factory="IVF16,Flat", nprobe=n),
            vectors,
            named(800),
        )
        for n in (1, 4, 16)
    ]
    recalls = [v["ann_recall@10"] for v in values]
    assert recalls[0] < recalls[1] < recalls[2] == 1.0
    assert all(v["self_retrieval"] == 1.0 for v in values)  # its own list is probed first


def test_recall_is_the_share_of_the_true_nearest(tmp_path: Path) -> None:
    vectors, probes = unit(800), unit(30, seed=9)
    index = build(tmp_path, vectors, named(800), factory="IVF16,Flat", nprobe=2)
    _, found = index.search(probes, 10)
    wanted = np.argsort(-(probes @ vectors.T), axis=1)[:, :10]
    hits = [len({f"d{r}" for r in w} & set(f)) for w, f in zip(wanted, found, strict=True)]
    assert health(index, vectors, named(800))["ann_recall@10"] == pytest.approx(np.mean(hits) / 10)


def test_uneven_lists_show_as_imbalance(tmp_path: Path) -> None:
    centres = unit(4, seed=3)
    crowd = np.repeat(centres, [700, 20, 20, 20], axis=0) + 0.01 * unit(760)
    crowd /= np.linalg.norm(crowd, axis=1, keepdims=True)
    index = build(tmp_path, crowd, named(760), factory="IVF4,Flat", nprobe=4)
    inverted = index.segments[0].rows.vectors
    sizes = np.array([inverted.get_list_size(i) for i in range(4)])
    assert sizes.sum() == 760
    values = health(index, crowd, named(760))
    assert values["imbalance"] == pytest.approx(4 * (sizes**2).sum() / 760**2)
    assert values["imbalance"] > 1


def test_lists_of_all_segments_count_together(tmp_path: Path) -> None:
    vectors = clustered(400)
    build_one(tmp_path, vectors, numbered(400), factory="IVF8,Flat")
    index = grow(tmp_path, np.repeat(vectors[:1], 50, axis=0), numbered(50, start=400))
    sizes = sum(list_sizes(segment.rows.vectors) for segment in index.segments)
    assert sizes.sum() == 450
    assert imbalance(index) == pytest.approx(8 * (sizes**2).sum() / 450**2)


@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat"])
def test_whole_vectors_that_the_index_holds_measure_as_the_catalogues_own(
    tmp_path: Path, factory: str
) -> None:
    vectors, later, probes = clustered(400), clustered(50, seed=1), clustered(40, seed=2)
    build_one(tmp_path, vectors, numbered(400), factory=factory, recall_target=0.6)
    index = grow(tmp_path, later, numbered(50, start=400), dead={0: [0, 1, 2]})
    given = {"doc_ids": numbered(447, start=3), "probes": probes, "seed": 1}
    own = index_health(index, vectors=np.concatenate([vectors[3:], later]), **given)
    stored = index_health(index, **given)
    assert stored == pytest.approx(own)
    assert stored["coverage"] == 1.0 and stored["dead_share"] == pytest.approx(3 / 450)
    assert stored["segments"] == 2 and stored["recall_on_codes"] == 0.0


def test_lossy_codes_measured_against_themselves_are_said_to_be(tmp_path: Path) -> None:
    vectors, probes = clustered(2000), clustered(40, seed=2)
    index = build_one(tmp_path, vectors, numbered(2000), factory="IVF8,SQ8")
    given = {"doc_ids": numbered(2000), "probes": probes, "seed": 1}
    own, stored = index_health(index, vectors=vectors, **given), index_health(index, **given)
    assert (own["recall_on_codes"], stored["recall_on_codes"]) == (0.0, 1.0)
    assert own["ann_recall@10"] < stored["ann_recall@10"] == 1.0  # every list was looked at
    assert own["self_retrieval"] == stored["self_retrieval"] == 1.0


def test_codes_that_were_clipped_are_told_though_search_on_codes_finds_them(tmp_path: Path) -> None:
    """Eight bits keep a range; what lies outside of what the quantizer saw is cut off."""
    near = clustered(1) + 0.1 * clustered(2000, seed=1)
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    build_one(tmp_path, near, numbered(2000), factory="IVF8,SQ8")
    strange = np.eye(16, dtype=np.float32)[np.arange(64) % 16] * np.float32([[1], [-1]] * 32)
    index = grow(tmp_path, strange, numbered(64, start=2000))
    values = index_health(index, doc_ids=numbered(2064), probes=clustered(40, seed=2), seed=1)
    assert values["ann_recall@10"] > 0.99 and values["self_retrieval"] == 1.0
    assert "codes_similarity" not in values
    own = codes_similarity(index, doc_ids=numbered(2000), vectors=near)
    new = codes_similarity(index, doc_ids=numbered(64, start=2000), vectors=strange, segments=[1])
    assert own["codes_similarity"] > 0.999 and new["codes_similarity"] < 0.97
    decoded = np.concatenate([part for _, part in stored_vectors(index.segments[1])])
    rows = np.concatenate([rows for rows, _ in stored_vectors(index.segments[1])])
    by_hand = 1 - np.sum((decoded - strange[rows]) ** 2, axis=1) / 2
    assert new["codes_similarity"] == pytest.approx(by_hand.mean())
    assert new["codes_spread"] == pytest.approx(by_hand.std())
    assert codes_similarity(index, doc_ids=["nobody"], vectors=strange[:1]) == {}


def test_few_documents_must_lose_more_than_chance_takes() -> None:
    given = {"trained": 0.9, "spread": 0.03, "max_loss": 0.02}
    assert least_similarity(documents=1, **given) == pytest.approx(0.79)
    assert least_similarity(documents=900, **given) == pytest.approx(0.877)
    low = {"imbalance": 1.0, "ann_recall@10": 1.0, "codes_similarity": 0.8}
    (reason,) = needs_new_quantizer(
        low, max_imbalance=2.0, min_recall=0.9, min_codes_similarity=0.877
    )
    assert "0.8000 similar to their vectors, below 0.8770" in reason


def test_an_empty_index_of_an_empty_catalogue_is_well(tmp_path: Path) -> None:
    build_one(tmp_path, clustered(3), numbered(3))
    empty = merge(tmp_path, tmp_path / "empty", without=numbered(3))
    values = index_health(empty, doc_ids=[], probes=clustered(3), seed=1)
    assert values["self_retrieval"] == 1.0 and values["dead_share"] == 0.0
    missing = index_health(empty, doc_ids=["a"], probes=clustered(3), seed=1)
    assert missing["coverage"] == 0.0


def test_a_new_quantizer_is_asked_for_when_a_bound_is_passed() -> None:
    well = {"imbalance": 1.4, "ann_recall@10": 0.97}
    bounds = {"max_imbalance": 1.5, "min_recall": 0.95}
    assert needs_new_quantizer(well, **bounds) == ()
    (uneven,) = needs_new_quantizer(well | {"imbalance": 1.6}, **bounds)
    assert "uneven by 1.60, above 1.5" in uneven
    (forgetful,) = needs_new_quantizer(well | {"ann_recall@10": 0.9}, **bounds)
    assert "0.9000, below 0.95" in forgetful
    assert len(needs_new_quantizer({"imbalance": 9.0, "ann_recall@10": 0.1}, **bounds)) == 2


def test_documents_that_the_quantizer_never_saw_make_its_lists_uneven(tmp_path: Path) -> None:
    build_one(tmp_path, clustered(400), numbered(400), factory="IVF8,Flat")
    before = imbalance(opened(tmp_path))
    strange = clustered(1, seed=4) + 0.05 * clustered(600, seed=5)
    strange /= np.linalg.norm(strange, axis=1, keepdims=True)
    assert imbalance(grow(tmp_path, strange, numbered(600, start=400))) > 1.5 * before
