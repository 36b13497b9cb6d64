"""Asks champion and candidate the same queries, one at a time, and compares what they answer."""

import time
from typing import Any

import numpy as np

from perennial.data.asked import STRATA, sample_asked
from perennial.data.mirrored import Answers, read_mirrored
from perennial.quality.alike import SIDES, Alike, compare_answers
from perennial.quality.decision import Decision
from perennial.quality.shadow import Shadow, judge_shadow
from perennial.serving.loaded import LoadedRelease
from tasks.foretold import clicks_foretold
from tasks.releases import both_releases, candidate_id
from tasks.run import Run
from tasks.seconds import rooms
from tasks.shadow_table import numbers, show_shadow
from tasks.step import step
from tasks.tracking import log_metrics

DEPTH = 10


@step("shadow")
def shadow(run: Run) -> Decision:
    """advance, inconclusive or reject, by the rule of perennial/quality/shadow.py."""
    section = run.params.shadow
    with rooms(run.workspace, "shadow"):
        champion, candidate = both_releases(run)
        replayed, by_frequency = replay(run, champion, candidate)
        mirrored, counts = mirror_of(run, champion, candidate)
        clicks = clicks_foretold(run, champion, candidate, k=DEPTH)
        found = Shadow(replayed, by_frequency, mirrored, counts, clicks)
        decision = judge_shadow(
            found,
            min_overlap=section.min_overlap,
            max_latency_ratio=section.max_latency_ratio,
            max_zero_results=section.max_zero_results,
            max_failed_share=section.max_failed_share,
            max_click_loss=section.max_click_loss,
            min_mirrored=section.min_mirrored,
            confidence=run.params.evaluate.confidence,
        )
    run.note("shadow", "answers", found.to_dict())
    run.note("shadow", "decision", decision.to_dict())
    log_metrics(run.places.tracking_uri, run.tracked, {"shadow": numbers(found.to_dict())})
    show_shadow(found.to_dict(), decision)
    return decision


def replay(
    run: Run, champion: LoadedRelease, candidate: LoadedRelease
) -> tuple[Alike, dict[str, Alike]]:
    """A sample of the logged queries asked again: all of it, and each stratum of it alone."""
    section = run.params.shadow
    requests = run.workspace.log("requests")
    asked = sample_asked(requests, most=section.queries, seed=section.seed)
    queries = [item.query for item in asked]
    old, new = ask_both(queries, champion, candidate)
    strata = np.array([item.stratum for item in asked], dtype=int)
    whole = compared(run, queries, old, new, examples=section.examples)
    by_frequency = {}
    for number, name in enumerate(STRATA):
        rows = np.flatnonzero(strata == number)
        if len(rows):
            some = [queries[row] for row in rows]
            by_frequency[name] = compared(run, some, _of(old, rows), _of(new, rows), examples=0)
    return whole, by_frequency


def mirror_of(
    run: Run, champion: LoadedRelease, candidate: LoadedRelease
) -> tuple[Alike | None, dict[str, int]]:
    """What a service mirrored of these two, with its counts; None and {} where nothing was."""
    found = read_mirrored(
        run.places.source / "mirrored",
        stable={run.champion_id, champion.release_id},
        candidate={candidate_id(run), candidate.release_id},
        most=run.params.shadow.mirrored,
        k=DEPTH,
    )
    if found is None:
        return None, {}
    alike = compared(run, found.request_ids, found.stable, found.candidate, examples=0)
    return alike, found.counts


def ask_both(
    queries: list[str], champion: LoadedRelease, candidate: LoadedRelease
) -> tuple[Answers, Answers]:
    """What champion and candidate answer to each; who goes first changes with every query."""
    releases = dict(zip(SIDES, (champion, candidate), strict=True))
    answers = {
        side: Answers(
            np.full((len(queries), DEPTH), None, dtype=object),
            np.full((len(queries), DEPTH), np.nan),
            np.zeros(len(queries)),
        )
        for side in SIDES
    }
    for release in releases.values():
        release.search_many(queries[:1], DEPTH)  # the first query pays for caches and threads
    for row, query in enumerate(queries):
        for side in SIDES if row % 2 else reversed(SIDES):
            began = time.perf_counter()
            (answer,) = releases[side].search_many([query], DEPTH)
            answers[side].milliseconds[row] = (time.perf_counter() - began) * 1000
            for hit in answer.hits:
                answers[side].documents[row, hit.rank - 1] = hit.doc_id
                answers[side].scores[row, hit.rank - 1] = hit.score
    return answers["champion"], answers["candidate"]


def compared(run: Run, queries: list[str], old: Answers, new: Answers, *, examples: int) -> Alike:
    """Two sides' answers to the same queries, by the run's parameters."""
    evaluate = run.params.evaluate
    sides: dict[str, Any] = {}
    for side, answers in zip(SIDES, (old, new), strict=True):
        sides |= {
            side: answers.documents,
            f"{side}_scores": answers.scores,
            f"{side}_ms": answers.milliseconds,
        }
    return compare_answers(
        queries,
        **sides,
        persistence=run.params.shadow.persistence,
        examples=examples,
        samples=evaluate.bootstrap_samples,
        confidence=evaluate.confidence,
        seed=evaluate.seed,
    )


def _of(answers: Answers, rows: np.ndarray) -> Answers:
    return Answers(answers.documents[rows], answers.scores[rows], answers.milliseconds[rows])
