"""Suites over frames: Great Expectations finds what is broken, and we keep what a person needs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import great_expectations as gx
import pyarrow as pa
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.expectation import Expectation

from perennial.data.schema import TABLES
from perennial.errors import TableInvalid

Sample = Callable[[str], Sequence[dict[str, Any]]]


@dataclass(frozen=True)
class Suite:
    """Expectations that speak of one small frame and count for one table.

    Where the frame holds counts of broken rows, `sample` shows some of them, by the count's column.
    `because` says why nothing of it can be looked at.
    """

    table: str
    frame: pa.Table
    expectations: Sequence[Expectation]
    sample: Sample = lambda column: ()
    because: str = ""


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
    severity: str = "critical"
    sample: tuple[dict[str, Any], ...] = ()
    because: str = ""

    @property
    def share(self) -> float:
        """Broken rows among all rows; 1.0 for a promise of the table as a whole."""
        if self.kept is not False:
            return 0.0
        return self.count / self.rows if self.about and self.rows else 1.0

    @property
    def stops(self) -> bool:
        """Whether the snapshot must not teach."""
        return self.kept is False and self.severity == "critical"

    @property
    def warns(self) -> bool:
        """Whether a person should know, and the retrain goes on."""
        return self.kept is False and self.severity != "critical"


def check(suites: Iterable[Suite], *, unusable: dict[str, str], sample_rows: int) -> list[Outcome]:
    """Every promise of every suite, in their order; raises TableInvalid if one cannot be computed.

    `unusable` says why a table or a "table.column" cannot be looked at.
    """
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    # one asset for all frames: each new one costs 16 ms of writing a configuration nobody reads
    asset = context.data_sources.add_pandas("snapshot").add_dataframe_asset("frame")
    whole = asset.add_batch_definition_whole_dataframe("whole")
    outcomes = []
    for number, suite in enumerate(suites):
        reasons = [
            obstacle(suite.table, needs=e.meta["needs"], about=e.meta["about"], unusable=unusable)
            or suite.because
            for e in suite.expectations
        ]
        possible = [e for e, why in zip(suite.expectations, reasons, strict=True) if not why]
        by_promise = {}
        if possible:
            batch = whole.get_batch(batch_parameters={"dataframe": suite.frame.to_pandas()})
            results = batch.validate(
                gx.ExpectationSuite(name=f"{suite.table} {number}", expectations=possible),
                # the failing rows themselves: asking for their index costs 20 µs for each of them
                result_format={"result_format": "BASIC", "include_unexpected_rows": True},
            ).results
            by_promise = {each.expectation_config.description: each for each in results}
        for expectation, why in zip(suite.expectations, reasons, strict=True):
            result = None if why else by_promise[expectation.description]
            outcomes.append(_outcome(suite, expectation, result, why, sample_rows))
    return outcomes


def obstacle(
    table: str, *, needs: Sequence[str], about: Sequence[str], unusable: dict[str, str]
) -> str:
    """Why a promise of a table cannot be looked at, or nothing."""
    needs = list(needs)
    if about:  # a column of an empty table is no use either; to be counted it need not have rows
        needs += [table, *(f"{table}.{column}" for column in about)]
        needs += [need.partition(".")[0] for need in needs]
    return next((unusable[need] for need in needs if need in unusable), "")


def _outcome(
    suite: Suite, expectation: Expectation, result: Any, why: str, sample_rows: int
) -> Outcome:
    must, about = expectation.description, tuple(expectation.meta["about"])
    plain = {"table": suite.table, "must": must, "do": expectation.meta["do"], "about": about}
    plain["severity"] = expectation.severity.value
    of = expectation.meta["of"]
    if why:
        rows = suite.frame.num_rows if of is None else of
        return Outcome(**plain, kept=None, rows=rows, count=0, because=why)
    if _raised(result.exception_info):
        raise TableInvalid(
            f"{suite.table}: Great Expectations could not check that {must}: "
            f"{result.exception_info}"
        )
    kept = bool(result.success)
    if of is not None or not about:  # the frame's one row holds a count
        count = suite.frame.column(expectation.column)[0].as_py()
        sample = () if kept or not about else suite.sample(expectation.column)
        rows = count if of is None else of
        return Outcome(**plain, kept=kept, rows=rows, count=count, sample=tuple(sample))
    broken = result.result.get("unexpected_rows")
    places = [] if broken is None or kept else broken.index[:sample_rows].tolist()
    return Outcome(
        **plain,
        kept=kept,
        rows=int(result.result["element_count"]),
        count=int(result.result["unexpected_count"]),
        sample=tuple(_rows(suite, places)),
    )


def _raised(info: dict[str, Any]) -> bool:
    """Whether an expectation, or any metric below it, ended in an exception."""
    if "raised_exception" in info:
        return bool(info["raised_exception"])
    return any(_raised(part) for part in info.values() if isinstance(part, dict))


def _rows(suite: Suite, places: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of the frame without its flags, as arrow holds them: pandas would blur null and NaN."""
    own = TABLES[suite.table].names
    shown = [f.name for f in suite.frame.schema if f.name in own or f.type != pa.bool_()]
    return suite.frame.select(shown).take(pa.array(places, pa.int64())).to_pylist()
