"""In which languages people ask, told from letter sequences by py3langid, offline.

A short query is often told wrong, but wrong in the same way today and then: what one and the same
labelling makes of two logs never differs by more than the logs do (data processing inequality,
Csiszár 1967). So shares are compared, no query's language is believed, and shares that another
version told are not compared at all.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import version
from typing import Any

import duckdb

SAMPLE = 20_000  # requests; two such samples tell a share that moved by 0.02
UNKNOWN = "unknown"  # nothing in it that any language's model has seen: numbers, single letters
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
    identify, nothing = _identifier()
    times: Counter[str] = Counter()
    for query, requests in asked:
        language, score = identify(query)
        times[UNKNOWN if score <= nothing else language] += requests
    return dict(sorted(times.items(), key=lambda item: (-item[1], item[0])))


@cache
def _identifier() -> tuple[Callable[[str], tuple[str, float]], float]:
    """A function from a text to (language, score), and the score of a text that tells nothing.

    Reading the model, which the package brings along, takes a second.
    """
    from py3langid.langid import MODEL_FILE, RAW_FLOOR, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE).classify, RAW_FLOOR
