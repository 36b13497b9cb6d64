"""The canary's benchmark runs, and its fast paths say what the tests of the product say."""

import json

import numpy as np
import pytest

from infra.bench import canary_worlds as worlds
from infra.bench.canary import main
from perennial.quality.guardrails import guardrail_bets
from perennial.quality.mismatch import log_mismatch
from perennial.quality.rollout import bets_for
from perennial.quality.sequential import Cells, log_evidence


def cells_of(ours, outcome, share):
    return [Cells(share, int(ours.sum()), int((ours & outcome).sum()), int((~ours).sum()),
                  int((~ours & outcome).sum()))]  # fmt: skip


def test_the_paths_end_where_the_tests_of_the_product_are():
    rng = np.random.default_rng(3)
    ours, happy = worlds.arms_and_outcomes(rng, 500, share=0.3, stable=0.6, candidate=0.5)
    bets = bets_for(margin=0.03, design_loss=worlds.DESIGN_LOSS, success=worlds.SUCCESS)
    known = {"expected": worlds.SUCCESS}
    cells = cells_of(ours, happy, 0.3)
    assert worlds.loss_path(ours, happy, share=0.3)[-1] == pytest.approx(
        float(log_evidence(cells, side="below", bets=bets.below, **known))
    )
    assert worlds.advance_path(ours, happy, share=0.3, margin=0.03)[-1] == pytest.approx(
        float(log_evidence(cells, side="above", bets=bets.above, ratio=0.97, **known))
    )
    usual, guards = guardrail_bets(0.05)
    assert worlds.guard_path(ours, happy, share=0.3, most=0.05)[-1] == pytest.approx(
        float(log_evidence(cells, side="above", expected=usual, bets=guards, shift=0.05))
    )
    drawn = [(0.3, int(ours.sum()), int((~ours).sum()))]
    assert worlds.mismatch_path(ours, share=0.3)[-1] == pytest.approx(log_mismatch(drawn))


def test_the_fixed_sample_of_a_textbook():
    """0.6 against 0.54, even arms, one-sided 5 %, power 80 %: some 1,670 sessions."""
    n = worlds.fixed_sessions(share=0.5, stable=0.6, candidate=0.54, alpha=0.05, power=0.8)
    assert n == pytest.approx(1_680, abs=30)


@pytest.mark.slow
def test_the_benchmark_writes_its_rows_and_plots(tmp_path):
    main(["--quick", "--out", str(tmp_path / "canary")])
    rows = json.loads((tmp_path / "canary.json").read_text())
    assert {row["row"].partition(":")[0] for row in rows} >= {"interleaving"}
    for plot in ("alarms", "stops"):
        assert "<svg" in (tmp_path / f"canary-{plot}.svg").read_text()
