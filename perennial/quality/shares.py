"""Score intervals for a share of successes and for the difference of two shares."""

from math import sqrt

from scipy import special

from perennial.errors import BadInput
from perennial.quality.paired import Interval


def wilson(successes: int, n: int, *, confidence: float) -> Interval:
    """The share successes / n with its Wilson score interval; without trials nothing is known."""
    if not 0 <= successes <= n:
        raise BadInput(f"{successes} successes in {n} trials cannot be; count them again.")
    if n == 0:
        return Interval(None, None, None, 0)
    z = float(special.ndtri((1 + confidence) / 2))
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # At the ends the formula gives the share itself, but for rounding.
    return Interval(share, max(0.0, min(centre - reach, share)), min(1.0, centre + reach), n)


def difference_of_shares(
    successes_a: int, n_a: int, successes_b: int, n_b: int, *, confidence: float
) -> Interval:
    """Share of a minus share of b, n = n_a + n_b, for independent groups.

    Newcombe's hybrid score interval (Newcombe 1998, "Interval estimation for the difference
    between independent proportions", method 10). A group without trials leaves it unknown.
    """
    a = wilson(successes_a, n_a, confidence=confidence)
    b = wilson(successes_b, n_b, confidence=confidence)
    if a.value is None or a.low is None or a.high is None:
        return Interval(None, None, None, n_a + n_b)
    if b.value is None or b.low is None or b.high is None:
        return Interval(None, None, None, n_a + n_b)
    value = a.value - b.value
    low = value - sqrt((a.value - a.low) ** 2 + (b.high - b.value) ** 2)
    high = value + sqrt((a.high - a.value) ** 2 + (b.value - b.low) ** 2)
    return Interval(value, low, high, n_a + n_b)
