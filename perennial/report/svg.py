"""Matplotlib figures as SVG text: the same bytes twice, and colours that follow the page's theme.

A colour is drawn as a stand-in and written as a CSS variable with that colour as its fallback, so
that the same file is right in a light page, a dark page, and on its own.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = {
    "ink": "#23272e",
    "muted": "#6b7280",
    "grid": "#e4e6ea",
    "lexical": "#8b919b",
    "champion": "#3a6fd8",
    "candidate": "#d8690f",
    "gain": "#14866b",
    "loss": "#c23b3b",
}
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "svg.fonttype": "none",  # letters stay letters: small files that can be read aloud and copied
    "svg.hashsalt": "perennial",
    "axes.edgecolor": COLOURS["grid"],
    "axes.labelcolor": COLOURS["muted"],
    "axes.titlecolor": COLOURS["ink"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": COLOURS["grid"],
    "grid.linewidth": 0.7,
    "text.color": COLOURS["ink"],
    "xtick.color": COLOURS["grid"],
    "ytick.color": COLOURS["grid"],
    "xtick.labelcolor": COLOURS["muted"],
    "ytick.labelcolor": COLOURS["muted"],
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.labelcolor": COLOURS["muted"],
}


@contextmanager
def drawing(rows: int = 1, *, height: float = 3.0) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of one column in the house style, `height` inches high, and its axes."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(4.8, height), layout="constrained")
        axes = figure.subplots(rows, 1, sharex=True, squeeze=False)
        yield figure, list(axes[:, 0])


def to_svg(figure: Figure, *, name: str, label: str) -> str:
    """The figure as one <svg>; ids start with `name`, `label` is what a screen reader says."""
    stream = io.StringIO()
    figure.savefig(
        stream,
        format="svg",
        transparent=True,
        metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
    )
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :].rstrip()  # without the XML and DOCTYPE lines
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{name}-", svg)
    svg = svg.replace("xlink:href", "href").replace(
        ' xmlns:xlink="http://www.w3.org/1999/xlink"', ""
    )
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, 'DejaVu Sans', sans-serif", svg)
    svg = re.sub(r'^<svg([^>]*?) width="[^"]*"', r"<svg\1", svg)
    svg = re.sub(r'^<svg([^>]*?) height="[^"]*"', r"<svg\1", svg)
    for variable, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{variable}, {colour})")
    safe = label.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return svg.replace("<svg", f'<svg role="img" aria-label="{safe}"', 1)


def inline(svg: str) -> str:
    """The same <svg> inside a page, where HTML already knows the namespace."""
    return svg.replace(' xmlns="http://www.w3.org/2000/svg"', "", 1)
