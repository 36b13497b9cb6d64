"""From impressions to judgements: time, memory, growth, and how near the propensities come."""

from pathlib import Path

import numpy as np

from infra.bench.apart import apart
from infra.bench.click_log import PROPENSITIES, RANKS, write_click_log
from infra.bench.row import Row, row
from perennial.data.clicks.model import fit_model
from perennial.data.clicks.pages import read_pages
from perennial.data.judge import judge_pages
from perennial.params.reading import load_params

QUERIES, DOCUMENTS = 50_000, 200_000
SEED = 41


def rows(home: Path, *, requests: int) -> list[Row]:
    """Half of the requests, then all of them."""
    found = []
    for count in (requests // 2, requests):
        paths = write_click_log(
            home / str(count), requests=count, queries=QUERIES, documents=DOCUMENTS, seed=SEED
        )
        found.append(apart(judge, paths))
    half, whole = found
    what = f"{requests * RANKS:,} impressions to judgements"
    name, propensities, judged = whole.answer
    error = float(np.abs(np.array(propensities) - PROPENSITIES).max())
    return [
        row(what, whole.seconds, "s", at_most=120),
        row(f"{what}: peak memory", whole.peak_mb, "MB", at_most=4000),
        row(f"{what}: against half of them", whole.seconds, "s", against="half the rows",
            base=half.seconds, at_most=2.2, of_ratio=True),
        row(f"{what}: pairs with a label", judged, f"by the {name} model"),
        row(f"{what}: worst propensity", error, "off", against="the simulated one"),
    ]  # fmt: skip


def judge(paths: dict[str, Path]) -> tuple[str, list[float], int]:
    """The model's name, its propensities, and the number of judgements, as the stage does it."""
    tuned = load_params(Path("params.yaml")).judge
    pages = read_pages(
        **paths,
        short_dwell_seconds=tuned.short_dwell_seconds,
        short_dwell_weight=tuned.short_dwell_weight,
    )
    model = fit_model(
        pages,
        wanted=tuned.model,
        min_links=tuned.min_links,
        significance=tuned.significance,
        max_misfit=tuned.max_misfit,
    )
    judged = judge_pages(
        pages,
        model,
        min_examinations=tuned.min_examinations,
        min_click_rate=tuned.min_click_rate,
        max_negative_rate=tuned.max_negative_rate,
        confidence=tuned.confidence,
    )
    return model.name, model.propensities.tolist(), len(judged)
