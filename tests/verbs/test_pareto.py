"""Indexes of the same vectors, weighed: each finds what plain numpy says, and bytes cost."""

import itertools
import json
import re

import numpy as np
import pytest

from perennial.index.factory import Factory
from perennial.index.variants import Variant
from perennial.verbs.weighing.measure import Exam, cut, weigh

pytestmark = pytest.mark.slow
ROWS, DIMENSION, K = 10_100, 16, 10  # as many as PQ's codes need


@pytest.fixture(scope="module")
def exam():
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(40, DIMENSION))
    drawn = centres[generator.integers(0, 40, ROWS + 120)]
    vectors = (drawn + 0.4 * generator.normal(size=drawn.shape)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Exam.of(vectors[:ROWS], vectors[ROWS:])


def weighed(exam, factory, *, dimension=DIMENSION, target=0.9):
    return weigh(
        Variant(dimension, factory),
        exam,
        recall_target=target,
        memory_mb=1000,
        samples=200,
        confidence=0.95,
        seed=0,
        clock=itertools.count().__next__,  # every look at it is a second later
        busy=itertools.count(step=60).__next__,
    )


def test_an_exact_index_finds_all_and_a_narrow_one_what_numpy_finds(exam):
    whole = weighed(exam, Factory("Flat"))
    assert (whole.recall.value, whole.recall.n, whole.bytes // (4 * ROWS)) == (1.0, 60, DIMENSION)
    assert (whole.p50_ms, whole.p95_ms, whole.build_seconds) == (1000, 1000, 1)
    assert whole.busy_ms == 1000 * 60 / 120
    half = weighed(exam, Factory("Flat"), dimension=8)
    vectors, queries = cut(exam.vectors, 8), cut(exam.queries, 8)[1::2]
    near = np.argsort(-queries @ vectors.T, axis=1, kind="stable")[:, :K]
    true = np.argsort(-exam.queries[1::2] @ exam.vectors.T, axis=1, kind="stable")[:, :K]
    shared = np.mean([len(set(a) & set(b)) / K for a, b in zip(near, true, strict=True)])
    assert half.recall.value == pytest.approx(shared, abs=0.005)
    assert half.recall.low < half.recall.value < half.recall.high < 1


def test_coarser_codes_are_smaller_and_find_less_and_links_cost_memory(exam):
    lists = Factory("IVF", lists=64)
    plain, scalar, product = (
        weighed(exam, each)
        for each in (
            lists,
            Factory("IVF", lists=64, codes="SQ8"),
            Factory("IVF", lists=64, codes="PQ", parts=4),
        )
    )
    assert plain.bytes > scalar.bytes > product.bytes
    assert product.recall.high < min(plain.recall.low, scalar.recall.low)
    assert plain.recall.value > 0.85 and set(plain.settings) == {"nprobe"}
    graph = weighed(exam, Factory("HNSW", links=32))
    assert graph.bytes > weighed(exam, Factory("Flat")).bytes and set(graph.settings) == {"ef"}


def test_the_verb_weighs_what_serves_and_writes_a_page(running, run):
    code, out, err = run(
        "pareto", "--dimension", 16, "--dimension", 8, "--rate", 2, "--price-per-core-hour", 0,
        "--json",
    )  # fmt: skip
    assert code == 0, err
    found = json.loads(out)
    assert {(each["factory"], each["dimension"]) for each in found["rows"]} == {
        (factory, width) for factory in ("Flat", "IVF3,Flat", "IVF3,SQ8") for width in (16, 8)
    }
    assert any("HNSW32 needs 5,000" in each for each in found["left_out"])
    (serves,) = (each for each in found["rows"] if each["serves"])
    assert (serves["factory"], serves["dimension"], serves["recall"]["value"]) == ("Flat", 16, 1.0)
    for row in found["rows"]:  # memory alone: 500 seconds of 0.005 an hour and gigabyte
        assert row["cost"] == pytest.approx(500 / 3600 * 0.005 * row["bytes"] / 1e9)
    page = (running / "pareto" / found["release_id"] / "report.html").read_text()
    assert found["release_id"] in page and page.count("<svg") == 4
    assert not re.search(r"(src|href)=\"(?!#)", page)
    assert run("pareto", "--dimension", 17)[0] == 2
    assert run("pareto", "--rate", 0)[0] == 2
