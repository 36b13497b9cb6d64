"""What every table promises before its rows are looked at: the schema's columns and types."""

import great_expectations.expectations as gxe
import pyarrow as pa
from great_expectations.expectations.expectation import Expectation

from expectations.promise import promise
from perennial.data.schema import TABLES


def found_columns(table: str, found: pa.Schema) -> pa.Table:
    """One row per promised or found column: column, promised type, found type."""
    promised = {field.name: str(field.type) for field in TABLES[table]}
    there: dict[str, str] = {}
    for field in found:  # a column that is there twice has two types
        before = f"{there[field.name]} and " if field.name in there else ""
        there[field.name] = before + _plain(field.type)
    names = [*promised, *(name for name in there if name not in promised)]
    return pa.table(
        {
            "column": pa.array(names, pa.string()),
            "promised": pa.array(map(promised.get, names), pa.string()),
            "found": pa.array(map(there.get, names), pa.string()),
        }
    )


def suite() -> list[Expectation]:
    """The promises of the frame that found_columns makes."""
    return [
        promise(
            gxe.ExpectColumnValuesToNotBeNull,
            "every column of the schema must be there",
            "export the missing columns, or map them in source.columns of params.yaml",
            about=["column", "promised"],
            column="found",
        ),
        promise(
            gxe.ExpectColumnValuesToNotBeNull,
            "no other column may be there",
            "drop the unknown columns, or map them in source.columns of params.yaml",
            about=["column", "found"],
            column="promised",
        ),
        promise(
            gxe.ExpectColumnPairValuesToBeEqual,
            "every column must have its type",
            "cast the columns in the source",
            about=["column", "promised", "found"],
            column_A="promised",
            column_B="found",
            ignore_row_if="either_value_is_missing",
        ),
    ]


def unfit(table: str, found: pa.Schema) -> set[str]:
    """The columns of the schema that were missing or of another type.

    Such a column is all null from here on: promises about it are not checked.
    """
    lower = [name.lower() for name in found.names]  # DuckDB does not tell Text from text
    return {
        field.name
        for field in TABLES[table]
        if lower.count(field.name) != 1
        or field.name not in found.names
        or _plain(found.field(field.name).type) != str(field.type)
    }


def _plain(kind: pa.DataType) -> str:
    """A type's name, without the difference of 32 and 64 bit offsets, which nobody sees."""
    return str(kind).removeprefix("large_")
