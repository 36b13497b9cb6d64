"""Parquet tables of one's own: files or folders, foreign column names, and their mistakes."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import World

from perennial.data.schema import LOG_TABLES, TABLES
from perennial.data.sources.parquet import copy_table, find_tables
from perennial.data.tables import read_table, write_table
from perennial.errors import BadInput, TableInvalid


def read_parquet_tables(
    folder: Path, *, columns: dict[str, dict[str, str]]
) -> dict[str, pd.DataFrame]:
    """The tables as an import brings them."""
    found = {}
    for table, files in find_tables(folder, columns=columns).items():
        copy_table(table, files, folder / "copy", columns=columns)
        found[table] = read_table(folder / "copy")
    return found


def test_a_source_folder_comes_back_whole(world: World, tmp_path: Path) -> None:
    found = read_parquet_tables(world.write_source(tmp_path / "source"), columns={})
    assert list(found) == list(TABLES)
    for table, rows in found.items():
        write_table(rows, tmp_path / "out.parquet", table=table)
        write_table(world.frame(table), tmp_path / "wanted.parquet", table=table)
        assert read_table(tmp_path / "out.parquet").equals(read_table(tmp_path / "wanted.parquet"))


def test_the_files_of_a_folder_are_one_table(world: World, tmp_path: Path) -> None:
    world.write_source(tmp_path)
    half = world.frame("requests")[:200]
    (tmp_path / "requests" / "part-0000.parquet").unlink()
    for number, rows in enumerate((half, world.frame("requests")[200:])):
        write_table(rows, tmp_path / "requests" / f"{number}.parquet", table="requests")
    rows = read_parquet_tables(tmp_path, columns={})["requests"]
    assert set(rows["request_id"]) == set(world.frame("requests")["request_id"])
    assert len(rows) == 400


def test_foreign_names_are_mapped_to_ours(world: World, tmp_path: Path) -> None:
    theirs = world.frame("catalogue").rename(columns={"doc_id": "sku", "text": "body"})
    theirs.drop(columns=["slice"]).to_parquet(tmp_path / "catalogue.parquet")
    columns = {"catalogue": {"doc_id": "sku", "text": "body"}}
    rows = read_parquet_tables(tmp_path, columns=columns)["catalogue"]
    assert rows["doc_id"].tolist() == theirs["sku"].tolist()
    assert rows["text"].tolist() == theirs["body"].tolist()
    assert rows["slice"].isna().all()  # what may be absent is absent
    write_table(rows, tmp_path / "out.parquet", table="catalogue")


def test_two_columns_may_change_places(tmp_path: Path) -> None:
    frame = pd.DataFrame({"doc_id": ["d"], "title": ["body"], "text": ["title"]})
    frame["updated_at"] = pd.Timestamp("2026-01-05", tz="UTC")
    frame.to_parquet(tmp_path / "catalogue.parquet")
    columns = {"catalogue": {"title": "text", "text": "title"}}
    rows = read_parquet_tables(tmp_path, columns=columns)["catalogue"]
    assert rows["title"].tolist() == ["title"] and rows["text"].tolist() == ["body"]
    assert rows.columns.is_unique


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"catalog": {}}, r"source\.columns\.catalog names no table; known are catalogue"),
        ({"requests": {"quary": "q"}}, r"source\.columns\.requests\.quary names no column of ours"),
        (
            {"requests": {"query": "asked"}},
            r"source\.columns\.requests maps 'asked', which",
        ),
    ],
)
def test_a_wrong_mapping_names_the_parameter(
    world: World, tmp_path: Path, columns: dict[str, dict[str, str]], says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        read_parquet_tables(world.write_source(tmp_path), columns=columns)


def test_a_log_is_optional_and_a_catalogue_is_not(world: World, tmp_path: Path) -> None:
    write_table(world.frame("catalogue"), tmp_path / "catalogue.parquet", table="catalogue")
    assert list(read_parquet_tables(tmp_path, columns={})) == ["catalogue"]
    (tmp_path / "catalogue.parquet").unlink()
    for table in LOG_TABLES:
        (tmp_path / table).mkdir()
    with pytest.raises(BadInput, match=r"holds no catalogue\.parquet"):
        read_parquet_tables(tmp_path, columns={})


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "catalogue.parquet").write_text("doc_id,title,text\n")
    with pytest.raises(BadInput, match=r"catalogue\.parquet is not readable as parquet"):
        read_parquet_tables(tmp_path, columns={})


def test_days_below_a_table_are_one_table_and_hidden_files_are_none(
    world: World, tmp_path: Path
) -> None:
    world.write_source(tmp_path)
    rows = world.arrow("events")
    (tmp_path / "events" / "part-0000.parquet").unlink()
    for day, part in (("2026-01-05", rows.slice(0, 50)), ("2026-01-06", rows.slice(50))):
        folder = tmp_path / "events" / f"date={day}"
        folder.mkdir()
        pq.write_table(part, folder / "part.parquet")
    for name in (".part.parquet", "_part.parquet", "_temporary/part.parquet"):
        path = tmp_path / "events" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    assert read_parquet_tables(tmp_path, columns={})["events"].equals(rows.to_pandas())


def test_a_log_is_copied_to_the_same_bytes_however_it_is_cut(world: World, tmp_path: Path) -> None:
    rows = pa.concat_tables([world.arrow("impressions")] * 40)  # more than a row group
    for name, cuts in (("one", [len(rows)]), ("two", [3, 70_001, len(rows)])):
        (tmp_path / name).mkdir()
        for start, end in zip([0, *cuts], cuts, strict=False):
            pq.write_table(rows.slice(start, end - start), tmp_path / name / f"{end:09d}.parquet")
        files = sorted((tmp_path / name).iterdir())
        assert copy_table("impressions", files, tmp_path / f"{name}.out", columns={}) == len(rows)
    assert (tmp_path / "one.out").read_bytes() == (tmp_path / "two.out").read_bytes()
    groups = pq.ParquetFile(tmp_path / "one.out").metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [131_072, 28_928]


def test_numbers_as_ids_are_taken_and_a_lack_of_them_is_named_by_its_row(tmp_path: Path) -> None:
    rows = {"query": ["a", "b"], "doc_id": [7, None], "grade": [1, 2]}
    path = tmp_path / "judgements.parquet"
    pq.write_table(pa.table(rows).slice(0, 1), path)
    assert copy_table("judgements", [path], tmp_path / "out", columns={}) == 1
    assert pq.read_table(tmp_path / "out")["doc_id"].to_pylist() == ["7"]
    pq.write_table(pa.table(rows), path)
    with pytest.raises(
        TableInvalid, match="doc_id of table judgements lacks a value, first in row 1"
    ):
        copy_table("judgements", [path], tmp_path / "out", columns={})
