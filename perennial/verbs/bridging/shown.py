"""What a person or a program is shown of a bridge: its maps, what they find, what was decided."""

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from perennial.verbs.bridging.bridge import Bridged
from perennial.verbs.bridging.measure import Measured


def show(bridged: Bridged, *, channel: str | None) -> None:
    """Print what was tried, found and decided; `channel` is the one that serves it now."""
    fitted, console = bridged.fitted, Console()
    kinds = Table(title=f"maps fitted on {fitted.fitted_on} documents")
    kinds.add_column("map")
    kinds.add_column("recall@10, to choose by", justify="right")
    for kind, recall in fitted.tried.items():
        kinds.add_row(f"{kind} (taken)" if kind == fitted.kind else kind, f"{recall:.3f}")
    console.print(kinds)
    for measured, over in ((fitted.sampled, "held-out"), (fitted.full, "of the catalogue's")):
        if measured is not None:
            console.print(_measures(measured, over))
    for line in fitted.decision.reasons:
        print(line)
    if bridged.manifest is None:
        print("Nothing was published. --force --reason '...' publishes it nevertheless.")
    elif channel is None:
        print(
            f"{bridged.manifest.release_id} is published and serves nothing; --promote serves it "
            "(what was embedded is kept)."
        )
    else:
        print(
            f"{channel} serves {bridged.manifest.release_id}, until the full release of its "
            f"encoder is promoted; `perennial rollback` goes back to {bridged.champion}."
        )


def _measures(measured: Measured, over: str) -> Table:
    queries = measured.bridged.n
    table = Table(
        title=f"share of the new encoder's best 10 that is found: {queries} queries, "
        f"{measured.documents} {over} documents"
    )
    for heading in ("", "recall@10", "from", "to"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, interval in (
        ("through the bridge", measured.bridged),
        ("by the champion itself", measured.champion),
        ("difference", measured.gain),
    ):
        numbers = (interval.value, interval.low, interval.high)
        table.add_row(name, *("" if n is None else f"{n:.3f}" for n in numbers))
    return table


def value(bridged: Bridged, *, channel: str | None) -> dict[str, Any]:
    """The same as plain values for JSON."""
    fitted = bridged.fitted
    return {
        "format_version": 1,
        "release_id": bridged.manifest.release_id if bridged.manifest else None,
        "channel": channel if bridged.manifest else None,
        "champion": bridged.champion,
        "kind": fitted.kind,
        "tried": fitted.tried,
        "fitted_on": fitted.fitted_on,
        "sampled": asdict(fitted.sampled),
        "full": asdict(fitted.full) if fitted.full else None,
        "decision": fitted.decision.to_dict(),
    }
