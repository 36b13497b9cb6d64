"""A catalogue under a teacher, ready to be mined; the stage mine asks it twice."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa

from perennial.compute.place import Compute
from perennial.data.mine import forbidden_pairs, make_triplets
from perennial.data.negatives import Pairs, Search, dot_scores
from perennial.data.questions import Questions
from perennial.data.split import content_key
from perennial.index.index import Index
from perennial.params.mine import Mine
from perennial.stages.mining import in_all, is_narrow, mine_by
from perennial.stages.teacher import Teacher


@dataclass(frozen=True)
class Miner:
    """One catalogue under one teacher: any questions of the same judged queries to triplets.

    `asked` (a, d) are the judged queries' vectors, `documents` (n, d) those of the `texts`.
    """

    section: Mine
    teacher: Teacher
    doc_ids: np.ndarray
    texts: list[str]
    asked: np.ndarray
    documents: np.ndarray
    twins: tuple[np.ndarray, np.ndarray]
    index: Index | None
    place: Compute

    def never(self, questions: Questions) -> Pairs:
        """What is no negative of a question: what anybody may have wanted, and its twins."""
        return forbidden_pairs(
            questions.wanted,
            [content_key(query) for query in questions.every],
            self.asked,
            queries=questions.own,
            twins=self.twins,
            similar_query=self.section.similar_query,
            search=in_all(self.asked, narrow=False),
        )

    def triplets(self, questions: Questions, never: Pairs) -> pa.Table:
        """The questions' triplets, as TRIPLETS says."""
        asked = self.asked[questions.own]
        judge = self.teacher.score(questions.asked, self.texts)
        by_vectors = dot_scores(asked, self.documents)
        mined = mine_by(
            self.section,
            asked=asked,
            documents=self.documents,
            positives=questions.positives,
            never=never,
            passed=questions.passed,
            search=self.search,
            # An index answers with scores of its codes.
            score=judge or (by_vectors if self.index is not None else None),
        )
        positives = questions.positives
        return make_triplets(
            questions.asked,
            self.doc_ids,
            positives=positives,
            positive_scores=(judge or by_vectors)(positives.query, positives.document),
            mined=mined,
        )

    @cached_property
    def search(self) -> Search:
        """Where neighbours are found: in all vectors, or in the champion's index."""
        if self.index is None:
            many = float(self.asked.size) * len(self.documents)
            narrow = is_narrow(self.section.precision, multiplications=many)
            elsewhere = self.place.neighbours(self.documents, is_narrow=narrow)
            return elsewhere or in_all(self.documents, narrow=narrow)
        index, rows = self.index, pd.Index(self.doc_ids)

        def search(queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
            scores, names = index.search(queries, k)
            found = rows.get_indexer(names.ravel()).reshape(names.shape)
            return scores, found.astype(np.int64)  # -1: deleted since, or absent

        return search
