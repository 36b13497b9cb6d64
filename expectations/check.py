"""Suites over frames: Great Expectations finds what is broken, and we keep what a person needs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
import pyarrow as pa
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.expectation import Expectation

from perennial.data.schema import TABLES
from perennial.errors import TableInvalid


@dataclass(frozen=True)
class Suite:
    """Expectations that speak of one frame and count for one table."""

    table: str
    frame: str
    expectations: Sequence[Expectation]


@dataclass(frozen=True)
class Outcome:
    """What became of one promise; `kept` is None where it could not be looked at."""

    table: str
    must: str
    do: str
    about: tuple[str, ...]
    kept: bool | None
    rows: int
    count: int
    sample: tuple[dict[str, Any], ...] = ()
    because: str = ""

    @property
    def share(self) -> float:
        """Broken rows among all rows; 1.0 for a promise of the table as a whole."""
        if self.kept is not False:
            return 0.0
        return self.count / self.rows if self.about and self.rows else 1.0


def check(
    suites: Iterable[Suite],
    frames: dict[str, pa.Table],
    *,
    unusable: dict[str, str],
    sample_rows: int,
) -> list[Outcome]:
    """Every promise of every suite, in their order; raises TableInvalid if one cannot be computed.

    `unusable` says why a table or a "table.column" cannot be looked at.
    """
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    # one asset for all frames: each new one costs 16 ms of writing a configuration nobody reads
    asset = context.data_sources.add_pandas("snapshot").add_dataframe_asset("frame")
    whole = asset.add_batch_definition_whole_dataframe("whole")
    outcomes = []
    for suite in suites:
        frame = frames[suite.frame]
        batch = whole.get_batch(batch_parameters={"dataframe": frame.to_pandas()})
        reasons = [_obstacle(suite.table, each, unusable) for each in suite.expectations]
        possible = [each for each, why in zip(suite.expectations, reasons, strict=True) if not why]
        results = batch.validate(
            gx.ExpectationSuite(name=suite.frame, expectations=possible),
            # the failing rows themselves: asking for their index costs 20 µs for each of them
            result_format={"result_format": "BASIC", "include_unexpected_rows": True},
        ).results
        by_promise = {each.expectation_config.description: each for each in results}
        for expectation, why in zip(suite.expectations, reasons, strict=True):
            result = None if why else by_promise[expectation.description]
            outcomes.append(_outcome(suite.table, expectation, result, why, frame, sample_rows))
    return outcomes


def _obstacle(table: str, expectation: Expectation, unusable: dict[str, str]) -> str:
    """Why the promise cannot be looked at, or nothing."""
    needs = list(expectation.meta["needs"])
    if not isinstance(expectation, gxe.ExpectTableRowCountToBeBetween):
        needs += [table, *(f"{table}.{column}" for column in expectation.meta["about"])]
        # a column of an empty table is no use either; to be counted it need not have rows
        needs += [need.partition(".")[0] for need in needs]
    return next((unusable[need] for need in needs if need in unusable), "")


def _outcome(
    table: str, expectation: Expectation, result: Any, why: str, frame: pa.Table, sample_rows: int
) -> Outcome:
    must, about = expectation.description, tuple(expectation.meta["about"])
    plain = {"table": table, "must": must, "do": expectation.meta["do"], "about": about}
    if why:
        return Outcome(**plain, kept=None, rows=frame.num_rows, count=0, because=why)
    if _raised(result.exception_info):
        raise TableInvalid(
            f"{table}: Great Expectations could not check that {must}: {result.exception_info}"
        )
    if not about:
        there = int(result.result["observed_value"])
        return Outcome(**plain, kept=bool(result.success), rows=there, count=there)
    broken = result.result.get("unexpected_rows")
    places = [] if broken is None or result.success else broken.index[:sample_rows].tolist()
    return Outcome(
        **plain,
        kept=bool(result.success),
        rows=int(result.result["element_count"]),
        count=int(result.result["unexpected_count"]),
        sample=tuple(_rows(table, frame, places)),
    )


def _raised(info: dict[str, Any]) -> bool:
    """Whether an expectation, or any metric below it, ended in an exception."""
    if "raised_exception" in info:
        return bool(info["raised_exception"])
    return any(_raised(part) for part in info.values() if isinstance(part, dict))


def _rows(table: str, frame: pa.Table, places: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of the frame without its flags, as arrow holds them: pandas would blur null and NaN."""
    own = TABLES[table].names
    shown = [f.name for f in frame.schema if f.name in own or f.type != pa.bool_()]
    return frame.select(shown).take(pa.array(places, pa.int64())).to_pylist()
