"""What a training run learns from: texts, and which of them belong together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from perennial.model.curriculum import Lesson, pick_by_lesson


@dataclass(frozen=True)
class Examples:
    """Texts by row number: t triplets over q queries and n documents.

    `negatives` is (t, m), padded with -1 behind the last; `known` is a sparse (q, n) matrix, not
    zero where a document answers a query and so is never a negative.
    """

    queries: list[str]
    documents: list[str]
    query: np.ndarray
    positive: np.ndarray
    negatives: np.ndarray
    known: csr_array
    origins: np.ndarray | None = None  # (t, m), where a curriculum asks for them


@dataclass(frozen=True)
class Batch:
    """Row numbers: of the queries, of the *distinct* documents, and what they are to each other."""

    queries: np.ndarray  # (b,)
    documents: np.ndarray  # (n,)
    positive: np.ndarray  # (b,) position in `documents`
    known: np.ndarray  # (b, n) bool
    given: np.ndarray  # (b, n) bool, mined as a negative of that very query


def pairs(queries: list[str], documents: list[str]) -> Examples:
    """Examples of row i with row i, where only a row's own partner is known to answer it."""
    rows = np.arange(len(queries))
    known = csr_array((np.ones(len(rows), dtype=np.int8), (rows, rows)), shape=(len(rows),) * 2)
    return Examples(queries, documents, rows, rows, np.empty((len(rows), 0), dtype=np.int64), known)


def training_batch(
    examples: Examples,
    triplets: np.ndarray,
    hard_negatives: int,
    lesson: Lesson | None,
    *,
    seed: Sequence[int],
) -> Batch:
    """The batch of some triplets, with `hard_negatives` of each one's mined negatives, drawn as
    the lesson says; a function of the seed."""
    generator = np.random.default_rng(seed)
    negatives = examples.negatives[triplets]
    if lesson is None or examples.origins is None:
        picked = _pick(negatives, hard_negatives, generator)
    else:
        origins = examples.origins[triplets]
        picked = pick_by_lesson(negatives, origins, hard_negatives, lesson, generator)
    return make_batch(examples, triplets, picked)


def sample_batch(examples: Examples, *, size: int, seed: int, step: int) -> Batch:
    """One batch of `size` random triplets without mined negatives: a function of (seed, step)."""
    generator = np.random.default_rng([seed, 2**31, step])
    count = min(size, len(examples.query))
    chosen = generator.choice(len(examples.query), count, replace=False)
    return make_batch(examples, chosen, np.empty(0, dtype=np.int64))


def make_batch(examples: Examples, triplets: np.ndarray, negatives: np.ndarray) -> Batch:
    """The batch of some triplets and (any number of) negative documents, each document once."""
    queries, positive = examples.query[triplets], examples.positive[triplets]
    documents = np.unique(np.concatenate([positive, negatives]))
    return Batch(
        queries=queries,
        documents=documents,
        positive=np.searchsorted(documents, positive),
        known=examples.known[queries][:, documents].toarray() != 0,
        given=_given(examples.negatives[triplets], documents),
    )


def _pick(negatives: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    if negatives.shape[1] > count:
        negatives = generator.permuted(negatives, axis=1)[:, :count]
    return np.unique(negatives[negatives >= 0])


def _given(negatives: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """(b, m) mined rows, -1 for none, to the (b, n) mask of those that are among the documents."""
    given = np.zeros((len(negatives), len(documents)), dtype=bool)
    place = np.searchsorted(documents, negatives)
    inside = documents[np.minimum(place, len(documents) - 1)] == negatives
    query, column = np.nonzero(inside)
    given[query, place[query, column]] = True
    return given
