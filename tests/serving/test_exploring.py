from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.serving.exploring import explore
from perennial.serving.loaded import Hit


def ranking(length):
    return [Hit(f"doc-{i}", 1.0 - i / 100, i + 1) for i in range(length)]


@given(st.integers(0, 12), st.floats(0, 1), st.integers())
def test_every_document_is_shown_once_and_at_most_one_pair_swapped(length, share, seed):
    hits = ranking(length)
    shown = explore(hits, share=share, random=Random(seed))
    assert [hit.rank for hit in shown.hits] == list(range(1, length + 1))
    assert sorted(hit.doc_id for hit in shown.hits) == sorted(hit.doc_id for hit in hits)
    moved = [i for i in range(length) if shown.hits[i].doc_id != hits[i].doc_id]
    assert moved in ([], [moved[0], moved[0] + 1] if moved else [])
    assert shown.is_explored == bool(moved)
    assert all(0 <= chance <= 1 for chance in shown.propensities)


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_the_propensity_is_how_often_it_happens(share):
    hits, times, random = ranking(4), 20_000, Random(5)
    seen, said = Counter(), {}
    for _ in range(times):
        shown = explore(hits, share=share, random=random)
        for hit, chance in zip(shown.hits, shown.propensities, strict=True):
            seen[hit.doc_id, hit.rank] += 1
            assert said.setdefault((hit.doc_id, hit.rank), chance) == chance
    for place, chance in said.items():
        assert seen[place] / times == pytest.approx(chance, abs=0.015)
