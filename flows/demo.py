"""The demo: a search that people use, and three rounds in which it learns from their clicks."""

import argparse
import os
import shutil
import sys
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from perennial.errors import BadInput, PerennialError, PlaceUnusable
from perennial.workspace import Places

if TYPE_CHECKING:
    from tasks.screen import Screen

MARK = "demo.json"
# They would lead a demo out of its folder, into real data and a registry that others read.
ELSEWHERE = (
    "PERENNIAL_STORE",
    "PERENNIAL_SOURCE",
    "PERENNIAL_RUNS",
    "PERENNIAL_CACHE",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_REGISTRY_URI",
)


def demo(places: Places, *, rounds: int) -> None:
    """A source, a first champion, then `rounds` times: people search, and a retrain learns.

    A demo that was killed continues; one that had ended is begun anew. Writes summary.json.
    """
    from rich.console import Console

    from perennial.release.stores.open import open_store
    from tasks.closing import show_end
    from tasks.memory import PeakMemory
    from tasks.screen import Screen
    from tasks.server import prefect_server
    from tasks.summary import write_summary
    from tasks.totals import RunningTotals
    from tasks.verb import run_verb
    from tasks.workspace import checkout

    screen, totals, memory = Screen(Console()), RunningTotals(places.home / MARK), PeakMemory()

    def verb(*arguments: str) -> None:
        totals.add(arguments[0], run_verb(screen, *arguments, checkout=checkout()))
        totals.save(peak_memory_mb=memory.megabytes)

    with (
        memory,
        prefect_server(places.home / "prefect.log") as wait_for_server,
        ThreadPoolExecutor(1) as meanwhile,
    ):
        ready = meanwhile.submit(_get_ready, places)
        screen.title(f"Perennial demo in {places.home}")
        if not (places.source / "truth.parquet").exists():
            verb("import", "apidocs")
        if open_store(places.store).read_channel("production") is None:
            verb("bootstrap")
        for number in range(1, rounds + 1):
            crowd = "lexical" if number == 1 else "production"
            screen.title(f"Round {number} of {rounds}: people search ({crowd}), then it learns")
            if len(list(places.source.glob("requests/*.parquet"))) < number:
                verb("simulate", "--on", crowd)
            wait_for_server()
            ready.result()
            if len(list(places.runs.glob("*/work/report/summary.json"))) < number:
                _retrain(screen)
            totals.save(peak_memory_mb=memory.megabytes)
    totals.save(peak_memory_mb=memory.megabytes)
    summary = write_summary(
        places,
        verbs=totals.verbs,
        total_seconds=totals.seconds,
        peak_memory_mb=totals.peak_memory_mb,
    )
    show_end(places, summary, Console())


def _get_ready(places: Places) -> None:
    """Imports what a retrain needs and makes the tracker's database, while a verb is waited for."""
    import flows.retrain  # noqa: F401
    from tasks.tracking import tracker

    tracker(places.tracking_uri)


def _retrain(screen: "Screen") -> None:
    from flows.retrain import retrain
    from tasks.outcome import as_a_command

    with screen.following_flows(), screen.busy("retrain"), as_a_command():
        retrain()


def claim(home: Path) -> None:
    """Makes the folder ours; raises BadInput where it holds what no demo made."""
    from tasks.notes import write_json

    try:
        if (home / MARK).exists() and (home / "summary.json").exists():
            shutil.rmtree(home)
        if home.exists() and any(home.iterdir()) and not (home / MARK).exists():
            raise BadInput(
                f"PERENNIAL_HOME is {home}, which holds what no demo made; unset it, or name an "
                "empty folder."
            )
        home.mkdir(parents=True, exist_ok=True)
        if not (home / MARK).exists():  # else it holds what the demo has taken so far
            write_json(home / MARK, {"format_version": 1, "made_by": "flows.demo"})
    except OSError as error:
        raise PlaceUnusable(f"cannot use {home}: {error.strerror}; name another folder.") from error


def stay_at_home(environment: MutableMapping[str, str]) -> list[str]:
    """Takes away what names a place outside of the demo's folder; which of them were set."""
    return [name for name in ELSEWHERE if environment.pop(name, "")]


def main(arguments: list[str] | None = None) -> int:
    """0 where the demo ran to its end, whatever was decided; else as errors.py says."""
    parser = argparse.ArgumentParser(prog="python -m flows.demo", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often it learns (default 3)")
    rounds = parser.parse_args(arguments).rounds
    # Before `tasks` and `prefect` are imported, which read the environment.
    if ignored := stay_at_home(os.environ):
        print(f"The demo keeps to its own folder and ignores {', '.join(ignored)}.", flush=True)
    os.environ.setdefault("PERENNIAL_HOME", "demo")
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "WARNING")
    try:
        places = Places.from_environment()
        claim(places.home)
        from tasks.world import in_words

        with in_words(places.home, places.tracking_uri):
            demo(places, rounds=rounds)
    except PerennialError as error:
        print(f"perennial: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
