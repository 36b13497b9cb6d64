"""The benchmark of the index: what it is measured against, and that all of it runs."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from infra.bench.corpus import Shape, prepare
from infra.bench.growth import slope
from infra.bench.row import row

SMALL = Shape(documents=300, dimension=8, updates=6, change=40, queries=10, probes=5, seed=3)


def test_the_truth_of_every_state_is_what_exact_search_of_the_live_documents_finds(
    tmp_path: Path,
) -> None:
    corpus = prepare(tmp_path, SMALL)
    alive = set(range(SMALL.documents))
    for update in range(SMALL.updates + 1):
        if update:
            change = corpus.change(update)
            alive = (alive - set(change.deleted.tolist())) | set(change.added.tolist())
        numbers, vectors = corpus.live(update)
        assert set(numbers.tolist()) == alive
        nearest = numbers[np.argsort(-(corpus.queries @ vectors.T), axis=1)[:, :10]]
        assert np.array_equal(nearest, corpus.truth[update])
        assert corpus.recall(update, nearest) == 1.0


def test_an_update_replaces_adds_and_deletes_in_the_stated_shares(tmp_path: Path) -> None:
    corpus = prepare(tmp_path, SMALL)
    before = corpus.live(2)[1]
    change = corpus.change(3)
    assert (len(change.replaced), len(change.added), len(change.deleted)) == (20, 10, 10)
    numbers, vectors = corpus.live(3)
    at = np.searchsorted(numbers, change.written)
    assert np.array_equal(vectors[at], change.vectors)
    assert len(before) == len(vectors)


@pytest.mark.parametrize(
    ("value", "base", "bounds", "holds"),
    [
        (0.04, 2.0, {"at_most": 0.02, "of_ratio": True}, True),
        (0.05, 2.0, {"at_most": 0.02, "of_ratio": True}, False),
        (0.05, 2.0, {"at_most": 0.1}, True),
        (0.95, None, {"at_least": 0.95}, True),
        (0.94, None, {"at_least": 0.95}, False),
        (0.94, None, {}, None),
        (None, None, {"at_most": 1}, None),
    ],
)
def test_a_row_holds_where_its_value_or_ratio_keeps_the_bound(
    value: float | None, base: float | None, bounds: dict[str, float], holds: bool | None
) -> None:
    assert row("x", value, "s", base=base, **bounds)["holds"] is holds  # type: ignore[arg-type]


def test_the_slope_is_the_exponent_of_a_power_law() -> None:
    sizes = [50.0, 100.0, 500.0]
    assert slope(sizes, [3 * size**0.5 for size in sizes]) == pytest.approx(0.5)


@pytest.mark.slow
def test_the_quick_run_measures_every_side_and_draws_it(tmp_path: Path) -> None:
    pytest.importorskip("lancedb")
    command = [sys.executable, "-m", "infra.bench.index", "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    names = [each["row"] for each in json.loads((tmp_path / "index-quick.json").read_text())]
    for side in ("Perennial", "one FAISS IVF", "LanceDB"):
        assert f"{side}: recall@10, lowest" in names
    for needed in ("comparison of", "growth of", "answers that failed", "build of 10,000,000"):
        assert any(needed in name for name in names), needed
    drawn = sorted(path.name for path in tmp_path.glob("*.svg"))
    assert drawn == [f"index-quick-{plot}.svg" for plot in ("bytes", "growth", "recall")]
