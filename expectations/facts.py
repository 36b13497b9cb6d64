"""What one row cannot say of itself: facts worked out across tables, in DuckDB, as columns.

Every fact is null where its question makes no sense (an unknown request has shown nothing), and no
rule is broken by a null, so that one mistake is reported once.
"""

FACTS = {
    "catalogue": """
        SELECT *, regexp_matches(text, '[\\p{L}\\p{N}]') AS text_has_words,
               EXISTS (FROM catalogue_twice t WHERE t.doc_id = c.doc_id) AS is_twice
        FROM catalogue c""",
    "requests": """
        SELECT *, regexp_matches(query, '[^\\s\\p{Z}\\p{C}]') AS query_is_not_blank,
               coalesce(isfinite(latency_ms) AND latency_ms >= 0, false) AS latency_is_a_duration,
               EXISTS (FROM requests_twice t WHERE t.request_id = r.request_id) AS is_twice
        FROM requests r""",
    "impressions": """
        SELECT *, coalesce(isfinite(score), false) AS score_is_finite,
               isfinite(propensity) AND propensity > 0 AND propensity <= 1
                   AS propensity_is_a_chance,
               CASE WHEN request_id IS NOT NULL THEN
                   EXISTS (FROM requests r WHERE r.request_id = i.request_id)
               END AS request_is_known,
               CASE WHEN doc_id IS NOT NULL THEN
                   EXISTS (FROM catalogue c WHERE c.doc_id = i.doc_id)
               END AS document_is_known,
               EXISTS (FROM impressions_twice t
                       WHERE t.request_id = i.request_id AND t.doc_id = i.doc_id) AS is_twice
        FROM impressions i""",
    # Ranks up to 120 are told apart as bits of one number: a set for each request takes ten times
    # as long. DuckDB shifts before it filters.
    "pages": """
        SELECT min(row) AS row, request_id, count(*) AS shown,
               min(rank) AS first_rank, max(rank) AS last_rank,
               count(rank) = count(*) AND min(rank) = 1 AND max(rank) = count(*)
                   AND coalesce(bit_count(
                           bit_or(1::HUGEINT << least(greatest(rank, 0), 120)::HUGEINT)
                           FILTER (WHERE rank BETWEEN 1 AND 120)), 0)
                       + count(DISTINCT rank) FILTER (WHERE rank > 120) = count(*)
                   AS ranks_are_contiguous
        FROM impressions WHERE request_id IS NOT NULL GROUP BY request_id""",
    "events": """
        SELECT e.*, isfinite(value) AS value_is_finite,
               CASE WHEN e.request_id IS NOT NULL THEN asked.request_id IS NOT NULL
               END AS request_is_known,
               CASE WHEN asked.request_id IS NOT NULL AND e.doc_id IS NOT NULL THEN
                   EXISTS (FROM events_shown s
                           WHERE s.request_id = e.request_id AND s.doc_id = e.doc_id)
               END AS document_was_shown,
               (epoch_us(e.ts) - asked.ts) / 1e6 AS seconds_after_request,
               EXISTS (FROM events_twice t WHERE t.event_id = e.event_id) AS is_twice
        FROM events e
        LEFT JOIN (SELECT request_id, min(epoch_us(ts)) AS ts FROM requests
                   WHERE request_id IS NOT NULL GROUP BY request_id) asked
            ON asked.request_id = e.request_id""",
    "judgements": """
        SELECT *, regexp_matches(query, '[\\p{L}\\p{N}]') AS query_has_words,
               CASE WHEN doc_id IS NOT NULL THEN
                   EXISTS (FROM catalogue c WHERE c.doc_id = j.doc_id)
               END AS document_is_known,
               EXISTS (FROM judgements_twice t
                       WHERE t.query = j.query AND t.doc_id = j.doc_id) AS is_twice
        FROM judgements j""",
}
TWICE = {
    "catalogue": ("doc_id",),
    "requests": ("request_id",),
    "impressions": ("request_id", "doc_id"),
    "events": ("event_id",),
    "judgements": ("query", "doc_id"),
}
# The documents that events speak of are few; all that was shown would be a table of its own.
SHOWN = """
    CREATE TEMP TABLE events_shown AS
    SELECT DISTINCT request_id, doc_id FROM impressions
    SEMI JOIN (SELECT DISTINCT request_id, doc_id FROM events) USING (request_id, doc_id)"""
# What a page looks like in a sample; only asked for the few requests that are shown.
PAGE = """
    SELECT request_id, count(*) AS shown, min(rank) AS first_rank, max(rank) AS last_rank,
           list(rank ORDER BY rank)[:20]::VARCHAR AS rank
    FROM impressions WHERE list_contains($ids, request_id)
    GROUP BY request_id ORDER BY min(row)"""


def twice(table: str) -> str:
    """SQL that keeps the keys which several rows of a table share, as the table `<table>_twice`.

    Equal hashes first: millions of distinct texts would fill the memory, their hashes do not.
    """
    columns = TWICE[table]
    names, given = ", ".join(columns), " AND ".join(f"{name} IS NOT NULL" for name in columns)
    return f"""
        CREATE TEMP TABLE {table}_twice AS
        SELECT {names} FROM {table}
        WHERE {given} AND hash({names}) IN (
            SELECT hash({names}) AS place FROM {table} WHERE {given}
            GROUP BY place HAVING count(*) > 1)
        GROUP BY {names} HAVING count(*) > 1"""  # noqa: S608 - names of our own
