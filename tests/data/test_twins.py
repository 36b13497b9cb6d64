"""Near-duplicates: what rare shingles find is what comparing every two texts finds."""

import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.data.twins import near_duplicates

WORDS = [f"word{i}" for i in range(400)]


def triples(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    words += [""] * (3 - len(words))
    return {tuple(words[i : i + 3]) for i in range(len(words) - 2)}


def slow(texts: list[str], wanted: list[int], least: float) -> set[tuple[int, int]]:
    found, sets = set(), [triples(text) for text in texts]
    for one in wanted:
        for other, b in enumerate(sets):
            a = sets[one]
            if one != other and len(a & b) >= least * len(a | b):
                found.add((one, other))
    return found


def pages(seed: int) -> list[str]:
    """Sixty pages, of which a third are an earlier one with a few words changed."""
    rng = np.random.default_rng(seed)
    texts: list[list[str]] = []
    for number in range(60):
        if number % 3 or not texts:
            texts.append([WORDS[i] for i in rng.integers(0, 400, rng.integers(1, 60))])
        else:
            words = list(texts[int(rng.integers(0, number))])
            for _ in range(int(rng.integers(0, 3))):
                words[int(rng.integers(0, len(words)))] = WORDS[int(rng.integers(0, 400))]
            texts.append(words)
    return [" ".join(words) for words in texts]


@given(st.integers(0, 1000), st.sampled_from([0.3, 0.5, 0.8, 0.9, 1.0]))
def test_pairs_are_those_of_the_slow_twin(seed: int, least: float) -> None:
    texts, wanted = pages(seed), np.arange(0, 60, 4)
    one, other = near_duplicates(texts, wanted, min_resemblance=least)
    found = list(zip(one.tolist(), other.tolist(), strict=True))
    assert len(found) == len(set(found))
    assert set(found) == slow(texts, wanted.tolist(), least)


def test_case_and_punctuation_make_no_difference_and_short_texts_are_compared_too() -> None:
    texts = ["Bees make honey!", "bees, make honey", "", "Bees", "bees.", "something else"]
    one, other = near_duplicates(texts, np.array([0, 3]), min_resemblance=0.8)
    assert set(zip(one.tolist(), other.tolist(), strict=True)) == {(0, 1), (3, 4)}


def test_no_texts_have_no_twins() -> None:
    one, other = near_duplicates([], np.empty(0, dtype=np.int64), min_resemblance=0.8)
    assert len(one) == len(other) == 0


def boilerplate(documents: int, *, own: int, seed: int) -> list[str]:
    """Pages of one licence of 100 words and `own` words of their own; every tenth page is its
    predecessor with the last word changed."""
    rng = np.random.default_rng(seed)
    licence = " ".join(f"clause{i}" for i in range(100))
    pages = [[f"own{i}" for i in rng.integers(0, 100_000, own)] for _ in range(documents)]
    for number in range(9, documents, 10):
        pages[number] = [*pages[number - 1][:-1], f"own{number}"]
    return [f"{licence} {' '.join(words)}" for words in pages]


@pytest.mark.slow
@pytest.mark.parametrize("own", [16, 60])  # the licence alone makes 0.74 of resemblance, and 0.46
def test_thousands_of_pages_of_boilerplate_are_told_apart_in_little_memory(own: int) -> None:
    texts, wanted = boilerplate(5_000, own=own, seed=own), np.arange(5, 1_000, 10)
    wanted = np.concatenate([wanted, np.arange(9, 1_000, 10)])
    tracemalloc.start()
    one, other = near_duplicates(texts, wanted, min_resemblance=0.9)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert set(zip(one.tolist(), other.tolist(), strict=True)) == {
        (number, number - 1) for number in range(9, 1_000, 10)
    }
    assert peak < 250e6


@pytest.mark.parametrize("pairwise", [0, 4, 1_000_000])
def test_neither_the_budget_of_memory_nor_the_way_of_comparing_changes_anything(
    monkeypatch: pytest.MonkeyPatch, pairwise: int
) -> None:
    texts, wanted = [*boilerplate(60, own=16, seed=1), *pages(3)], np.arange(120)
    for least in (0.3, 0.7, 0.9):
        monkeypatch.undo()
        whole = near_duplicates(texts, wanted, min_resemblance=least)
        assert len(whole[0]) >= (12 if least == 0.9 else 60 * 59)
        monkeypatch.setattr("perennial.data.twins._PAIRS", 300)
        monkeypatch.setattr("perennial.data.twins._PAIRWISE", pairwise)
        again = near_duplicates(texts, wanted, min_resemblance=least)
        pairs = [sorted(zip(a.tolist(), b.tolist(), strict=True)) for a, b in (whole, again)]
        assert pairs[0] == pairs[1]
