"""evaluate: lexical baseline, champion, earlier releases and candidate on the held-out queries.

It leaves, for anybody to read:

    per_query.parquet   query, slice (nullable), system, recall@1, recall@10, recall@100, mrr@10,
                        ndcg@10, map, judged@10 (each 0 to 1): one row a query and system. A system
                        is lexical, champion, candidate, or the release_id of an earlier lineage
    answers.parquet     query, system, rank (from 1), doc_id, score, grade (null: unjudged): top 10
    unjudged.parquet    query, doc_id, weight, systems, ranks: what nobody judged of the top 10 of
                        champion and candidate; first what would tell them apart most
    comparison.json     what the gate reads, see quality/comparison.py; with neighbours, the k-NN
                        accuracy on slices, where there are two slices or more
    recall_by_k.csv, gains.csv, metrics.json   for `dvc plots` and `dvc metrics`
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from perennial.data.documents import indexed_texts
from perennial.data.split import is_held_out
from perennial.data.tables import read_table
from perennial.errors import BadInput
from perennial.index.index import Index
from perennial.index.lexical.bm25 import Lexical
from perennial.index.lexical.search import LexicalIndex
from perennial.model.digest import text_digest
from perennial.model.encoder import load_encoder
from perennial.params.whole import Params
from perennial.quality.comparison import compare
from perennial.quality.metrics import DEPTH, per_query_metrics
from perennial.quality.unjudged import unjudged
from perennial.stages.answers import Ranked, recall_by_k, top_ten, write_unjudged
from perennial.stages.earlier import answer_exactly, earlier_releases
from perennial.stages.shell import main, write_json
from perennial.stages.slices import knn_accuracy
from perennial.workspace import Workspace


def run(workspace: Workspace, params: Params) -> None:
    """Write artifacts/evaluate, as above."""
    section = params.evaluate
    labels = held_out_labels(read_table(workspace.table("judgements")), params)
    judgements = {
        str(query): dict(zip(rows["doc_id"], rows["grade"].astype(int), strict=True))
        for query, rows in labels.groupby("query", sort=True)
    }
    queries = list(judgements)
    column = labels.drop_duplicates("query").set_index("query")["slice"].reindex(queries)
    slices = _nullable(column)
    ranked, neighbours = answer_all(workspace, params, queries, slices)
    scores = {
        system: per_query_metrics(queries, doc_ids, judgements)
        for system, (_, doc_ids) in ranked.items()
    }
    index_summary = json.loads((workspace.artifacts("index") / "summary.json").read_text())
    drawn: dict[str, Any] = {
        "samples": section.bootstrap_samples,
        "confidence": section.confidence,
        "seed": section.seed,
    }
    comparison = compare(
        scores,
        slices=slices,
        health=index_summary["health"],
        randomisations=section.randomisations,
        **drawn,
    )
    out = workspace.artifacts("evaluate")
    write_json(out / "comparison.json", comparison | {"neighbours": neighbours})
    write_json(out / "metrics.json", _metrics(comparison, neighbours))
    pd.concat(
        [
            pd.DataFrame({"query": queries, "slice": column.to_numpy(), "system": system, **values})
            for system, values in scores.items()
        ]
    ).to_parquet(out / "per_query.parquet", index=False)
    answers = top_ten(queries, ranked, judgements)
    answers.to_parquet(out / "answers.parquet", index=False)
    write_unjudged(unjudged(answers), out / "unjudged.parquet")
    recall_by_k(queries, ranked, judgements, **drawn).to_csv(
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
    workspace: Workspace, params: Params, queries: list[str], query_slices: Sequence[str | None]
) -> tuple[Ranked, dict[str, Any]]:
    """Each system's (scores, doc_ids), both (q, 100), and the k-NN accuracy of the two compared.

    Champion and candidate answer through their own pair of encoder and index, BM25 through the
    words that the candidate's index counted, where it did.
    """
    catalogue, section = read_table(workspace.table("catalogue")), params.evaluate
    texts, doc_ids = indexed_texts(catalogue), catalogue["doc_id"].tolist()
    answers: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    lexical: LexicalIndex | None = None
    neighbours: dict[str, Any] = {}
    for system, encoder, index in (
        ("champion", workspace.champion / "encoder", workspace.champion / "index"),
        (
            "candidate",
            workspace.artifacts("train") / "encoder",
            workspace.artifacts("index") / "index",
        ),
    ):
        loaded = load_encoder(encoder, batch_size=params.index.batch_size)
        opened = Index.open(index, encoder_digest=loaded.digest, words=system == "candidate")
        lexical = opened.lexical
        answers[system] = opened.search(loaded.encode(queries), DEPTH)
        accuracy = knn_accuracy(
            loaded,
            opened,
            answers[system][1],
            query_slices=query_slices,
            doc_ids=doc_ids,
            texts=texts,
            slices=_nullable(catalogue["slice"]),
            neighbours=section.neighbours,
            documents=section.neighbour_documents,
            samples=section.bootstrap_samples,
            confidence=section.confidence,
            seed=section.seed,
        )
        neighbours |= {system: accuracy} if accuracy else {}
    answers = {"lexical": _by_words(lexical, queries, doc_ids=doc_ids, texts=texts), **answers}
    if releases := earlier_releases(workspace):
        digests = [text_digest(text) for text in texts]
        for release in releases:
            answers[release.name] = answer_exactly(
                release,
                queries,
                DEPTH,
                doc_ids=doc_ids,
                texts=texts,
                digests=digests,
                batch_size=params.index.batch_size,
                cache=workspace.work("evaluate") / "vectors",
            )
    return answers, neighbours


def _by_words(
    lexical: LexicalIndex | None, queries: list[str], *, doc_ids: list[str], texts: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    if lexical is None:
        return Lexical(texts, doc_ids).search(queries, DEPTH)
    found = lexical.search(queries, DEPTH)
    return found.scores, found.doc_ids


def _metrics(comparison: dict[str, Any], neighbours: dict[str, Any]) -> dict[str, Any]:
    """The means alone, for `dvc metrics`."""
    found: dict[str, Any] = {
        system: {metric: value["value"] for metric, value in metrics.items()}
        for system, metrics in comparison["systems"].items()
    }
    for system, sides in neighbours.items():
        found[system] |= {f"knn of {side}": value["value"] for side, value in sides.items()}
    return found | {"queries": comparison["queries"]}


def _nullable(column: "pd.Series[Any]") -> list[str | None]:
    return [None if pd.isna(name) else str(name) for name in column]


if __name__ == "__main__":
    main("evaluate", run)
