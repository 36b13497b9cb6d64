"""Bootstrap intervals of means and of paired differences: the same queries, answered by two."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from perennial.errors import BadInput

Floats = npt.NDArray[np.float64]
Strata = npt.NDArray[np.int64]

# Below it even the range of the observed values covers the mean too rarely to be called 95 %.
FEWEST = 10
# Sums in another order differ in the last bits: that is a tie.
TIE = 1e-12


@dataclass(frozen=True)
class Interval:
    """A mean of n observations with its interval; None is "cannot be known", never NaN."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    def as_dict(self) -> dict[str, float | int | None]:
        return asdict(self)


@dataclass(frozen=True)
class Difference(Interval):
    """The mean of a - b over n pairs, and on how many pairs a won, tied or lost."""

    wins: int
    ties: int
    losses: int


def bootstrap_mean(
    values: npt.ArrayLike, *, samples: int, confidence: float, seed: int
) -> Interval:
    """(n,) values to their mean and its interval; see bootstrap_means."""
    column = np.asarray(values, dtype=np.float64).reshape(-1, 1)
    return bootstrap_means(column, samples=samples, confidence=confidence, seed=seed)[0]


def strata_of(slices: Sequence[str | None]) -> Strata:
    """(n,) slices to (n,) stratum numbers; slices of fewer than FEWEST rows make one together.

    Where even these are fewer, they join the largest: one row alone would seem to be sure.
    """
    names = np.array(["" if name is None else f"={name}" for name in slices], dtype=str)
    numbers = np.unique(names, return_inverse=True)[1].astype(np.int64)
    sizes = np.bincount(numbers)
    is_small = (sizes < FEWEST)[numbers]
    if not is_small.any() or is_small.all():
        return np.zeros_like(numbers) if is_small.all() else numbers
    rest = len(sizes) if is_small.sum() >= FEWEST else int(sizes.argmax())
    return np.unique(np.where(is_small, rest, numbers), return_inverse=True)[1].astype(np.int64)


def bootstrap_means(
    values: Floats, *, samples: int, confidence: float, seed: int, strata: Strata | None = None
) -> list[Interval]:
    """(n, m) values to m intervals, all from the same resamplings of the n rows; no NaN or Inf.

    Expanded percentile bootstrap (Hesterberg 2015, "What Teachers Should Know About the
    Bootstrap", 5.3): the plain percentiles are too narrow by sqrt((n - 1) / n) and by a normal in
    place of Student's t. Fewer than FEWEST rows have no bounds. With (n,) `strata` (see strata_of)
    each is resampled by itself, and stretched around its mean by its own missing degree of freedom
    (Rao and Wu 1988): how many queries a slice has is no chance that the mean depends on.
    """
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise BadInput(f"{bad} of {values.size} values are NaN or infinite; no mean is honest.")
    n, m = values.shape
    if n == 0:
        return [Interval(None, None, None, 0) for _ in range(m)]
    means = values.mean(axis=0)
    if n < FEWEST:
        return [Interval(float(mean), None, None, n) for mean in means]
    strata = np.zeros(n, np.int64) if strata is None else strata
    student = special.stdtrit(n - 1 - strata.max(), (1 + confidence) / 2)
    tail = special.ndtr(-np.sqrt(n / (n - 1)) * student)
    resampled = _resampled_means(values, samples, seed, strata)
    low, high = np.quantile(resampled, [tail, 1 - tail], axis=0)
    return [
        Interval(float(v), min(float(lo), float(v)), max(float(hi), float(v)), n)
        for v, lo, hi in zip(means, low, high, strict=True)
    ]


def paired_difference(
    a: npt.ArrayLike, b: npt.ArrayLike, *, samples: int, confidence: float, seed: int
) -> Difference:
    """(n,) scores of a and of b on the same queries to the mean of a - b with its interval."""
    return paired_differences(
        {"": np.asarray(a, dtype=np.float64)},
        {"": np.asarray(b, dtype=np.float64)},
        samples=samples,
        confidence=confidence,
        seed=seed,
    )[""]


def paired_differences(
    a: Mapping[str, Floats],
    b: Mapping[str, Floats],
    *,
    samples: int,
    confidence: float,
    seed: int,
    strata: Strata | None = None,
) -> dict[str, Difference]:
    """Metrics to (n,) scores of a and of b, to Differences; one resampling serves all metrics."""
    table = differences_of(a, b)
    intervals = bootstrap_means(
        table, samples=samples, confidence=confidence, seed=seed, strata=strata
    )
    wins, losses = (table > TIE).sum(axis=0), (table < -TIE).sum(axis=0)
    return {
        name: Difference(
            i.value, i.low, i.high, i.n, int(won), i.n - int(won) - int(lost), int(lost)
        )
        for name, i, won, lost in zip(a, intervals, wins, losses, strict=True)
    }


def differences_of(a: Mapping[str, Floats], b: Mapping[str, Floats]) -> Floats:
    """Metrics to (n,) scores of a and of b, to the (n, m) table of a - b; raises BadInput."""
    for name in a:
        if a[name].shape != b[name].shape:
            raise BadInput(
                f"{name} has {len(a[name])} scores on one side and {len(b[name])} on the other; "
                "pairs need the same queries."
            )
    return np.stack([a[name] - b[name] for name in a], axis=1)


def _resampled_means(values: Floats, samples: int, seed: int, strata: Strata) -> Floats:
    n, m = values.shape
    sizes = np.bincount(strata)
    values = _stretched(values[np.argsort(strata, kind="stable")], sizes)
    size_of = np.repeat(sizes, sizes)
    begin_of = np.repeat(np.cumsum(sizes) - sizes, sizes)
    rng = np.random.default_rng(seed)
    means = np.empty((samples, m))
    step = max(1, 4_000_000 // n)  # how often each row was drawn: at most 32 MB at a time
    for start in range(0, samples, step):
        rows = min(step, samples - start)
        drawn = (rng.random((rows, n)) * size_of).astype(np.int64)
        drawn += begin_of + np.arange(rows)[:, None] * n
        times = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
        means[start : start + rows] = times.astype(np.float64) @ values / n
    return means


def _stretched(values: Floats, sizes: npt.NDArray[np.int64]) -> Floats:
    """(n, m) rows, stratum by stratum, drawn apart from their stratum's mean; one stays as it is.

    What all n rows lack together, the expanded percentiles give: only the rest is missing here.
    """
    if len(sizes) == 1:
        return values
    n = len(values)
    begins = np.cumsum(sizes) - sizes
    centre = np.repeat(np.add.reduceat(values, begins, axis=0) / sizes[:, None], sizes, axis=0)
    by = np.sqrt(sizes / (sizes - 1) * (n - 1) / n)
    return np.asarray(centre + (values - centre) * np.repeat(by, sizes)[:, None], np.float64)
