"""What the keeping verbs found or did: as JSON for programs, as tables and sentences for people."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from perennial.release.forgetting.forget import Forgetting
from perennial.release.sweeping.sweep import Sweep
from perennial.release.verify import Finding, Verification
from perennial.verbs.progress import megabytes
from perennial.verbs.remains import Remains, show_remains

_BEYOND = (
    "Not reached: what the encoders' weights learned, logs and judgements kept elsewhere, other "
    "machines' runs and caches, and backups of the store."
)


def verification_value(
    releases: list[str], findings: Sequence[Finding], found: Verification | None = None
) -> dict[str, Any]:
    """The JSON of `verify`; orphans are waste, not faults."""
    rows = [{"thing": each.thing, "problem": each.problem} for each in findings]
    value: dict[str, Any] = {"format_version": 1, "releases": releases, "findings": rows}
    if found is None:
        return value
    orphans = [{"object": each.digest, "bytes": each.bytes} for each in found.orphans]
    return value | {"objects": found.objects, "bytes": found.bytes, "orphans": orphans}


def show_release(value: dict[str, Any]) -> None:
    """The faults of one release, and their number."""
    for row in value["findings"]:
        print(f"{row['thing']}: {row['problem']}")
    print(
        f"{_count(value['releases'], 'release')} read, {_count(value['findings'], 'fault')} found."
    )


def show_store(value: dict[str, Any]) -> None:
    """The faults of the whole store, what was read, and what is waste."""
    show_release(value)
    print(f"{value['objects']:,} objects of {megabytes(value['bytes'])} were read.")
    if value["orphans"]:
        size = megabytes(sum(row["bytes"] for row in value["orphans"]))
        print(
            f"Waste that nothing needs: {_count(value['orphans'], 'object')} ({size}); "
            "`perennial sweep --delete` removes it after the grace period."
        )


def sweep_value(plan: Sweep, *, deleted: bool) -> dict[str, Any]:
    """The JSON of `sweep`."""
    return {
        "format_version": 1,
        "deleted": deleted,
        "releases": [
            {
                "release_id": each.release_id,
                "lineage": each.lineage,
                "created_at": each.created_at,
                "documents": each.catalogue.documents,
            }
            for each in plan.releases
        ],
        "objects": len(plan.objects),
        "bytes": plan.bytes,
        "pending": list(plan.notes),
        "debris": list(plan.debris),
        "kept": plan.kept,
    }


def show_sweep(value: dict[str, Any], console: Console) -> None:
    """What goes and what stays, and how to do it."""
    table = Table("release", "made", "why", box=SIMPLE_HEAD)
    for row in value["releases"]:
        made = row["created_at"][:16].replace("T", " ")
        table.add_row(row["release_id"], made, "deleted" if value["deleted"] else "not needed")
    for release_id, why in value["kept"].items():
        table.add_row(release_id, "", f"stays: {why}")
    if value["releases"] or value["kept"]:
        console.print(table)
    objects = f"{value['objects']:,} object" + ("" if value["objects"] == 1 else "s")
    goes = f"{_count(value['releases'], 'release')} and {objects} ({megabytes(value['bytes'])})"
    rest = len(value["pending"]) + len(value["debris"])
    goes += f" and {rest} leftovers of killed publishers" if rest else ""
    if value["deleted"]:
        console.print(f"{goes} were deleted.")
    elif value["releases"] or value["objects"] or rest:
        console.print(f"{goes} are needed by nothing.")
        console.print("`perennial sweep --delete` deletes what is needed by nothing then.")
    else:
        console.print("Nothing can go: everything is needed, or younger than the grace period.")


def forgetting_value(
    done: Forgetting,
    doc_ids: Sequence[str],
    *,
    cached: int,
    pushed: int,
    in_source: Sequence[str],
    remains: Sequence[Remains],
) -> dict[str, Any]:
    """The JSON of `forget`."""
    return {
        "format_version": 1,
        "documents": list(doc_ids),
        "releases": [vars(each) for each in done.releases],
        "channels": list(done.channels),
        "objects": done.objects,
        "bytes": done.bytes,
        "cached": cached,
        "pushed": pushed,
        "vectors_sought": done.vectors,
        "found": done.hits,
        "in_encoders": list(done.in_encoders),
        "in_flight": list(done.in_flight),
        "in_source": list(in_source),
        "remains": [vars(each) for each in remains],
        "not_reached": _BEYOND,
    }


def show_forgetting(value: dict[str, Any], console: Console) -> None:
    """Release by release, then what the scan of every byte found, and what it cannot reach."""
    if value["releases"]:
        table = Table("release", "is now", "rows left out", "references left out")
        for row in value["releases"]:
            done = "done before"
            rows, references = (
                done if row[name] is None else str(row[name]) for name in ("rows", "references")
            )
            table.add_row(row["release_id"], row["successor"], rows, references)
        console.print(table)
    else:
        console.print("No release holds it.")
    for name in value["channels"]:
        console.print(f"{name} serves a release without it.")
    console.print(
        f"{value['objects']:,} objects ({megabytes(value['bytes'])}) were deleted, and "
        f"{value['cached']:,} entries of this machine's caches."
    )
    if value["pushed"]:
        console.print(
            f"{value['pushed']:,} files of runs went from DVC's remote: those runs are made again "
            "by nobody."
        )
    if value["in_flight"]:
        console.print(f"{', '.join(value['in_flight'])} is being published and needs the old ones.")
        console.print("[bold yellow]Run the same command again when that has ended.[/]")
    elif value["found"]:
        for name, what in value["found"].items():
            console.print(f"{name} still holds: {', '.join(what)}", markup=False)
        console.print("[bold yellow]Not everything is gone; look at these, then run it again.[/]")
    else:
        console.print(
            "Every byte of the store was read: its id is nowhere, and no vector of it "
            f"({value['vectors_sought']} were looked for)."
        )
    if value["in_encoders"]:
        console.print("An encoder's vocabulary knows the id as a word; that stays.")
    for row in value["remains"]:
        show_remains(row, console)
    if value["in_source"]:
        console.print(
            "[bold yellow]The source still has it:[/] remove it there, or the next reindex brings "
            "it back."
        )
    console.print(value["not_reached"], soft_wrap=True)


def still_in_source(source: Path, doc_ids: Sequence[str]) -> list[str]:
    """Which of the documents the catalogue of the source still has."""
    path = source / "catalogue.parquet"
    if not path.is_file():
        return []
    found = ds.dataset(path).to_table(columns=["doc_id"], filter=ds.field("doc_id").isin(doc_ids))
    return sorted(set(found["doc_id"].to_pylist()))


def _count(things: Sequence[Any], name: str) -> str:
    return f"{len(things):,} {name}" + ("" if len(things) == 1 else "s")
