"""Tables on disk: same rows, same bytes; a column that does not fit names itself."""

import warnings
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import World

from perennial.data.schema import TABLES
from perennial.data.tables import read_table, write_table
from perennial.errors import BadInput, TableInvalid


@pytest.mark.parametrize("table", list(TABLES))
def test_a_table_comes_back_as_it_was_written(world: World, tmp_path: Path, table: str) -> None:
    path = tmp_path / "new" / f"{table}.parquet"
    write_table(world.frame(table), path, table=table)
    assert pq.read_schema(path).equals(TABLES[table])
    assert pq.read_table(path).to_pylist() == world.arrow(table).to_pylist()
    again = tmp_path / "again.parquet"
    write_table(read_table(path), again, table=table)
    assert again.read_bytes() == path.read_bytes()


def test_the_seams_of_a_frame_do_not_show_in_the_bytes(world: World, tmp_path: Path) -> None:
    whole = world.frame("requests")
    parts = pd.concat([whole[:7], whole[7:100], whole[100:]])
    write_table(whole, tmp_path / "whole", table="requests")
    write_table(parts, tmp_path / "parts", table="requests")
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "parts").read_bytes()


def test_columns_beyond_the_schema_are_left_out(world: World, tmp_path: Path) -> None:
    frame = world.frame("judgements").assign(mood="good")
    write_table(frame, tmp_path / "j.parquet", table="judgements")
    assert "mood" not in read_table(tmp_path / "j.parquet")


def test_times_of_other_zones_and_without_one_become_utc(world: World, tmp_path: Path) -> None:
    frame = world.frame("catalogue")
    utc = frame["updated_at"]
    for times in (utc, utc.dt.tz_convert("Asia/Tokyo"), utc.dt.tz_localize(None), list(utc)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            write_table(frame.assign(updated_at=times), tmp_path / "c", table="catalogue")
        assert pq.read_table(tmp_path / "c")["updated_at"].to_pylist() == list(utc)


@pytest.mark.parametrize(
    ("table", "column", "value", "says"),
    [
        ("judgements", "grade", 2.5, "does not fit its type int8"),
        ("judgements", "grade", 300, "does not fit its type int8"),
        ("judgements", "grade", "good", "does not fit its type int8"),
        ("judgements", "query", 7, "does not fit its type string"),
        ("judgements", "doc_id", None, "lacks 60 of 60 values"),
        ("catalogue", "updated_at", "yesterday", "does not fit its type timestamp"),
        ("requests", "ts", None, "lacks 400 of 400 values"),
    ],
)
def test_a_value_of_the_wrong_type_names_its_column(
    world: World, tmp_path: Path, table: str, column: str, value: object, says: str
) -> None:
    with pytest.raises(TableInvalid, match=rf"column {column} of table {table} {says}"):
        frame = world.frame(table).assign(**{column: value})
        write_table(frame, tmp_path / "x.parquet", table=table)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_column_says_how_to_map_it(world: World, tmp_path: Path) -> None:
    frame = world.frame("requests").drop(columns=["query"])
    with pytest.raises(TableInvalid, match=r"lacks the column query.*source\.columns\.requests"):
        write_table(frame, tmp_path / "x.parquet", table="requests")


def test_a_file_that_is_none_or_no_parquet_names_its_path(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone\.parquet is missing"):
        read_table(tmp_path / "gone.parquet")
    (tmp_path / "text.parquet").write_text("not parquet, but long enough to have a footer")
    with pytest.raises(BadInput, match=r"text\.parquet is not a readable parquet file"):
        read_table(tmp_path / "text.parquet")


def test_a_table_without_rows_keeps_its_types(tmp_path: Path) -> None:
    empty = pa.Table.from_pylist([], schema=TABLES["events"]).to_pandas()
    write_table(empty, tmp_path / "e.parquet", table="events")
    assert pq.read_schema(tmp_path / "e.parquet").equals(TABLES["events"])
    assert len(read_table(tmp_path / "e.parquet")) == 0
