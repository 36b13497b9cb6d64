"""Bootstrap intervals of means and of paired differences: the same queries, answered by two."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from perennial.errors import BadInput

Floats = npt.NDArray[np.float64]

# Below it even the range of the observed values covers the mean too rarely to be called 95 %.
FEWEST = 10


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


def bootstrap_means(
    values: Floats, *, samples: int, confidence: float, seed: int
) -> list[Interval]:
    """(n, m) values to m intervals, all from the same resamplings of the n rows; no NaN or Inf.

    Expanded percentile bootstrap (Hesterberg 2015, "What Teachers Should Know About the
    Bootstrap", 5.3): the plain percentiles are too narrow by sqrt((n - 1) / n) and by a normal in
    place of Student's t. Fewer than FEWEST rows have no bounds.
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
    student = special.stdtrit(n - 1, (1 + confidence) / 2)
    tail = special.ndtr(-np.sqrt(n / (n - 1)) * student)
    low, high = np.quantile(_resampled_means(values, samples, seed), [tail, 1 - tail], axis=0)
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
) -> dict[str, Difference]:
    """Metrics to (n,) scores of a and of b, to Differences; one resampling serves all metrics."""
    columns = []
    for name in a:
        if a[name].shape != b[name].shape:
            raise BadInput(
                f"{name} has {len(a[name])} scores on one side and {len(b[name])} on the other; "
                "pairs need the same queries."
            )
        columns.append(a[name] - b[name])
    table = np.stack(columns, axis=1)
    intervals = bootstrap_means(table, samples=samples, confidence=confidence, seed=seed)
    # Sums in another order differ in the last bits: that is a tie.
    wins, losses = (table > 1e-12).sum(axis=0), (table < -1e-12).sum(axis=0)
    return {
        name: Difference(
            i.value, i.low, i.high, i.n, int(won), i.n - int(won) - int(lost), int(lost)
        )
        for name, i, won, lost in zip(a, intervals, wins, losses, strict=True)
    }


def _resampled_means(values: Floats, samples: int, seed: int) -> Floats:
    n, m = values.shape
    rng = np.random.default_rng(seed)
    means = np.empty((samples, m))
    step = max(1, 4_000_000 // n)  # how often each row was drawn: at most 32 MB at a time
    for start in range(0, samples, step):
        rows = min(step, samples - start)
        drawn = rng.integers(0, n, size=(rows, n)) + np.arange(rows)[:, None] * n
        times = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
        means[start : start + rows] = times.astype(np.float64) @ values / n
    return means
