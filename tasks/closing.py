"""What the demo leaves on the screen: the numbers, the decision, five queries, where to look."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.rule import Rule
from rich.table import Table

from perennial.report.table import comparison_table
from perennial.report.words import OUTCOMES, duration, interval, number, signed
from perennial.workspace import Places, Workspace
from tasks.examples import gained_and_lost
from tasks.tracking import where_to_look
from tasks.view import ended

METRIC = "ndcg@10"
QUERIES, ANSWERS = 5, 3


def show_end(places: Places, summary: dict[str, Any], console: Console) -> None:
    """Prints the end of a demo whose rounds all came to a decision."""
    retrains = ended(places.runs)
    last = retrains[-1]
    comparison = Workspace(places.runs / last["workspace"]).artifacts("evaluate")
    console.print(Rule("Round by round (simulated clicks)", align="left", style="dim"))
    console.print(_rounds(retrains))
    console.print(Rule("The last round", align="left", style="dim"))
    console.print(comparison_table(_read(comparison / "comparison.json"), simulated=True))
    headline, consequence, _ = OUTCOMES[last["decision"]["outcome"]]
    console.print(f"\n[bold]{headline}[/]: {consequence}.")
    for reason in last["decision"]["reasons"]:
        console.print(f"  · {escape(reason)}")
    best = max(retrains, key=lambda item: _gain(item) or 0.0)
    round_number = retrains.index(best) + 1
    console.print(Rule(f"Before and after round {round_number}", align="left", style="dim"))
    _show_queries(Workspace(places.runs / best["workspace"]), console)
    console.print(Rule("Where to look next", align="left", style="dim"))
    _show_places(places, Path(last["report"]), console)
    seconds = summary["seconds"]
    share = seconds["orchestration"] / seconds["total"]
    console.print(
        f"\nIt took {duration(seconds['total'])}, {share:.0%} of it orchestration, and at most "
        f"{summary['peak_memory_mb']} MB; the numbers are in {places.home / 'summary.json'}.",
        soft_wrap=True,
    )


def _rounds(retrains: list[dict[str, Any]]) -> Table:
    table = Table(pad_edge=False, caption=f"{METRIC} on held-out queries", caption_justify="left")
    for name in ("Round", "Lexical", "Champion", "Candidate", "Gain", "Decision"):
        table.add_column(name, justify="left" if name == "Decision" else "right")
    for count, item in enumerate(retrains, start=1):
        systems = item["systems"]
        gain = item["differences"]["candidate-champion"][METRIC]
        table.add_row(
            str(count),
            *(
                number(systems[name][METRIC]["value"])
                for name in ("lexical", "champion", "candidate")
            ),
            f"{signed(gain['value'])} {interval(gain, sign=True)}",
            str(item["decision"]["outcome"]),
        )
    return table


def _show_queries(workspace: Workspace, console: Console) -> None:
    gained, lost = gained_and_lost(workspace, metric=METRIC, examples=QUERIES)
    # One that lost stands among them where there is one: gains alone would flatter.
    for example in [*gained[: QUERIES - len(lost[:1])], *lost[:1]]:
        scores = f"{METRIC} {number(example['champion'])} → {number(example['candidate'])}"
        console.print(f"\n[bold]{escape(example['query'])}[/]  [dim]{scores}[/]")
        table = Table(box=None, pad_edge=False, show_header=True, header_style="dim")
        table.add_column("before", max_width=48, no_wrap=True, min_width=30)
        table.add_column("after", max_width=48, no_wrap=True)
        before, after = list(example["before"])[:ANSWERS], list(example["after"])[:ANSWERS]
        for row in range(max(len(before), len(after))):
            table.add_row(_answer(before, row), _answer(after, row))
        console.print(table)


def _answer(answers: list[tuple[str, str, bool]], row: int) -> str:
    if row >= len(answers):
        return ""
    _, title, relevant = answers[row]
    return f"[green]✓ {escape(title)}[/]" if relevant else f"  {escape(title)}"


def _show_places(places: Places, page: Path, console: Console) -> None:
    home = f"PERENNIAL_HOME={places.home}"
    rows = [
        ("The report of the last round", page),
        ("Its validation", page.parents[1] / "validate" / "report.html"),
        ("Runs, curves and the registry", where_to_look(places.tracking_uri)),
        ("What production serves", f"{home} perennial status"),
        ("Ask it something", f'{home} perennial search "sort an array"'),
    ]
    for name, place in rows:
        console.print(f"  {name:<30} {escape(str(place))}", soft_wrap=True)


def _gain(item: dict[str, Any]) -> float | None:
    value = item["differences"]["candidate-champion"][METRIC]["value"]
    return None if value is None else float(value)


def _read(path: Path) -> Any:
    return json.loads(path.read_text())
