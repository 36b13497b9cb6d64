"""The rules of a mining by name: what is never a negative, and what the log passed over."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from perennial.data.negatives import Pairs

RULES = pa.schema([("query", pa.string()), ("doc_id", pa.string()), ("rule", pa.string())])
_NEVER, _PASSED = "never a negative", "passed over"


def rules_table(
    queries: Sequence[str], doc_ids: np.ndarray, *, never: Pairs, passed: Pairs
) -> pa.Table:
    """Pairs by row number to a row each, as RULES says, in their order."""
    both = ((never, _NEVER), (passed, _PASSED))
    names = np.array(queries, dtype=object)
    columns = [
        pa.array(np.concatenate([names[pairs.query] for pairs, _ in both]), pa.string()),
        pa.array(np.concatenate([doc_ids[pairs.document] for pairs, _ in both]), pa.string()),
        pa.array([rule for pairs, rule in both for _ in range(len(pairs.query))], pa.string()),
    ]
    return pa.Table.from_arrays(columns, schema=RULES)


def rules_pairs(
    rules: pa.Table, queries: Sequence[str], doc_ids: Sequence[str]
) -> tuple[Pairs, Pairs]:
    """(never, passed) by row number among other lists of the queries and documents; what they do
    not name is left out."""
    frame = rules.to_pandas()
    query = pd.Index(queries).get_indexer(pd.Index(frame["query"]))
    document = pd.Index(doc_ids).get_indexer(pd.Index(frame["doc_id"]))
    never, passed = (
        (query >= 0) & (document >= 0) & (frame["rule"] == rule).to_numpy()
        for rule in (_NEVER, _PASSED)
    )
    return Pairs(query[never], document[never]), Pairs(query[passed], document[passed])
