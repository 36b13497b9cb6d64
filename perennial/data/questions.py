"""What mining starts from: the judged queries, what each may have wanted, what it passed over."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from perennial.data.mine import surest
from perennial.data.negatives import Pairs


@dataclass(frozen=True)
class Questions:
    """Judged queries over the rows of a catalogue; `own` are those that negatives are mined for.

    `every` is sorted, `own` (q,) are places in it; the pairs count queries by their place in `own`.
    `wanted` is a sparse (every, documents), not zero where a document may have been wanted.
    """

    every: list[str]
    own: np.ndarray
    positives: Pairs
    passed: Pairs
    wanted: csr_array

    @property
    def asked(self) -> list[str]:
        """The (q,) queries of `own`."""
        return [self.every[place] for place in self.own.tolist()]


def questions_of(
    judged: pd.DataFrame,
    *,
    documents: int,
    max_positives: int,
    only: Collection[str] | None = None,
) -> Questions:
    """Judgements with their `row` in the catalogue to questions; `only` mines for fewer of them."""
    every = pd.Index(sorted(judged["query"].unique()))
    positive = surest(judged[judged["label"] == "positive"], max_positives)
    if only is not None:
        positive = positive[positive["query"].isin(list(only))]
    own = pd.Index(sorted(positive["query"].unique()))
    passed = judged[(judged["label"] == "negative") & judged["query"].isin(own)]
    maybe = judged[judged["label"] != "negative"]
    ones = np.ones(len(maybe), dtype=np.int64)
    wanted = csr_array(
        (ones, (every.get_indexer(pd.Index(maybe["query"])), maybe["row"])),
        shape=(len(every), documents),
    )
    return Questions(
        every=list(every),
        own=every.get_indexer(own),
        positives=_pairs(positive, own),
        passed=_pairs(passed, own),
        wanted=wanted,
    )


def hidden_answers(judged: pd.DataFrame, *, most_queries: int, seed: int) -> pd.DataFrame:
    """The judgements to hide from a miner that is put to the test: of queries with a person's
    label and another answer, one label each; of at most so many queries."""
    answers = judged[judged["label"] == "positive"].sort_values(["query", "doc_id"])
    several = answers[answers.groupby("query")["doc_id"].transform("size") > 1]
    labelled = several[several["source"] == "label"].sample(frac=1.0, random_state=seed)
    return labelled.drop_duplicates("query").head(most_queries).sort_index()


def _pairs(rows: pd.DataFrame, queries: pd.Index) -> Pairs:
    return Pairs(queries.get_indexer(pd.Index(rows["query"])), rows["row"].to_numpy(dtype=np.int64))
