"""A log of millions of impressions to a snapshot: time, and memory that does not grow with it."""

from datetime import timedelta
from pathlib import Path

from infra.bench.apart import apart
from infra.bench.click_log import RANKS
from infra.bench.data_validate import write_snapshot
from infra.bench.row import Row, row
from perennial.data.schema import LOG_TABLES
from perennial.params.reading import load_params
from perennial.verbs.freeze import freeze_tables


def rows(home: Path, *, requests: int) -> list[Row]:
    """Half of the requests, then all of them."""
    found = []
    for count in (requests // 2, requests):
        place = home / str(count)
        write_snapshot(place, requests=count)
        for table in LOG_TABLES:
            (place / "snapshot" / table).mkdir()
            path = place / "snapshot" / f"{table}.parquet"
            path.rename(place / "snapshot" / table / "part.parquet")
        found.append(apart(freeze, place))
    half, whole = found
    what = f"{requests * RANKS:,} impressions, their requests and clicks to a snapshot"
    return [
        row(what, whole.seconds, "s"),
        row(f"{what}: peak memory", whole.peak_mb, "MB", at_most=4000),
        row(f"{what}: peak memory against half of them", whole.peak_mb, "MB",
            against="half the rows", base=half.peak_mb),
    ]  # fmt: skip


def freeze(place: Path) -> int:
    """The rows of a snapshot, queries of fewer than two sessions left out, sessions hashed."""
    tuned = load_params(Path("params.yaml")).snapshot
    to = place / "frozen"
    to.mkdir()
    frozen = freeze_tables(
        place / "snapshot",
        to,
        window=timedelta(days=tuned.window_days),
        settle=timedelta(seconds=tuned.click_window_seconds),
        max_unknown_share=tuned.max_unknown_share,
        min_query_sessions=2,
        memory_mb=tuned.memory_mb,
        session_key=b"a key",
    )
    return sum(frozen.rows.values())
