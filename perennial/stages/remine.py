"""Fresh mining between the epochs of train: the rules of mine, under the weights of then."""

from collections.abc import Sequence
from math import inf

import numpy as np
import pyarrow.parquet as pq

from perennial.data.negatives import Pairs
from perennial.data.rules import rules_pairs
from perennial.model.examples import Examples
from perennial.model.remining import Remining
from perennial.model.teacher import is_cross_encoder, load_cross_encoder
from perennial.params.mine import Mine
from perennial.stages.mining import in_all, is_narrow, mine_by
from perennial.workspace import Workspace


def remining(
    workspace: Workspace,
    section: Mine,
    *,
    every: int,
    examples: Examples,
    doc_ids: Sequence[str],
    batch_size: int,
) -> Remining:
    """`examples` over all `doc_ids`, and how their negatives are mined anew every so many epochs.

    Whatever was forbidden stays so, and bounds, ranks and seed are those of params.mine. The
    encoder that learns takes the teacher's place, whose search is exact, since no index holds its
    vectors; a cross-encoder judges on.
    """
    rules = pq.read_table(workspace.artifacts("mine") / "rules.parquet")
    never, passed = rules_pairs(rules, examples.queries, doc_ids)
    teacher = workspace.root / section.teacher
    judge = None
    if is_cross_encoder(teacher):
        judge = load_cross_encoder(
            teacher, queries=examples.queries, documents=examples.documents, batch_size=batch_size
        )

    def mine(asked: np.ndarray, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mined = mine_by(
            section,
            asked=asked,
            documents=documents,
            positives=Pairs(examples.query, examples.positive),
            never=never,
            passed=passed,
            search=in_all(documents, narrow=is_narrow(section.precision, multiplications=inf)),
            score=judge,
        )
        return mined.rows[examples.query], mined.origins[examples.query]

    return Remining(every=every, examples=examples, mine=mine)
