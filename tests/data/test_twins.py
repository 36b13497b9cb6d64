"""Near-duplicates: what MinHash and shingles find is what comparing every two texts finds."""

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from perennial.data.twins import near_duplicates

WORDS = [f"word{i}" for i in range(400)]


def triples(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    words += [""] * (3 - len(words))
    return {tuple(words[i : i + 3]) for i in range(len(words) - 2)}


def slow(texts: list[str], wanted: list[int], least: float) -> set[tuple[int, int]]:
    found = set()
    for one in wanted:
        for other in range(len(texts)):
            a, b = triples(texts[one]), triples(texts[other])
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


@given(st.integers(0, 1000))
def test_pairs_are_those_of_the_slow_twin(seed: int) -> None:
    texts, wanted = pages(seed), np.arange(0, 60, 2)
    one, other = near_duplicates(texts, wanted, min_resemblance=0.9)
    assert set(zip(one.tolist(), other.tolist(), strict=True)) == slow(texts, wanted.tolist(), 0.9)


def test_case_and_punctuation_make_no_difference_and_short_texts_are_compared_too() -> None:
    texts = ["Bees make honey!", "bees, make honey", "", "Bees", "bees.", "something else"]
    one, other = near_duplicates(texts, np.array([0, 3]), min_resemblance=0.8)
    assert set(zip(one.tolist(), other.tolist(), strict=True)) == {(0, 1), (3, 4)}


def test_no_texts_have_no_twins() -> None:
    one, other = near_duplicates([], np.empty(0, dtype=np.int64), min_resemblance=0.8)
    assert len(one) == len(other) == 0
