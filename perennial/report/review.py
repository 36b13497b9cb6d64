"""The page on which a person decides: the report, both answers side by side, and marks to make.

One file that loads nothing. Its one script is named by its digest in the page's policy, so that no
text that came in with the data can ever run.
"""

import base64
import hashlib
from collections.abc import Mapping

from markupsafe import Markup

from perennial.report.page import TEMPLATES, context, environment, plots
from perennial.report.review_view import ReviewView
from perennial.report.slice_plot import slice_changes
from perennial.report.svg import inline

GROUPS = {
    "gained": ("Gained most", "the metric rose most from champion to candidate"),
    "lost": ("Lost most", "the metric fell most"),
    "ordinary": (
        "Ordinary queries",
        "a random sample of all the others, in proportion to slices and to won, tied and lost",
    ),
}


def render_review(view: ReviewView, drawn: Mapping[str, str] | None = None) -> str:
    """The whole page as HTML text, with what `review_plots` drew; every value from the view is
    escaped."""
    script = (TEMPLATES / "review.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    drawn = dict(review_plots(view) if drawn is None else drawn)
    slices = drawn.pop("slices", None)
    return (
        environment()
        .get_template("review.html.j2")
        .render(
            **context(view.report, drawn),
            review=view,
            groups={
                name: (title, caption, [pair for pair in view.pairs if pair.group == name])
                for name, (title, caption) in GROUPS.items()
            },
            slice_plot=Markup(inline(slices)) if slices else None,
            script=Markup(script),
            script_digest=digest,
            review_css=Markup((TEMPLATES / "review.css").read_text(encoding="utf-8")),
        )
    )


def review_plots(view: ReviewView) -> dict[str, str]:
    """The report's plots, and those that only this page has, by name, as SVG text that also stands
    on its own."""
    drawn = plots(view.report)
    if view.slices:
        drawn["slices"] = slice_changes(view.slices, metric=view.metric)
    return drawn
