"""Parquet tables of one's own: files or folders, foreign column names, and their mistakes."""

from pathlib import Path

import pandas as pd
import pytest
from conftest import World

from perennial.data.schema import LOG_TABLES, TABLES
from perennial.data.sources.parquet import read_parquet_tables
from perennial.data.tables import read_table, write_table
from perennial.errors import BadInput


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
