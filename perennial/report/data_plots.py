"""The plots of the data that a retrain learnt from; each is left out where its numbers are."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from perennial.report.svg import COLOURS, drawing, to_svg
from perennial.report.words import is_number

NAMES = ("days", "ranks", "propensities", "words", "scores")
MOST_DAYS = 8  # dates below the axis
QUANTILES = ("p05", "p25", "p50", "p75", "p95")
Rows = Sequence[Mapping[str, Any]]


def data_plots(data: Mapping[str, Any], *, simulated: bool) -> dict[str, str]:
    """Every plot that `data` (see ReportView) has numbers for, by name, as SVG text."""
    said = ", simulated" if simulated else ""
    profile = data.get("profile") or {}
    scores = {
        name: part
        for name, part in ((data.get("mined") or {}).get("scores") or {}).items()
        if all(is_number(part.get(quantile)) for quantile in QUANTILES)
    }
    drawn = {}
    if profile.get("days"):
        before = (data.get("accepted") or {}).get("profile") or {}
        drawn["days"] = volumes(profile["days"], accepted=before.get("days") or (), said=said)
    if profile.get("ranks"):
        drawn["ranks"] = click_curve(profile["ranks"], said=said)
    if any(is_number(row["propensity"]) for row in data.get("propensities") or ()):
        drawn["propensities"] = propensities(data["propensities"], said=said)
    if profile.get("query_words"):
        drawn["words"] = query_words(profile["query_words"], said=said)
    if scores:
        drawn["scores"] = score_ranges(scores)
    return drawn


def volumes(rows: Rows, *, accepted: Rows = (), said: str = "") -> str:
    """Requests as bars and clicks as a line, by day; a dash where the last accepted log had it."""
    before = {row["day"]: row["requests"] for row in accepted}
    days = np.arange(len(rows))
    with drawing(height=2.8) as (figure, (axis,)):
        axis.bar(
            days, [row["requests"] for row in rows], color=COLOURS["champion"], label="requests"
        )
        clicks = [row["clicks"] for row in rows]
        axis.plot(days, clicks, color=COLOURS["candidate"], marker="o", markersize=3)
        axis.lines[0].set_label("clicks")
        then = [before.get(row["day"]) for row in rows]
        known = [(day, count) for day, count in zip(days, then, strict=True) if count is not None]
        if known:
            axis.plot(*zip(*known, strict=True), "_", color="black", markersize=9)
            axis.lines[1].set_label("requests, when last accepted")
        shown = days[:: -(-len(days) // MOST_DAYS)]
        axis.set_xticks(shown, [str(rows[i]["day"])[5:] for i in shown])
        axis.set_xlabel("day" + said)
        highest = max([*clicks, *(row["requests"] for row in rows), *(n for _, n in known), 1])
        axis.set_ylim(0, 1.3 * highest)
        axis.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axis.legend(loc="upper right", ncols=3)
        return to_svg(figure, name="days", label=f"Requests and clicks on {len(rows)} days")


def click_curve(rows: Rows, *, said: str = "") -> str:
    """Clicks by impressions against rank."""
    seen = [row for row in rows if row["impressions"]]
    with drawing(height=2.8) as (figure, (axis,)):
        rates = [row["clicks"] / row["impressions"] for row in seen]
        axis.plot([row["rank"] for row in seen], rates, color=COLOURS["champion"], marker="o")
        return _by_rank(figure, axis, "clicks per impression", "ranks", said)


def propensities(rows: Rows, *, said: str = "") -> str:
    """The estimated chance that a rank is looked at, with its interval."""
    known = [row for row in rows if is_number(row["propensity"])]
    with drawing(height=2.8) as (figure, (axis,)):
        ranks = [row["rank"] for row in known]
        low, high = (
            [row[side] if is_number(row[side]) else row["propensity"] for row in known]
            for side in ("low", "high")
        )
        axis.fill_between(ranks, low, high, color=COLOURS["candidate"], alpha=0.2, linewidth=0)
        values = [row["propensity"] for row in known]
        axis.plot(ranks, values, color=COLOURS["candidate"], marker="o")
        return _by_rank(figure, axis, "chance to be looked at", "propensities", said)


def query_words(counts: Mapping[str, int], *, said: str = "") -> str:
    """Queries by their number of words."""
    names = sorted(counts, key=lambda name: int(name.rstrip("+")))
    with drawing(height=2.8) as (figure, (axis,)):
        axis.bar(names, [counts[name] for name in names], color=COLOURS["champion"])
        axis.set_xlabel("words in a query" + said)
        axis.set_ylabel("requests")
        axis.grid(visible=False, axis="x")
        return to_svg(figure, name="words", label="Requests by words in the query")


def score_ranges(scores: Mapping[str, Mapping[str, float]]) -> str:
    """The teacher's scores by origin: 5 to 95 % as a thin line, the middle half as a thick one."""
    names = list(scores)[::-1]
    with drawing(height=2.2) as (figure, (axis,)):
        for place, name in enumerate(names):
            p05, p25, p50, p75, p95 = (scores[name][quantile] for quantile in QUANTILES)
            colour = COLOURS["gain" if name == "positive" else "loss"]
            axis.plot([p05, p95], [place, place], color=colour, linewidth=1.2)
            axis.plot([p25, p75], [place, place], color=colour, linewidth=7, alpha=0.45)
            axis.plot([p50], [place], "o", color=colour, markersize=5)
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(-0.6, len(names) - 0.4)
        axis.grid(visible=False, axis="y")
        axis.set_xlabel("score of the teacher")
        return to_svg(figure, name="scores", label="Scores of positives and negatives by origin")


def _by_rank(figure: Any, axis: Any, what: str, name: str, said: str) -> str:
    axis.set_ylim(bottom=0)
    axis.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2f}"))
    axis.set_xlabel("rank" + said)
    axis.set_ylabel(what)
    return to_svg(figure, name=name, label=f"{what.capitalize()} by rank")
