"""A source's tables as DuckDB's views, its window of days, and how batches come and go."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from perennial.data.schema import LOG_TABLES, TABLES
from perennial.data.sources.days import between, newest, part_files
from perennial.data.sources.parquet import read_of
from perennial.data.streams import BATCH_ROWS, FIRST, LAST, odd_time
from perennial.errors import BadInput, PlaceUnusable, TableInvalid
from perennial.verbs.arriving import settle

_IMPORT_LOG = "import your own log with `perennial import parquet --path FOLDER`"


@contextmanager
def frozen_log(source: Path, *, memory_mb: int, spill: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that works in the folder `spill` beyond `memory_mb`; removes it in the end.

    Raises TableInvalid for a damaged file, PlaceUnusable where there is no room.
    """
    spill.mkdir(mode=0o700)  # what spills is not yet redacted
    connection = duckdb.connect(
        config={"memory_limit": f"{memory_mb}MB", "temp_directory": str(spill)}
    )
    try:
        connection.execute("set timezone = 'UTC'; set enable_progress_bar = false")
        yield connection
    except duckdb.OutOfMemoryException as error:
        raise PlaceUnusable(
            f"a snapshot of {source} needs more room than {memory_mb} MB of memory and "
            f"{spill.parent} have ({_plain(error)}); free some space, or raise snapshot.memory_mb"
        ) from error
    except duckdb.Error as error:
        raise TableInvalid(
            f"the tables in {source} cannot be read ({_plain(error)}); import the source again, or "
            "remove the damaged file"
        ) from error
    finally:
        connection.close()
        shutil.rmtree(spill, ignore_errors=True)


def files_of(source: Path) -> dict[str, list[Path]]:
    """{table: files}; raises BadInput where a table has none."""
    settle(source)
    files = {
        name: part_files(source / name) if name in LOG_TABLES else [source / f"{name}.parquet"]
        for name in TABLES
    }
    for name in ("catalogue", "judgements"):
        if not files[name][0].exists():
            raise BadInput(
                f"{files[name][0]} is missing; import a source first: perennial import apidocs"
            )
    for name in LOG_TABLES:
        if not files[name]:
            raise BadInput(
                f"the log is empty: {source / name} holds no parquet file; run `perennial "
                f"simulate`, or {_IMPORT_LOG}"
            )
    return files


def last_moment(connection: duckdb.DuckDBPyConnection, requests: Sequence[Path]) -> datetime:
    """The time of the youngest request; raises BadInput where there is none."""
    for files in (newest(requests), requests):
        rows = read_of(connection, "requests", files)
        query = f"select max(ts)::timestamptz as latest, latest between ? and ? from ({rows})"  # noqa: S608
        ((latest, is_usual),) = connection.execute(query, [FIRST, LAST]).fetchall()
        if latest is not None:
            if not is_usual:
                raise odd_time("requests", "ts")
            return latest.astimezone(UTC)  # type: ignore[no-any-return]
    raise BadInput(
        f"the log is empty: no request in {_shared(requests)}; run `perennial simulate`, or "
        f"{_IMPORT_LOG}"
    )


def open_views(
    connection: duckdb.DuckDBPyConnection,
    files: Mapping[str, Sequence[Path]],
    *,
    start: datetime,
    end: datetime,
) -> None:
    """A view per table; of a table by days, those that may have to do with the window."""
    for name, every in files.items():
        # A table without a file of these days still has its columns.
        some = between(every, start.date(), end.date()) or list(every[-1:])
        connection.execute(f"create view {name} as {read_of(connection, name, some)}")


def stream(
    connection: duckdb.DuckDBPyConnection, query: str, **values: object
) -> Iterator[pa.RecordBatch]:
    """The query's rows in batches; meanwhile the connection may write elsewhere."""
    with connection.cursor() as reading:
        reading.execute("set timezone = 'UTC'; set enable_progress_bar = false")
        yield from reading.sql(query, params=values).to_arrow_reader(BATCH_ROWS)


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    """Append rows to a table by the names of their columns."""
    connection.register("incoming", rows)
    connection.execute(f"insert into {table} by name select * from incoming")  # noqa: S608
    connection.unregister("incoming")


def number(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """The one number that the query counts."""
    ((found,),) = connection.execute(query).fetchall()
    return int(found or 0)


def _shared(files: Sequence[Path]) -> Path:
    return files[0].parent


def _plain(error: Exception) -> str:
    return " ".join(str(error).split())[:500]
