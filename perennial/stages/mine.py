"""mine: judgements to triplets, with hard negatives by the champion's own neighbourhoods."""

from collections.abc import Mapping

import faiss
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from perennial.data.documents import indexed_texts
from perennial.data.mine import TRIPLETS, mine_triplets
from perennial.data.split import content_key
from perennial.data.tables import read_table
from perennial.errors import BadInput
from perennial.model.encoder import load_encoder
from perennial.params import Params
from perennial.stages.shell import main, write_json
from perennial.workspace import Workspace


def run(workspace: Workspace, params: Params) -> None:
    """Write artifacts/mine: triplets.parquet and summary.json."""
    section = params.mine
    catalogue = read_table(workspace.table("catalogue"))
    judged = read_table(workspace.artifacts("judge") / "judgements.parquet")
    row_of = pd.Series(np.arange(len(catalogue)), index=catalogue["doc_id"])
    judged = judged.assign(row=judged["doc_id"].map(row_of)).dropna(subset=["row"])  # gone since
    judged["row"] = judged["row"].astype(np.int64)
    positives = surest(judged[judged["label"] == "positive"], section.max_positives)
    wanted = rows_by(positives, "query")
    queries = list(wanted)
    if not queries:
        raise BadInput("no judged document is in the catalogue any more; take a new snapshot")
    passed_over = rows_by(judged[judged["label"] == "negative"], "query")
    judged["key"] = judged["query"].map({q: content_key(q) for q in judged["query"].unique()})
    known = rows_by(judged[judged["label"] != "negative"], "key")

    encoder = load_encoder(workspace.champion / "encoder", batch_size=params.index.batch_size)
    documents = encoder.encode(indexed_texts(catalogue))
    asked = encoder.encode(queries)
    exact = faiss.IndexFlatIP(encoder.dimension)
    exact.add(documents)
    scores, neighbours = exact.search(asked, min(section.neighbours, len(documents)))
    log = [passed_over.get(query, np.empty(0, dtype=np.int64)) for query in queries]
    targets = list(wanted.values())
    triplets = mine_triplets(
        queries=queries,
        positives=targets,
        known=[known[content_key(query)] for query in queries],
        log_negatives=log,
        positive_scores=_scores(asked, documents, targets),
        log_scores=_scores(asked, documents, log),
        neighbours=neighbours,
        neighbour_scores=scores,
        doc_ids=catalogue["doc_id"].to_numpy(),
        documents=len(catalogue),
        negatives=section.negatives,
        max_log=section.log_negatives,
        max_positive_share=section.max_positive_share,
        seed=section.seed,
    )
    table = pa.Table.from_pandas(triplets, schema=TRIPLETS, preserve_index=False)
    pq.write_table(table, workspace.artifacts("mine") / "triplets.parquet")
    write_json(workspace.artifacts("mine") / "summary.json", _summary(triplets))


def surest(positives: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most `most` rows per query: labels by people first, then the highest lower bound."""
    ranked = positives.sort_values(
        ["query", "low", "doc_id"], ascending=[True, False, True], na_position="first"
    )
    return ranked[ranked.groupby("query").cumcount() < most]


def rows_by(judged: pd.DataFrame, column: str) -> dict[str, np.ndarray]:
    """{value of the column: its catalogue rows}, in the order of the values."""
    return {str(key): rows.to_numpy() for key, rows in judged.groupby(column, sort=True)["row"]}


def _scores(asked: np.ndarray, documents: np.ndarray, rows: list[np.ndarray]) -> list[np.ndarray]:
    return [documents[r] @ vector for vector, r in zip(asked, rows, strict=True)]


def _summary(triplets: pd.DataFrame) -> Mapping[str, object]:
    origins = pd.Series([n["origin"] for row in triplets["negatives"] for n in row], dtype=str)
    counts = origins.value_counts()
    return {
        "queries": int(triplets["query"].nunique()),
        "triplets": len(triplets),
        "negatives_per_triplet": round(float(triplets["negatives"].map(len).mean()), 4),
        "negatives": {name: int(counts.get(name, 0)) for name in ("log", "ann", "random")},
    }


if __name__ == "__main__":
    main("mine", run)
