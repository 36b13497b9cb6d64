"""Which documents nobody judged yet, though an answer shows them: the ones that could matter most.

A document that both sides show at one rank cannot tell them apart, whatever it is worth; one that
only one side shows, near its top, can. Each weighs what it would move nDCG's discounted gain.
"""

import numpy as np
import pandas as pd

SIDES = ("champion", "candidate")


def unjudged(answers: pd.DataFrame) -> pd.DataFrame:
    """answers (query, system, rank, doc_id, grade) to pairs that nobody judged; heaviest first.

    Columns query, doc_id, weight, and the systems that show it with their ranks, as two lists.
    """
    rows = answers[answers["grade"].isna()].sort_values(["query", "doc_id", "system"])
    discount = 1.0 / np.log2(1.0 + rows["rank"].to_numpy(dtype=float))
    sign = rows["system"].map({"candidate": 1.0, "champion": -1.0}).fillna(0.0)
    found = (
        rows.assign(weight=sign * discount, is_shown=rows["system"].isin(SIDES))
        .groupby(["query", "doc_id"], as_index=False)
        .agg(
            weight=("weight", "sum"),
            systems=("system", list),
            ranks=("rank", list),
            is_shown=("is_shown", "any"),
        )
    )
    found = found[found["is_shown"].astype(bool)].drop(columns="is_shown")
    found["weight"] = found["weight"].abs().round(6)
    order = found.sort_values(["weight", "query", "doc_id"], ascending=[False, True, True])
    return order.reset_index(drop=True)
