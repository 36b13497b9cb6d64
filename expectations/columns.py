"""What every table promises before its rows are looked at: the schema's columns and types."""

import great_expectations.expectations as gxe
import pyarrow as pa
from great_expectations.expectations.expectation import Expectation

from expectations.promise import promise
from perennial.data.schema import TABLES


def found_columns(table: str, found: pa.Table) -> pa.Table:
    """One row per promised or found column: column, promised type, found type."""
    promised = {field.name: str(field.type) for field in TABLES[table]}
    there: dict[str, str] = {}
    for field in found.schema:  # a column that is there twice has two types
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


def fitted(table: str, found: pa.Table) -> tuple[pa.Table, set[str]]:
    """The table in its schema's types, and the columns that were missing or of another type.

    Such a column is all null from here on: promises about it are not checked.
    """
    arrays, unfit = [], set()
    for field in TABLES[table]:
        at = found.schema.get_all_field_indices(field.name)
        if len(at) == 1 and _plain(found.schema.field(at[0]).type) == str(field.type):
            arrays.append(found.column(at[0]).cast(field.type))
        else:
            arrays.append(pa.nulls(found.num_rows, field.type))
            unfit.add(field.name)
    names = [field.name for field in TABLES[table]]
    return pa.Table.from_arrays(arrays, names=names), unfit


def _plain(kind: pa.DataType) -> str:
    """A type's name, without the difference of 32 and 64 bit offsets, which nobody sees."""
    return str(kind).removeprefix("large_")
