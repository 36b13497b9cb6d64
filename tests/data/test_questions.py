"""Questions: which judged query has which answers, and which answers are hidden from a test."""

import numpy as np
import pandas as pd

from perennial.data.questions import hidden_answers, questions_of

ROWS = [
    ("bees", 0, "positive", "label"),
    ("bees", 1, "positive", "click"),
    ("bees", 2, "positive", "label"),
    ("bees", 3, "negative", "click"),
    ("wasps", 4, "positive", "label"),
    ("ants", 5, "unsure", "click"),
    ("moths", 6, "positive", "click"),
    ("moths", 7, "positive", "click"),
]


def judged() -> pd.DataFrame:
    frame = pd.DataFrame(ROWS, columns=["query", "row", "label", "source"])
    return frame.assign(doc_id="d" + frame["row"].astype(str), low=frame["row"] / 10)


def test_questions_are_those_with_an_answer_and_keep_what_others_may_have_wanted() -> None:
    found = questions_of(judged(), documents=9, max_positives=2)
    assert found.every == ["ants", "bees", "moths", "wasps"]
    assert found.asked == ["bees", "moths", "wasps"]
    assert found.positives.query.tolist() == [0, 0, 1, 1, 2]
    assert found.positives.document.tolist() == [2, 1, 7, 6, 4]
    assert (found.passed.query.tolist(), found.passed.document.tolist()) == ([0], [3])
    wanted = [np.flatnonzero(row).tolist() for row in found.wanted.toarray()]
    assert wanted == [[5], [0, 1, 2], [6, 7], [4]]


def test_fewer_questions_keep_all_that_is_known() -> None:
    found = questions_of(judged(), documents=9, max_positives=2, only=["moths"])
    assert found.asked == ["moths"] and len(found.every) == 4
    assert found.wanted.nnz == 7


def test_a_hidden_answer_is_a_persons_and_leaves_its_query_another() -> None:
    for seed in range(9):
        hidden = hidden_answers(judged(), most_queries=9, seed=seed)
        assert hidden["query"].tolist() == ["bees"] and hidden["source"].tolist() == ["label"]
        left = questions_of(judged().drop(hidden.index), documents=9, max_positives=3)
        assert left.every == questions_of(judged(), documents=9, max_positives=3).every
    assert not len(hidden_answers(judged(), most_queries=0, seed=1))
