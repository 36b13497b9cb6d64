"""Which rows a snapshot holds: the settled window of the log, about documents that still exist."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perennial.data.redaction import redact_rows
from perennial.data.schema import LOG_TABLES, TABLES
from perennial.errors import BadInput, TableInvalid

_IMPORT_LOG = "import your own log with `perennial import parquet --path FOLDER`"

# Younger requests still wait for late clicks.
_USABLE = """
create temp table usable as
select request_id, min(ts) as ts from read_parquet($requests)
where ts between $start and $settled group by request_id"""
# A request that showed a document since deleted is left out whole: without that document its
# ranks and its skipped results would tell something that nobody saw.
_GONE = """
create temp table gone as
select distinct request_id from read_parquet($impressions) i
semi join usable using (request_id)
anti join read_parquet($catalogue) c on i.doc_id = c.doc_id
where i.doc_id is not null"""
_LOG = {
    "requests": """
        select * from read_parquet($requests) semi join usable using (request_id)
        where ts between $start and $settled order by ts, request_id""",
    "impressions": """
        select i.* from read_parquet($impressions) i join usable r using (request_id)
        order by r.ts, request_id, i.rank, i.doc_id""",
    "events": """
        select e.* from read_parquet($events) e semi join usable using (request_id)
        where e.ts <= $end order by e.ts, e.event_id""",
}
_LABELS = """
    select *, doc_id is null or exists (
        from read_parquet($catalogue) c where c.doc_id = j.doc_id) as is_known
    from read_parquet($judgements) j order by query, doc_id, grade"""


@dataclass(frozen=True)
class Frozen:
    """The rows that were written, what was left out of them, and findings by table and kind."""

    start: datetime
    end: datetime
    rows: dict[str, int]
    dropped: dict[str, int]
    redacted: dict[str, dict[str, int]]


def freeze_tables(
    source: Path, to: Path, *, window: timedelta, settle: timedelta, max_unknown_share: float
) -> Frozen:
    """Write the five tables of `source` into the folder `to`; raises BadInput, TableInvalid.

    Requests and judgements about documents that the catalogue no longer has are left out, up to
    `max_unknown_share` of either table. Beyond it none is: so many are no deletions but a foreign
    log, and the stage validate refuses it by name.
    """
    places = _places(source)
    redacted: dict[str, dict[str, int]] = {}
    shutil.copyfile(places["catalogue"], to / "catalogue.parquet")
    try:
        with duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            end = _latest(connection, places["requests"])
            start, settled = end - window, end - settle
            given = {**places, "start": start, "settled": settled, "end": end}
            for query in (_USABLE, _GONE):
                connection.execute(query, _named(query, given))
            gone = _leave_out(connection, max_unknown_share)
            for name, query in _LOG.items():
                redacted[name] = _write(_rows(connection, query, given), to, name)
            labels = _rows(connection, _LABELS, given)
            known = labels.filter(labels["is_known"])
            lost = len(labels) - len(known)
            lost = lost if lost <= max_unknown_share * len(labels) else 0
            redacted["judgements"] = _write(known if lost else labels, to, "judgements")
    except duckdb.Error as error:
        reason = " ".join(str(error).split())
        raise TableInvalid(
            f"the tables in {source} cannot be read ({reason}); import the source again, or "
            "remove the damaged file"
        ) from error
    rows = {name: pq.read_metadata(to / f"{name}.parquet").num_rows for name in TABLES}
    dropped = {"requests": gone, "judgements": lost}
    found = {name: counts for name, counts in redacted.items() if "query" in TABLES[name].names}
    return Frozen(start=start, end=end, rows=rows, dropped=dropped, redacted=found)


def _places(source: Path) -> dict[str, str]:
    for name in ("catalogue", "judgements"):
        if not (source / f"{name}.parquet").exists():
            raise BadInput(
                f"{source}/{name}.parquet is missing; import a source first: "
                "perennial import apidocs"
            )
    for name in LOG_TABLES:
        if not list((source / name).glob("*.parquet")):
            raise BadInput(
                f"the log is empty: {source / name} holds no parquet file; run `perennial "
                f"simulate`, or {_IMPORT_LOG}"
            )
    return {
        name: str(source / name / "*.parquet" if name in LOG_TABLES else source / f"{name}.parquet")
        for name in TABLES
    }


def _latest(connection: duckdb.DuckDBPyConnection, requests: str) -> datetime:
    query = "select max(ts) from read_parquet($requests)"
    ((latest,),) = connection.execute(query, {"requests": requests}).fetchall()
    if latest is None:
        raise BadInput(
            f"the log is empty: no request in {requests}; run `perennial simulate`, or "
            f"{_IMPORT_LOG}"
        )
    return latest.astimezone(UTC)  # type: ignore[no-any-return]


def _leave_out(connection: duckdb.DuckDBPyConnection, max_share: float) -> int:
    """Take the gone requests out of the usable ones, unless they are too many; how many."""
    ((gone, usable),) = connection.execute(
        "select (select count(*) from gone), (select count(*) from usable)"
    ).fetchall()
    if gone > max_share * usable:
        return 0
    connection.execute("delete from usable where request_id in (select request_id from gone)")
    return int(gone)


def _rows(
    connection: duckdb.DuckDBPyConnection, query: str, values: Mapping[str, object]
) -> pa.Table:
    return connection.sql(query, params=_named(query, values)).to_arrow_table()


def _named(query: str, values: Mapping[str, object]) -> dict[str, object]:
    """The values that the query names: duckdb takes no others."""
    return {name: value for name, value in values.items() if f"${name}" in query}


def _write(rows: pa.Table, to: Path, name: str) -> dict[str, int]:
    """Write rows, queries redacted: findings by kind; raises TableInvalid naming a misfit."""
    schema = TABLES[name]
    missing = [column for column in schema.names if column not in rows.column_names]
    if missing:
        raise TableInvalid(
            f"table {name} of the source lacks the column {missing[0]}; add it, or map another "
            f"name to it under source.columns.{name} in params.yaml and import again"
        )
    try:
        typed = rows.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, ValueError) as error:
        raise TableInvalid(
            f"table {name} of the source does not fit its schema: {error}"
        ) from error
    found: dict[str, int] = {}
    if "query" in schema.names:
        redacted = redact_rows(typed["query"])
        found, place = redacted.counts, schema.get_field_index("query")
        changed = pc.not_equal(typed["query"], redacted.queries).fill_null(False)
        typed = typed.set_column(place, schema.field("query"), redacted.queries)
        if name == "judgements":
            typed = _highest_grades(typed, changed)
    pq.write_table(typed, to / f"{name}.parquet")
    return found


def _highest_grades(labels: pa.Table, changed: pa.ChunkedArray) -> pa.Table:
    """One label a document where two queries became one by redaction, the higher; what the source
    itself says twice stays, for validate to refuse."""
    if not pc.any(changed).as_py():
        return labels
    frame = labels.select(["query", "doc_id", "grade"]).to_pandas().assign(changed=changed)
    ordered = frame.sort_values(["grade", "changed"], ascending=[False, True], kind="stable")
    again = ordered.duplicated(["query", "doc_id"]) & ordered["changed"]
    return labels.filter(pa.array(~again.sort_index().to_numpy()))
