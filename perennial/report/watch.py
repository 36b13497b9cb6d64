"""The page of a watch: the verdict, every signal beside its bounds, and the week hour by hour."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
from markupsafe import Markup

from perennial.report import words
from perennial.report.page import TEMPLATES, environment
from perennial.report.svg import COLOURS, drawing, inline, to_svg
from perennial.report.watch_view import Course, SignalRow, WatchView

_CONSEQUENCES = {
    "none": ("Nothing to do", "people search as they did", "good"),
    "reindex": ("Reindex", "the documents changed, and the index lacks some", "open"),
    "retrain": ("Retrain", "what people ask or click, or what they search in, changed", "open"),
    "page": ("Page", "something is broken: a person must look", "bad"),
}
_SURE = 12.0  # powers of ten, beyond which a p-value is only drawn as very small


def render_watch(view: WatchView) -> str:
    """The whole page as HTML text; every value from the view is escaped."""
    headline, consequence, tone = _CONSEQUENCES[view.decision["outcome"]]
    return (
        environment()
        .get_template("watch.html.j2")
        .render(
            view=view,
            headline=headline,
            consequence=consequence,
            tone=tone,
            css=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
            surprise=Markup(inline(surprise(view))) if _surprising(view) else "",
            courses=[
                Markup(inline(course(each, name=f"course-{number}")))
                for number, each in enumerate(view.courses)
            ],
            small=words_of_p,
        )
    )


def words_of_p(p: float | None) -> str:
    """0.031, or 2e-9; a dash where nothing was left to chance."""
    if p is None:
        return words.MISSING
    # A true minus sign: at a hyphen a line may break.
    return f"{p:.3f}" if p >= 0.001 else f"{p:.0e}".replace("-", "\N{MINUS SIGN}")


def surprise(view: WatchView) -> str:
    """How surprising each signal is, in powers of ten, beside the level that it must pass."""
    rows = sorted(_surprising(view), key=lambda row: row.p or 0.0)[:16][::-1]
    with drawing(height=0.9 + 0.22 * len(rows)) as (figure, (axis,)):
        places = np.arange(len(rows))
        found = [min(_SURE, -math.log10(max(row.p or 0.0, 10**-_SURE))) for row in rows]
        colours = [COLOURS["loss"] if row.fires else COLOURS["lexical"] for row in rows]
        axis.barh(places, found, color=colours, height=0.6)
        levels = [-math.log10(row.level) for row in rows if row.level]
        axis.plot(levels, places, "|", color=COLOURS["ink"], markersize=9, label="must pass")
        axis.set_yticks(places, [row.name for row in rows])
        axis.grid(axis="y", visible=False)
        axis.set_xlabel("powers of ten")
        return to_svg(figure, name="surprise", label="How surprising each signal is")


def course(line: Course, *, name: str) -> str:
    """A share hour by hour, over what is usual."""
    midnights = line.hours[line.hours % 24 == 0]
    days = [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=int(h)) for h in midnights]
    with drawing(height=2.0) as (figure, (axis,)):
        axis.plot(line.hours, line.usual, color=COLOURS["lexical"], linewidth=1.2, label="usual")
        axis.plot(line.hours, line.values, color=COLOURS["champion"], linewidth=1.4, label="live")
        axis.set_ylim(bottom=0)
        axis.set_title(line.title, loc="left")
        axis.legend(loc="lower left", ncols=2)
        axis.set_xticks(midnights, [f"{day:%a} {day.day}" for day in days])
        return to_svg(figure, name=name, label=f"{line.title}, hour by hour")


def _surprising(view: WatchView) -> list[SignalRow]:
    return [row for row in view.rows if row.p is not None]
