"""The five tables: their columns and types, once, for every reader and writer.

Times are UTC. A table is a parquet file; a column name is written nowhere else.
"""

import pyarrow as pa

TIME = pa.timestamp("us", tz="UTC")

CATALOGUE = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("slice", pa.string()),
        pa.field("updated_at", TIME, nullable=False),
    ]
)
REQUESTS = pa.schema(
    [
        pa.field("request_id", pa.string(), nullable=False),
        pa.field("session_id", pa.string(), nullable=False),
        pa.field("ts", TIME, nullable=False),
        pa.field("query", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("arm", pa.string(), nullable=False),
        pa.field("release_id", pa.string(), nullable=False),
        pa.field("n_results", pa.int32(), nullable=False),
        pa.field("latency_ms", pa.float64(), nullable=False),
        pa.field("explored", pa.bool_(), nullable=False),
    ]
)
IMPRESSIONS = pa.schema(
    [
        pa.field("request_id", pa.string(), nullable=False),
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("rank", pa.int32(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
        pa.field("release_id", pa.string(), nullable=False),
        pa.field("team", pa.string()),
        pa.field("propensity", pa.float64()),
    ]
)
EVENTS = pa.schema(
    [
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("request_id", pa.string(), nullable=False),
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("type", pa.string(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("ts", TIME, nullable=False),
    ]
)
JUDGEMENTS = pa.schema(
    [
        pa.field("query", pa.string(), nullable=False),
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("grade", pa.int8(), nullable=False),
        pa.field("slice", pa.string()),
    ]
)
# What a mirror keeps of a live query: never its words, which requests has under the same id.
MIRRORED = pa.schema(
    [
        pa.field("request_id", pa.string(), nullable=False),
        pa.field("ts", TIME, nullable=False),
        pa.field("stable", pa.string(), nullable=False),  # both are release ids
        pa.field("candidate", pa.string(), nullable=False),
        pa.field("stable_docs", pa.list_(pa.string()), nullable=False),
        pa.field("stable_scores", pa.list_(pa.float32()), nullable=False),
        pa.field("candidate_docs", pa.list_(pa.string()), nullable=False),
        pa.field("candidate_scores", pa.list_(pa.float32()), nullable=False),
        pa.field("stable_ms", pa.float64()),  # on the mirror's own thread, like the candidate's
        pa.field("candidate_ms", pa.float64(), nullable=False),
    ]
)

TABLES = {
    "catalogue": CATALOGUE,
    "requests": REQUESTS,
    "impressions": IMPRESSIONS,
    "events": EVENTS,
    "judgements": JUDGEMENTS,
}
LOG_TABLES = ("requests", "impressions", "events")
ARMS = ("stable", "candidate", "interleaved")
EVENT_TYPES = ("click", "dwell", "convert")
GRADES = (0, 1, 2, 3)
