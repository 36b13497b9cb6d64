"""In which languages people ask: requests by language, for validate to compare with the last log's.

Shares that another version told are not compared at all.
"""

from collections import Counter
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import duckdb

from perennial.data.languages import language_of

SAMPLE = 20_000  # requests; two such samples tell a share that moved by 0.02
# Requests in the order of a hash of their ids: the same sample however the log is cut into files.
ASKED = """
    SELECT query, count(*) AS requests FROM (
        SELECT left(query, 200) AS query FROM accepted_requests
        WHERE query IS NOT NULL ORDER BY md5(request_id), request_id LIMIT $sample)
    GROUP BY query ORDER BY query"""


def languages(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Who told them, how many accepted requests were looked at, and requests by language."""
    asked = connection.execute(ASKED, {"sample": SAMPLE}).fetchall()
    return {
        "by": f"py3langid {version('py3langid')}",
        "sampled": sum(requests for _, requests in asked),
        "requests": count_languages(asked),
    }


def count_languages(asked: Iterable[tuple[str, int]]) -> dict[str, int]:
    """(query, requests) to requests by ISO 639-1 code, the most frequent first."""
    times: Counter[str] = Counter()
    for query, requests in asked:
        times[language_of(query)] += requests
    return dict(sorted(times.items(), key=lambda item: (-item[1], item[0])))
