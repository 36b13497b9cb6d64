"""What each system answered, as tables: the top ten, who judged them, recall by depth."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from perennial.quality.metrics import grade, recall_at
from perennial.quality.paired import bootstrap_means

CUTS = (1, 2, 3, 5, 10, 20, 50, 100)
Ranked = Mapping[str, tuple[np.ndarray, np.ndarray]]  # {system: (scores, doc_ids), both (q, 100)}
Judgements = Mapping[str, Mapping[str, int]]
_UNJUDGED = pa.schema(
    [
        ("query", pa.string()),
        ("doc_id", pa.string()),
        ("weight", pa.float64()),
        ("systems", pa.list_(pa.string())),
        ("ranks", pa.list_(pa.int64())),
    ]
)


def top_ten(queries: Sequence[str], ranked: Ranked, judgements: Judgements) -> pd.DataFrame:
    """The top ten of each system, one row a document; a null grade is an unjudged one."""
    rows: list[tuple[Any, ...]] = []
    for system, (scores, doc_ids) in ranked.items():
        for query, best, names in zip(queries, scores, doc_ids, strict=True):
            for rank, (score, name) in enumerate(zip(best[:10], names[:10], strict=True), 1):
                if name is not None:
                    known = judgements[query].get(name)
                    rows.append((query, system, rank, name, float(score), known))
    columns = ["query", "system", "rank", "doc_id", "score", "grade"]
    return pd.DataFrame(rows, columns=columns).astype({"grade": "Int8"})


def write_unjudged(pairs: pd.DataFrame, path: Path) -> None:
    """The pairs of quality/unjudged.py, in types that also say what an empty table would hold."""
    columns = {field.name: pa.array(pairs[field.name].tolist(), field.type) for field in _UNJUDGED}
    pq.write_table(pa.table(columns, schema=_UNJUDGED), path)


def recall_by_k(
    queries: Sequence[str], ranked: Ranked, judgements: Judgements, **drawn: Any
) -> pd.DataFrame:
    """system, k, recall, low and high, for the curve."""
    rows = []
    for system, (_, doc_ids) in ranked.items():
        recall = recall_at(grade(queries, doc_ids, judgements), CUTS)
        rows += [
            (system, k, interval.value, interval.low, interval.high)
            for k, interval in zip(CUTS, bootstrap_means(recall, **drawn), strict=True)
        ]
    frame = pd.DataFrame(rows, columns=["system", "k", "recall", "low", "high"])
    return frame.round({"recall": 6, "low": 6, "high": 6})
