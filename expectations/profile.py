"""What the accepted log looks like, in plain numbers: the next validation compares itself to it."""

import unicodedata
from collections import Counter
from typing import Any

import duckdb

from expectations.languages import languages

SCRIPTS = 8  # the most frequent ones; the rest are counted together

CLICKED = """
    CREATE OR REPLACE TEMP VIEW clicked AS
    SELECT DISTINCT request_id, doc_id FROM accepted_events WHERE type = 'click'"""
DAYS = """
    WITH shown AS (SELECT request_id, count(*) AS n FROM accepted_impressions GROUP BY ALL),
    hit AS (SELECT request_id, count(*) AS n FROM clicked GROUP BY ALL)
    SELECT strftime(make_timestamp(epoch_us(ts)), '%Y-%m-%d') AS day, count(*) AS requests,
           coalesce(sum(shown.n), 0)::BIGINT AS impressions,
           coalesce(sum(hit.n), 0)::BIGINT AS clicks
    FROM accepted_requests
    LEFT JOIN shown USING (request_id) LEFT JOIN hit USING (request_id)
    GROUP BY day ORDER BY day"""
# Below rank 100 nobody looks, and one long export must not swell the profile.
BY_RANK = """
    SELECT i.rank, count(*) AS impressions, count(c.doc_id) AS clicks
    FROM accepted_impressions i LEFT JOIN clicked c USING (request_id, doc_id)
    WHERE i.rank <= 100 GROUP BY i.rank ORDER BY i.rank"""
LENGTHS = """
    SELECT quantile_disc(length(query), 0.05) AS p05, quantile_disc(length(query), 0.5) AS p50,
           quantile_disc(length(query), 0.95) AS p95, round(avg(length(query)), 6) AS mean
    FROM accepted_requests"""
WORDS = """
    SELECT least(len(regexp_extract_all(query, '[^\\s\\p{Z}\\p{C}]+')), 10) AS words,
           count(*) AS requests
    FROM accepted_requests GROUP BY words ORDER BY words"""
# A query's first 100 characters tell its script.
LETTERS = """
    SELECT unnest(string_split(left(query, 100), '')) AS letter, sum(n)::BIGINT AS times
    FROM (SELECT query, count(*) AS n FROM accepted_requests GROUP BY query)
    GROUP BY letter"""
TOP = """
    SELECT query, count(*) AS requests FROM accepted_requests
    GROUP BY query ORDER BY requests DESC, query LIMIT 20"""
TOTALS = """
    SELECT count(*) AS requests, count(DISTINCT session_id) AS sessions,
           count(DISTINCT query) AS distinct_queries
    FROM accepted_requests"""


def profile(connection: duckdb.DuckDBPyConnection, *, bots: dict[str, int]) -> dict[str, Any]:
    """The relations accepted_requests, accepted_impressions and accepted_events in numbers."""
    connection.execute(CLICKED)
    (lengths,), (totals,) = _rows(connection, LENGTHS), _rows(connection, TOTALS)
    words = {row["words"]: row["requests"] for row in _rows(connection, WORDS)}
    return {
        "format_version": 1,
        "days": _rows(connection, DAYS),
        "ranks": _rows(connection, BY_RANK),
        "query_characters": {name: value or 0 for name, value in lengths.items()},
        "query_words": {"10+" if n == 10 else str(n): count for n, count in words.items()},
        "scripts": scripts(connection.execute(LETTERS).fetchall()),
        "languages": languages(connection),
        "top_queries": _rows(connection, TOP),
        **totals,
        "bots": bots,
    }


def scripts(letters: list[tuple[str, int]]) -> dict[str, float]:
    """(letter, times) to the share of each script, by the first word of a letter's Unicode name."""
    times: Counter[str] = Counter()
    for letter, count in letters:
        plain = unicodedata.normalize("NFKC", letter)[:1]
        if plain and unicodedata.category(plain).startswith("L"):
            times[unicodedata.name(plain, "other").split()[0].lower()] += count
    total = sum(times.values())
    known = sorted(times.items(), key=lambda item: (-item[1], item[0]))[:SCRIPTS]
    shares = {name: round(count / total, 6) for name, count in known}
    if len(times) > len(shares):
        rest = total - sum(count for _, count in known)
        shares["other"] = round(shares.get("other", 0.0) + rest / total, 6)
    return shares


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    found = connection.execute(query)
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
