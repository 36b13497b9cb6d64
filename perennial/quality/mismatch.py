"""Whether the arms get the shares that they were promised: a sequential multinomial test."""

from collections.abc import Sequence
from math import log, log1p

from scipy import special

from perennial.errors import BadInput

_CONCENTRATION = 100.0  # of the alternative: shares that are off by some 5 points of 50


def log_mismatch(
    drawn: Sequence[tuple[float, int, int]], *, concentration: float = _CONCENTRATION
) -> float:
    """[(promised share, candidate, stable)] to the log of the evidence against those shares.

    Lindon and Malek 2022, "Anytime-Valid Inference For Multinomial Count Data": the Bayes factor of
    a Dirichlet around the promise to the promise itself, a martingale from 1 while it is kept, for
    each promise anew. It ever exceeds 1 / alpha with a chance of at most alpha.
    """
    total = 0.0
    for share, candidate, stable in drawn:
        if not 0 < share < 1:
            raise BadInput(f"a share of {share} draws nothing; ask where both arms get sessions.")
        ours, theirs = concentration * share, concentration * (1 - share)
        total += float(special.betaln(ours + candidate, theirs + stable))
        total -= float(special.betaln(ours, theirs))
        total -= candidate * log(share) + stable * log1p(-share)
    return total
