"""The rules of a mining come back as they were, also among other queries and documents."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from perennial.data.negatives import Pairs
from perennial.data.rules import RULES, rules_pairs, rules_table

QUERIES = [f"q{i}" for i in range(5)]
DOCUMENTS = np.array([f"d{i}" for i in range(9)], dtype=object)
some = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 8)), max_size=20)


def pairs(rows: list[tuple[int, int]]) -> Pairs:
    return Pairs(*(np.array([row[side] for row in rows], dtype=np.int64) for side in (0, 1)))


def named(found: Pairs, queries: list[str], documents: list[str]) -> list[tuple[str, str]]:
    rows = zip(found.query.tolist(), found.document.tolist(), strict=True)
    return [(queries[q], documents[d]) for q, d in rows]


@given(some, some, st.permutations(range(9)))
def test_pairs_survive_by_name(
    never: list[tuple[int, int]], passed: list[tuple[int, int]], order: list[int]
) -> None:
    table = rules_table(QUERIES, DOCUMENTS, never=pairs(never), passed=pairs(passed))
    assert table.schema == RULES
    documents = [f"d{i}" for i in order if i != 3]  # one is gone
    found = rules_pairs(table, QUERIES[::-1], documents)
    for given_rows, back in zip((never, passed), found, strict=True):
        assert named(back, QUERIES[::-1], documents) == [
            (f"q{q}", f"d{d}") for q, d in given_rows if d != 3
        ]
