"""Asks champion and candidate the last logged queries, one at a time, and compares answers."""

import time
from typing import Any

import duckdb
import numpy as np

from perennial.quality.decision import Decision
from perennial.quality.shadow import compare_answers, judge_shadow
from perennial.serving.loaded import LoadedRelease
from tasks.artifacts import show_decision
from tasks.releases import both_releases
from tasks.run import Run
from tasks.seconds import rooms
from tasks.step import step
from tasks.tracking import log_metrics

DEPTH = 10


@step("shadow")
def shadow(run: Run) -> Decision:
    """advance, inconclusive or reject, by the rule of perennial/quality/shadow.py."""
    with rooms(run.workspace, "shadow"):
        champion, candidate = both_releases(run)
        queries = last_queries(run)
        answers = _answers(queries, champion=champion, candidate=candidate)
        found = compare_answers(
            queries,
            **answers,
            persistence=run.params.shadow.persistence,
            examples=run.params.shadow.examples,
            samples=run.params.evaluate.bootstrap_samples,
            confidence=run.params.evaluate.confidence,
            seed=run.params.evaluate.seed,
        )
        decision = judge_shadow(
            found,
            min_overlap=run.params.shadow.min_overlap,
            max_latency_ratio=run.params.shadow.max_latency_ratio,
        )
    run.note("shadow", "answers", found.to_dict())
    run.note("shadow", "decision", decision.to_dict())
    numbers = {name: value for name, value in found.to_dict().items() if name != "most_different"}
    log_metrics(run.places.tracking_uri, run.tracked, {"shadow": numbers})
    show_decision("shadow", decision)
    return decision


def last_queries(run: Run) -> list[str]:
    """The newest logged queries, as often as they were asked."""
    sql = """
        select query from read_parquet(?) where trim(query) <> ''
        order by ts desc, request_id limit ?"""
    parameters = [str(run.workspace.table("requests")), run.params.shadow.queries]
    return [row[0] for row in duckdb.execute(sql, parameters).fetchall()]


def _answers(queries: list[str], **releases: LoadedRelease) -> dict[str, Any]:
    """(q, 10) documents and (q,) milliseconds of each; who goes first changes with every query."""
    documents = {name: np.full((len(queries), DEPTH), None, dtype=object) for name in releases}
    milliseconds = {f"{name}_ms": np.zeros(len(queries)) for name in releases}
    for release in releases.values():
        release.search_many(queries[:1], DEPTH)  # the first query pays for caches and threads
    for row, query in enumerate(queries):
        order = list(releases.items())
        for name, release in order if row % 2 else reversed(order):
            began = time.perf_counter()
            (answer,) = release.search_many([query], DEPTH)
            milliseconds[f"{name}_ms"][row] = (time.perf_counter() - began) * 1000
            for hit in answer.hits:
                documents[name][row, hit.rank - 1] = hit.doc_id
    return {**documents, **milliseconds}
