"""Batches: every triplet once an epoch, every document once a batch, by the seed alone."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from perennial.model.examples import Batch, Examples, pairs, sample_batch, training_batch
from perennial.model.plan import epoch_plan


def draw(seed: int, triplets: int) -> Examples:
    """Triplets of few queries and documents, so that both come often; negatives end in -1."""
    rng = np.random.default_rng(seed)
    queries, documents = 6, 25
    both = rng.choice(queries * documents, triplets, replace=False)
    query, positive = both // documents, both % documents
    known = np.zeros((queries, documents), dtype=np.int8)
    known[query, positive] = 1
    negatives = np.full((triplets, 5), -1)
    for row, q in enumerate(query):
        free = rng.permutation(np.flatnonzero(known[q] == 0))[: rng.integers(0, 6)]
        negatives[row, : len(free)] = free
    texts = [f"query {i}" for i in range(queries)], [f"document {i}" for i in range(documents)]
    return Examples(*texts, query, positive, negatives, csr_array(known))


def collect(examples: Examples, rows: np.ndarray, **changes: int) -> list[Batch]:
    given = {"size": 4, "hard_negatives": 2, "seed": 1, "epoch": 0} | changes
    seed, epoch, count = given["seed"], given["epoch"], given["hard_negatives"]
    plan = epoch_plan(rows, examples.query, size=given["size"], seed=seed, epoch=epoch)
    return [
        training_batch(examples, chosen, count, None, seed=[seed, epoch, number])
        for number, chosen in enumerate(plan)
    ]


def same(one: list[Batch], two: list[Batch]) -> bool:
    fields = ("queries", "documents", "positive", "known", "given")
    return len(one) == len(two) and all(
        np.array_equal(getattr(a, f), getattr(b, f))
        for a, b in zip(one, two, strict=True)
        for f in fields
    )


worlds = st.builds(draw, st.integers(0, 10_000), st.integers(2, 30))


@settings(deadline=None)
@given(worlds, st.integers(1, 9), st.integers(0, 6), st.data())
def test_an_epoch_holds_every_asked_triplet_once(
    examples: Examples, size: int, hard_negatives: int, data: st.DataObject
) -> None:
    total = len(examples.query)
    rows = np.array(data.draw(st.lists(st.integers(0, total - 1), min_size=1, unique=True)))
    batches = collect(examples, rows, size=size, hard_negatives=hard_negatives)
    assert len(batches) >= -(-len(rows) // size)
    seen: Counter[tuple[int, int]] = Counter()
    for batch in batches:
        assert 1 <= len(batch.queries) <= size
        assert len(set(batch.queries.tolist())) == len(batch.queries)
        assert len(set(batch.documents.tolist())) == len(batch.documents)
        assert batch.documents.min() >= 0  # the padding is no document
        assert len(batch.documents) <= len(batch.queries) * (1 + hard_negatives)
        wanted = batch.documents[batch.positive]
        seen.update(zip(batch.queries.tolist(), wanted.tolist(), strict=True))
        known = examples.known.toarray()[np.ix_(batch.queries, batch.documents)] != 0
        assert np.array_equal(batch.known, known)
        assert batch.known[np.arange(len(batch.queries)), batch.positive].all()
        assert not (batch.given & batch.known).any()
    assert seen == Counter(
        zip(examples.query[rows].tolist(), examples.positive[rows].tolist(), strict=True)
    )


@settings(deadline=None)
@given(worlds)
def test_the_seed_and_the_epoch_alone_decide_the_batches(examples: Examples) -> None:
    rows = np.arange(len(examples.query))
    assert same(collect(examples, rows), collect(examples, rows))


def test_other_seeds_and_epochs_mix_anew() -> None:
    examples = draw(0, 30)
    rows = np.arange(30)
    first = collect(examples, rows)
    assert not same(first, collect(examples, rows, seed=2))
    assert not same(first, collect(examples, rows, epoch=1))


def test_mined_negatives_take_turns_and_only_known_ones_come() -> None:
    examples = draw(3, 30)
    rows = np.flatnonzero((examples.negatives >= 0).all(axis=1))[:1]
    mined = set(examples.negatives[rows[0]].tolist())
    seen: set[int] = set()
    for epoch in range(30):
        (batch,) = collect(examples, rows, epoch=epoch)
        extra = set(batch.documents.tolist()) - {int(examples.positive[rows[0]])}
        assert len(extra) == 2 and extra <= mined
        seen |= extra
    assert seen == mined


def test_pairs_know_only_their_own_partner() -> None:
    examples = pairs(["a", "b", "c"], ["x", "y", "z"])
    batch = sample_batch(examples, size=3, seed=0, step=0)
    assert sorted(batch.queries.tolist()) == [0, 1, 2]
    assert np.array_equal(batch.documents[batch.positive], batch.queries)
    assert batch.known.sum() == 3


def test_a_sample_is_a_function_of_seed_and_step() -> None:
    examples = pairs([f"q{i}" for i in range(50)], [f"d{i}" for i in range(50)])
    draws = [sample_batch(examples, size=8, seed=s, step=n) for s, n in [(1, 1), (1, 1), (1, 2)]]
    assert same(draws[:1], draws[1:2]) and not same(draws[:1], draws[2:])
    assert len(set(draws[0].queries.tolist())) == 8
    assert len(sample_batch(examples, size=500, seed=1, step=1).queries) == 50


def test_a_batch_tells_whose_negative_a_document_is() -> None:
    examples = draw(3, 30)
    for batch in collect(examples, np.arange(30), hard_negatives=5):
        for query, mined, wanted in zip(batch.queries, batch.given, batch.positive, strict=True):
            owners = (examples.query == query) & (examples.positive == batch.documents[wanted])
            own = set(examples.negatives[owners].ravel().tolist())
            assert set(batch.documents[mined].tolist()) == own & set(batch.documents.tolist())
