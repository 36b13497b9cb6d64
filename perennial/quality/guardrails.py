"""What stops a rollout whatever people think of it: a biased draw, slow, failed, empty answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from perennial.quality.decision import Evidence
from perennial.quality.mismatch import log_mismatch
from perennial.quality.sequential import Bet, log_evidence
from perennial.quality.sequential_bounds import risk_difference
from perennial.quality.traffic import Stratum, drawn, troubles


@dataclass(frozen=True)
class Finding:
    """One test's evidence, and the sentence that says it."""

    evidence: Evidence
    reason: str


def mismatch(strata: Sequence[Stratum], alpha: float) -> Finding:
    """Holds while the arms get the shares that they were promised."""
    promised = drawn(strata)
    found, bound = log_mismatch(promised), -log(alpha)
    ours = sum(candidate for _, candidate, _ in promised)
    n = ours + sum(stable for *_, stable in promised)
    due = sum(share * (candidate + stable) for share, candidate, stable in promised)
    holds = found < bound
    verdict = "as promised" if holds else "the router, or the log, is biased"
    evidence = Evidence("sample ratio", found, None, None, n, bound, holds)
    return Finding(
        evidence,
        f"{ours} of {n} sessions were on the candidate and {due:.0f} were due: {verdict}.",
    )


def guardrail_bets(most: float) -> tuple[float, tuple[Bet, ...]]:
    """(expected share on stable, bets): twice as much more as is allowed, and nearly all bad."""
    return max(most / 2, 0.005), (Bet(max(most, 0.01), 0.5), Bet(0.5, 0.5))


def guardrail(strata: Sequence[Stratum], name: str, most: float, alpha: float) -> Finding:
    """Holds until it is sure that more first answers are so on the candidate, by over `most`."""
    cells = troubles(strata, name)
    n = sum(each.candidate + each.stable for each in cells)
    usual, bets = guardrail_bets(most)
    found = float(log_evidence(cells, side="above", expected=usual, bets=bets, shift=most))
    holds = found < -log(alpha)
    difference = risk_difference(cells)
    more = "unknown" if difference is None else f"{difference:+.2%}"
    verdict = f"within the {most:.1%} allowed" if holds else f"surely more than {most:.1%}"
    evidence = Evidence(f"{name} first answers", difference, None, None, n, most, holds)
    return Finding(
        evidence, f"First answers that were {name}, candidate - stable: {more}: {verdict}."
    )
