"""What the page of a look at live traffic shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class SignalRow:
    """A signal as a line of the table; `p` and `level` are None where nothing is left to chance."""

    name: str
    about: str
    said: str
    effect: float
    floor: float
    p: float | None
    level: float | None
    fires: bool


@dataclass(frozen=True)
class Course:
    """A share, or a count, hour by hour; (h,) hours since 1970, with what is usual at each."""

    title: str
    hours: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    usual: npt.NDArray[np.float64]


@dataclass(frozen=True)
class WatchView:
    """One look; `decision` as Decision.to_dict gives it."""

    channel: str
    release_id: str
    at: datetime
    log_end: datetime
    decision: Mapping[str, Any]
    rows: Sequence[SignalRow]
    courses: Sequence[Course]
    alpha: float
    notes: Sequence[str] = ()
