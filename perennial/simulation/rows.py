"""What simulated people saw and did, as rows of the log."""

from datetime import datetime

import numpy as np
import pandas as pd

_CLICK_SECONDS = (3.0, 60.0)  # from a request to its click
LONG_DWELL, SHORT_DWELL = (40.0, 240.0), (2.0, 25.0)  # on what was wanted, and on what was not


def is_found(doc_ids: np.ndarray) -> np.ndarray:
    """Bool of the same shape: False where a search had nothing left to show, which is None."""
    return np.asarray(doc_ids != None, dtype=bool)  # noqa: E711 (element by element)


def impression_rows(
    request_id: np.ndarray,
    shown: np.ndarray,
    score: np.ndarray,
    propensity: np.ndarray,
    release_id: str,
) -> pd.DataFrame:
    """A row for each document shown; all arrays are (n, k), but `request_id` (n,)."""
    row, rank = np.nonzero(is_found(shown))
    return pd.DataFrame(
        {
            "request_id": request_id[row],
            "doc_id": shown[row, rank],
            "rank": (rank + 1).astype(np.int32),
            "score": score[row, rank].astype(np.float32),
            "release_id": release_id,
            "team": None,
            "propensity": propensity[row, rank],
        }
    )


def event_rows(
    request_id: np.ndarray,
    shown: np.ndarray,
    clicked: np.ndarray,
    is_wanted: np.ndarray,
    seconds: np.ndarray,
    start: datetime,
    tag: str,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """A click and the dwell that followed it, for each clicked result."""
    row, rank = np.nonzero(clicked)
    at = seconds[row] + generator.uniform(*_CLICK_SECONDS, size=len(row))
    dwell = np.where(
        is_wanted[row, rank],
        generator.uniform(*LONG_DWELL, size=len(row)),
        generator.uniform(*SHORT_DWELL, size=len(row)),
    )
    clicks = pd.DataFrame(
        {
            "event_id": [f"c-{tag}-{i:07d}" for i in range(len(row))],
            "request_id": request_id[row],
            "doc_id": shown[row, rank],
            "type": "click",
            "value": np.nan,
            "ts": times(start, at),
        }
    )
    dwells = clicks.assign(
        event_id=[f"d-{tag}-{i:07d}" for i in range(len(row))],
        type="dwell",
        value=np.round(dwell, 3),
        ts=times(start, at + dwell),
    )
    return pd.concat([clicks, dwells], ignore_index=True)


def times(start: datetime, seconds: np.ndarray) -> pd.DatetimeIndex:
    """Seconds after `start` to times, to the millisecond."""
    return pd.DatetimeIndex(
        pd.Timestamp(start) + pd.to_timedelta(np.round(seconds, 3), unit="s")
    ).as_unit("us")
