"""evaluate: lexical baseline, champion and candidate on the same held-out queries."""

import json
from typing import Any

import numpy as np
import pandas as pd

from perennial.data.documents import indexed_texts
from perennial.data.split import is_held_out
from perennial.data.tables import read_table
from perennial.errors import BadInput
from perennial.index.index import Index
from perennial.index.lexical import Lexical
from perennial.model.encoder import load_encoder
from perennial.params import Params
from perennial.quality.comparison import compare
from perennial.quality.metrics import DEPTH, grade, per_query_metrics, recall_at
from perennial.quality.paired import bootstrap_means
from perennial.stages.shell import main, write_json
from perennial.workspace import Workspace

CUTS = (1, 2, 3, 5, 10, 20, 50, 100)


def run(workspace: Workspace, params: Params) -> None:
    """Write artifacts/evaluate: metrics, comparison, per-query scores, answers and plot data."""
    section = params.evaluate
    labels = held_out_labels(read_table(workspace.table("judgements")), params)
    judgements = {
        str(query): dict(zip(rows["doc_id"], rows["grade"].astype(int), strict=True))
        for query, rows in labels.groupby("query", sort=True)
    }
    queries = list(judgements)
    slices = labels.drop_duplicates("query").set_index("query")["slice"].reindex(queries)
    ranked = answer_all(workspace, params, queries)
    scores = {
        system: per_query_metrics(queries, doc_ids, judgements)
        for system, (_, doc_ids) in ranked.items()
    }
    index_summary = json.loads((workspace.artifacts("index") / "summary.json").read_text())
    comparison = compare(
        scores,
        slices=[None if pd.isna(s) else s for s in slices],
        health=index_summary["health"],
        samples=section.bootstrap_samples,
        confidence=section.confidence,
        seed=section.seed,
    )
    out = workspace.artifacts("evaluate")
    write_json(out / "comparison.json", comparison)
    write_json(
        out / "metrics.json",
        {
            system: {metric: value["value"] for metric, value in metrics.items()}
            for system, metrics in comparison["systems"].items()
        }
        | {"queries": len(queries)},
    )
    pd.concat(
        [
            pd.DataFrame({"query": queries, "slice": slices.to_numpy(), "system": system, **values})
            for system, values in scores.items()
        ]
    ).to_parquet(out / "per_query.parquet", index=False)
    _answers(queries, ranked, judgements).to_parquet(out / "answers.parquet", index=False)
    _recall_by_k(queries, ranked, judgements, params).to_csv(
        out / "recall_by_k.csv", index=False, lineterminator="\n"
    )
    gains = np.sort(scores["candidate"]["ndcg@10"] - scores["champion"]["ndcg@10"])
    pd.DataFrame({"query": np.arange(len(gains)), "gain": gains.round(6)}).to_csv(
        out / "gains.csv", index=False, lineterminator="\n"
    )


def held_out_labels(labels: pd.DataFrame, params: Params) -> pd.DataFrame:
    """The labels of held-out queries that have a relevant document; raises BadInput for none."""
    held = is_held_out(
        labels["query"].tolist(), share=params.split.held_out_share, salt=params.split.salt
    )
    kept = labels[held]
    relevant = kept.groupby("query")["grade"].transform("max") > 0
    kept = kept[relevant]
    if kept.empty:
        raise BadInput(
            "no held-out query has a relevant judgement, so nothing can be proved; add labelled "
            "queries to the judgements table, or raise split.held_out_share"
        )
    return kept


def answer_all(
    workspace: Workspace, params: Params, queries: list[str]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{system: (scores, doc_ids), both (q, 100)}: each release through its own pair."""
    catalogue = read_table(workspace.table("catalogue"))
    lexical = Lexical(indexed_texts(catalogue), catalogue["doc_id"].tolist())
    answers = {"lexical": lexical.search(queries, DEPTH)}
    for system, encoder, index in (
        ("champion", workspace.champion / "encoder", workspace.champion / "index"),
        (
            "candidate",
            workspace.artifacts("train") / "encoder",
            workspace.artifacts("index") / "index",
        ),
    ):
        loaded = load_encoder(encoder, batch_size=params.index.batch_size)
        opened = Index.open(index, encoder_digest=loaded.digest)
        answers[system] = opened.search(loaded.encode(queries), DEPTH)
    return answers


def _answers(
    queries: list[str],
    ranked: dict[str, tuple[np.ndarray, np.ndarray]],
    judgements: dict[str, dict[str, int]],
) -> pd.DataFrame:
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


def _recall_by_k(
    queries: list[str],
    ranked: dict[str, tuple[np.ndarray, np.ndarray]],
    judgements: dict[str, dict[str, int]],
    params: Params,
) -> pd.DataFrame:
    rows = []
    for system, (_, doc_ids) in ranked.items():
        recall = recall_at(grade(queries, doc_ids, judgements), CUTS)
        intervals = bootstrap_means(
            recall,
            samples=params.evaluate.bootstrap_samples,
            confidence=params.evaluate.confidence,
            seed=params.evaluate.seed,
        )
        rows += [
            (system, k, interval.value, interval.low, interval.high)
            for k, interval in zip(CUTS, intervals, strict=True)
        ]
    frame = pd.DataFrame(rows, columns=["system", "k", "recall", "low", "high"])
    return frame.round({"recall": 6, "low": 6, "high": 6})


if __name__ == "__main__":
    main("evaluate", run)
