"""Session ids that name nobody: hashed with a key, or numbered in the order they appear in."""

import hmac
from hashlib import sha256

import duckdb
import pyarrow as pa

from perennial.verbs.freezing.log import insert, stream

_LENGTH = 32  # hex digits, 128 bits: no two of a log's sessions fall together
_NUMBERED = """
    insert into people
    select session_id, format('session-{:07d}', row_number() over (order by first, session_id))
    from (select session_id, min(place) as first from asked where session_id is not null
          group by session_id)"""


def name_sessions(connection: duckdb.DuckDBPyConnection, *, key: bytes | None) -> str:
    """Fill the table people (session_id, name) for the sessions that asked; keyed or numbered.

    The same session has the same name in every snapshot under one key; numbers begin anew.
    """
    connection.execute("create table people (session_id varchar, name varchar)")
    if key is None:
        connection.execute(_NUMBERED)
        return "numbered"
    query = "select distinct session_id from asked where session_id is not null"
    for batch in stream(connection, query):
        ids = batch["session_id"]
        names = [pseudonym(each, key) for each in ids.to_pylist()]
        insert(connection, "people", pa.table({"session_id": ids, "name": pa.array(names)}))
    return "keyed"


def pseudonym(session_id: str, key: bytes) -> str:
    """32 hex digits of HMAC-SHA256 (RFC 2104)."""
    return hmac.digest(key, session_id.encode(), sha256).hex()[:_LENGTH]
