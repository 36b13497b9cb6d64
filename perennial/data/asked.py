"""A fair sample of what people asked, in strata of how often they ask it."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

STRATA = ("asked once", "asked 2 to 9 times", "asked 10 times or more")

_SAMPLE = """
with asked as (
    select query, request_id, count(*) over (partition by query) as times
    from read_parquet($requests) where trim(query) <> ''),
placed as (
    select query, request_id, drawn, stratum, count(*) over () as total,
           count(*) over (partition by stratum) as size,
           row_number() over (partition by stratum order by drawn, request_id) as place
    from (select *, md5(request_id || $seed::varchar) as drawn,
                 case when times = 1 then 0 when times < 10 then 1 else 2 end as stratum
          from asked))
select query, stratum from placed
where place <= greatest(1, round($most * size / total))
order by drawn, request_id limit $most"""


@dataclass(frozen=True)
class Asked:
    """A logged query, and the number of its stratum in STRATA."""

    query: str
    stratum: int


def sample_asked(requests: Path, *, most: int, seed: int) -> list[Asked]:
    """Logged queries as often as they were asked, each stratum in proportion to its requests, so
    that a plain mean over the sample is the mean over the traffic."""
    parameters = {"requests": str(requests), "most": most, "seed": seed}
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("set enable_progress_bar = false")
        rows = connection.execute(_SAMPLE, parameters).fetchall()
    return [Asked(query, int(stratum)) for query, stratum in rows]
