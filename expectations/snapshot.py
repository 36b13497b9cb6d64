"""All promises of a snapshot in reading order: a table's columns, its rows, then across tables."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from expectations import catalogue, columns, events, impressions, judgements, requests
from expectations.bots import bot_suite, find_bots
from expectations.breaches import count_suite, find
from expectations.check import Outcome, Suite, check, obstacle
from expectations.habits import habit_suites
from expectations.leaving import leave, reasons, share_suite
from expectations.profile import profile
from expectations.promise import Least, Rule
from expectations.reference import Reference
from expectations.relations import relations
from expectations.sides import side_suite
from expectations.tables import Snapshot
from perennial.data.schema import LOG_TABLES, TABLES

Rules = dict[str, Sequence[Rule | Least]]
TABLE_OF = {"pages": "impressions", "clicks": "events"}


@dataclass(frozen=True)
class Findings:
    """What became of every promise, and which rows of the log leave, (row, reason) by table."""

    outcomes: list[Outcome]
    rows: dict[str, int]
    leaving: dict[str, pa.Table]
    profile: dict[str, Any]

    @property
    def quarantined(self) -> dict[str, dict[str, int]]:
        """The number of rows that leave, by table and reason."""
        return {table: reasons(found) for table, found in self.leaving.items()}

    @property
    def accepted(self) -> dict[str, int]:
        """The number of rows of the log that stay."""
        return {t: self.rows[t] - found.num_rows for t, found in self.leaving.items()}

    @property
    def success(self) -> bool:
        """Whether the snapshot may teach."""
        return not any(each.stops for each in self.outcomes)


def rules_of(
    snapshot: Snapshot,
    *,
    max_text_characters: int,
    max_query_characters: int,
    max_null_slice_share: float,
    min_requests: int,
    min_clicks: int,
    max_dwell_seconds: int,
    click_window_seconds: int,
) -> Rules:
    """The rules of every table, and of `pages` and `clicks`, which are taken from two of them."""
    start, end = snapshot.start, snapshot.end
    return {
        "catalogue": catalogue.suite(
            max_text_characters=max_text_characters, max_null_slice_share=max_null_slice_share
        ),
        "requests": requests.suite(
            start=start,
            settled=end - timedelta(seconds=click_window_seconds),
            max_query_characters=max_query_characters,
            min_requests=min_requests,
        ),
        "impressions": impressions.suite(),
        "pages": impressions.page_suite(),
        "events": events.suite(start=start, end=end, max_dwell_seconds=max_dwell_seconds),
        "clicks": events.click_suite(min_clicks=min_clicks),
        "judgements": judgements.suite(max_query_characters=max_query_characters),
    }


def look(
    snapshot: Snapshot,
    rules: Rules,
    *,
    reference: Reference | None,
    quarantine: bool,
    max_quarantined_share: float,
    max_requests_per_minute: int,
    max_requests_per_session: int,
    max_bot_share: float,
    min_click_fall: float,
    max_volume_change: float,
    max_query_shift: float,
    sample_rows: int,
    memory_mb: int,
    spill: Path,
    is_held_out: Callable[[Sequence[str]], np.ndarray],
) -> Findings:
    """Judges every promise; nothing raises for broken rows, only for what cannot be read.

    With `quarantine`, broken rows of the log warn and leave, up to `max_quarantined_share` of each
    table; without it they stop. Bots leave either way.
    """
    unusable, unfit = _unusable(snapshot)
    rows = {table: found.rows for table, found in snapshot.tables.items()}
    with relations(snapshot, unfit=unfit, memory_mb=memory_mb, spill=spill) as connection:
        broken = {
            source: find(connection, source, _possible(source, rules[source], unusable))
            for source in rules
            if source != "clicks"
        }
        bots = find_bots(
            connection,
            max_per_minute=max_requests_per_minute,
            max_per_session=max_requests_per_session,
        )
        leaving = leave(connection, broken_too=quarantine)
        described = profile(connection, bots=bots)
        there = {"document": rows["catalogue"], **_accepted(connection)}
        suites = [
            Suite(table, columns.found_columns(table, found.schema), columns.suite())
            for table, found in snapshot.tables.items()
        ]
        suites += [
            count_suite(
                connection,
                source,
                rules[source],
                table=TABLE_OF.get(source, source),
                broken=broken.get(source, {}),
                there=there,
                critical=not (quarantine and TABLE_OF.get(source, source) in LOG_TABLES),
                sample_rows=sample_rows,
            )
            for source in rules
        ]
        suites.append(bot_suite(bots, rows=rows["requests"], max_share=max_bot_share))
        if quarantine:
            suites += [
                share_suite(table, reasons(leaving[table]), rows[table], max_quarantined_share)
                for table in LOG_TABLES
            ]
        suites.append(side_suite(connection, is_held_out=is_held_out))
        suites += habit_suites(
            connection,
            described,
            reference,
            start=snapshot.start,
            end=snapshot.end,
            min_click_fall=min_click_fall,
            max_volume_change=max_volume_change,
            max_query_shift=max_query_shift,
        )
        suites.sort(key=lambda suite: list(TABLES).index(suite.table))  # stable
        outcomes = check(suites, unusable=unusable, sample_rows=sample_rows)
    return Findings(outcomes, rows, leaving, described)


def _unusable(snapshot: Snapshot) -> tuple[dict[str, str], set[str]]:
    """Why a table or a "table.column" cannot be looked at, and the columns that do not fit."""
    unusable, unfit = {}, set()
    for table, found in snapshot.tables.items():
        if not found.rows:
            unusable[table] = f"{table} is empty"
        for column in sorted(columns.unfit(table, found.schema)):
            unfit.add(f"{table}.{column}")
            unusable[f"{table}.{column}"] = f"{table}.{column} is missing or has another type"
    return unusable, unfit


def _possible(source: str, rules: Sequence[Rule | Least], unusable: dict[str, str]) -> list[Rule]:
    """The rules that can be looked at: what hides behind another mistake must make no row leave."""
    table = TABLE_OF.get(source, source)
    return [
        rule
        for rule in rules
        if isinstance(rule, Rule)
        and not obstacle(table, needs=rule.needs, about=rule.about, unusable=unusable)
    ]


def _accepted(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """What is counted of the accepted log."""
    row = connection.execute(
        """SELECT (SELECT count(*) FROM accepted_requests),
                  (SELECT count(*) FROM accepted_impressions),
                  (SELECT count(*) FROM accepted_events WHERE type = 'click')"""
    ).fetchone()
    return dict(zip(("requests", "impression", "clicks"), row or (), strict=True))
