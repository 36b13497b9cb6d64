"""A candidate in Markdown, short enough for the registry: what it is, and how to say yes or no."""

import re
from collections.abc import Iterable

from perennial.report import words
from perennial.report.review_view import ReviewView

MOST = 5000  # characters: the column of the registry's database
_SPECIAL = re.compile(r"([\\`*_\[\]#|<>&~])")
_MARKS = {True: "✓", False: "✕", None: "?"}


def describe(view: ReviewView) -> str:
    """Verdict, how to answer, the gate's table, slices and lineage; cut to MOST characters."""
    report = view.report
    headline, consequence, _ = words.OUTCOMES[report.decision["outcome"]]
    top = [f"# {headline}: {consequence}", ""]
    if report.simulated:
        top += ["*Learned from simulated clicks.*", ""]
    top += [f"- {plain(reason)}" for reason in report.decision["reasons"]]
    top += ["", *_how(view), ""]
    return _cut([*top, *_gate(view), *_slices(view), *_lineage(view)])


def plain(text: object) -> str:
    """The text so that Markdown shows it as it is, in one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def _how(view: ReviewView) -> list[str]:
    page = "`review/review.html` among the run's artifacts (download it, then open it)"
    if view.token is None:
        return [f"Nothing was published. Look at {page}, mark documents, and import the marks."]
    return [
        f"**To decide**, read {page}. **To approve**, set two tags on this version: `reviewer` to "
        f"your name, and `approved` to `{view.token}`, the release and the table that you read "
        "(or set the alias `approved` on this version instead of the second tag). **To reject**, "
        "set the tag `rejected` to your reason. A later change of either voids an approval.",
    ]


def _gate(view: ReviewView) -> list[str]:
    rows = [
        f"| {_MARKS[item['holds']]} | {plain(item['name'])} | {words.number(item['value'])} | "
        f"{words.interval(item) if item['low'] is not None else ''} | "
        f"{words.number(item['bound'])} | {item['n']} |"
        for item in view.report.decision["evidence"]
    ]
    head = ["| | Check | Value | Interval | Bound | n |", "|---|---|---|---|---|---|"]
    return ["## The gate's table", "", *head, *rows, ""] if rows else []


def _slices(view: ReviewView) -> list[str]:
    rows = [
        f"| {plain(change.name)} | {change.queries} | "
        f"{words.signed(change.difference['value'])} | "
        f"{words.interval(change.difference, sign=True)} |"
        for change in view.slices
    ]
    head = ["| Slice | Queries | Change | Interval |", "|---|---|---|---|"]
    return ["## Slices", "", *head, *rows, ""] if rows else []


def _lineage(view: ReviewView) -> list[str]:
    about = {**view.report.releases, **view.report.lineage, "gate": view.gate}
    return ["## Origin", ""] + [f"- {plain(name)}: `{value}`" for name, value in about.items()]


def _cut(lines: Iterable[str]) -> str:
    """Whole lines up to MOST characters, and what is left out is said."""
    rest = "\n… the rest is in `review/review.html`.\n"
    text = ""
    for line in lines:
        if len(text) + len(line) + 1 > MOST - len(rest):
            return text + rest
        text += line + "\n"
    return text
