"""`perennial history`: who promoted, forced, rolled back, resumed, forgot; when, what and why."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from perennial.errors import IntegrityError
from perennial.release.audit import MOVED, Deed, moved, read_records
from perennial.release.channels.history import REINDEX
from perennial.release.channels.moves import read_checked_channel
from perennial.release.stores.open import open_store
from perennial.release.stores.store import Store
from perennial.workspace import Places


def register_history(app: typer.Typer, *, key: Callable[[], bytes | None]) -> None:
    """Add the verb to the command line; `key` reads the environment when it runs."""

    @app.command()
    def history(
        reindexes: Annotated[
            bool, typer.Option("--reindexes", help="Those that channels still remember, too.")
        ] = False,
        as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    ) -> None:
        """Show who did what and why, in all channels and what was forgotten, the oldest first."""
        store = open_store(Places.from_environment().store)
        told = history_of(store, key=key(), reindexes=reindexes)
        rows, malformed = told.deeds, [str(error) for error in told.malformed]
        if as_json:
            shown = {"format_version": 1, "deeds": rows, "malformed": malformed}
            print(json.dumps(shown, indent=2, sort_keys=True))
        else:
            _show(rows, Console())
        said = []
        if malformed:
            said.append(
                f"{len(malformed)} of {len(rows) + len(malformed)} records cannot be read, and are "
                f"not shown: {'; '.join(malformed)}"
            )
        if doubted := sum(each["doubt"] is not None for each in rows):
            said.append(
                f"{doubted} of {len(rows)} records are not signed by PERENNIAL_SIGNING_KEY, and "
                "are marked; those from before it was set never will be, of others find out who "
                "wrote them"
            )
        if said:
            raise IntegrityError("; ".join(said))


@dataclass(frozen=True)
class History:
    """The deeds, and what cannot be read of them."""

    deeds: list[dict[str, Any]]
    malformed: list[IntegrityError]


def history_of(store: Store, *, key: bytes | None, reindexes: bool) -> History:
    """Every deed, the oldest first: of the audit log, and of the history that each channel has."""
    records = read_records(store, key=key)
    malformed = list(records.malformed)
    kept = [
        _row(deed.at, deed.who, deed.what, deed.why, deed.about)
        | {"doubt": _mark(deed) if doubt is not None else None}
        for deed, doubt in records.deeds
    ]
    for name in store.channel_names():
        try:
            channel = read_checked_channel(store, name, key=key)
        except IntegrityError as error:
            malformed.append(error)
            continue
        for move in () if channel is None else channel.history:
            about = moved(name, move)
            row = _row(move.at, move.who, MOVED, move.why, about)
            if (reindexes or move.who != REINDEX) and row not in kept:
                kept.append(row)
    return History(sorted(kept, key=lambda each: str(each["at"])), malformed)


def _row(at: str, who: str, what: str, why: str, about: dict[str, Any]) -> dict[str, Any]:
    return {"at": at, "who": who, "what": what, "why": why, "about": about, "doubt": None}


def _mark(deed: Deed) -> str:
    return "not signed" if deed.signature is None else "wrongly signed"


def _show(rows: list[dict[str, Any]], console: Console) -> None:
    table = Table("when", "who", "what", "why", box=SIMPLE_HEAD)
    for row in rows:
        when = str(row["at"])[:16].replace("T", " ")
        style = "bold red" if row["about"].get("forced") or row["doubt"] else ""
        what = f"{row['doubt'].upper()}: {_what(row)}" if row["doubt"] else _what(row)
        table.add_row(when, *(Text(each, style) for each in (row["who"], what, row["why"])))
    console.print(table if rows else "Nothing was done yet.")


def _what(row: dict[str, Any]) -> str:
    about = row["about"]
    if row["what"] != MOVED:
        return str(row["what"])
    if about["from"] == about["to"]:
        return f"{about['channel']} stayed on {about['to']}"
    forced = "FORCED: " if about.get("forced") else ""
    return f"{forced}{about['channel']} to {about['to']}"
