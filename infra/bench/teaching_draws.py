"""Several draws of one world: other queries held out, other people, other seeds; and all of them
together, since one draw's share of a gain says little."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from infra.bench.teaching_rounds import Taught

_SEEDED = ("bootstrap", "mine", "simulate", "train")


@dataclass(frozen=True)
class Pooled:
    """A round of all draws: (n,) nDCG@10 of the first champions and of both sides, and (n,)
    numbers of the queries they are of, which several draws may hold out; each draw's share of the
    gain of true labels; and the draws' means of what the clicks said."""

    of: np.ndarray
    champion: np.ndarray
    clicks: np.ndarray
    labels: np.ndarray
    shares: tuple[float, ...]
    shown: float
    covered: float
    precision: float
    recall: float


def drawn(params_file: Path, to: Path, *, number: int) -> Path:
    """Write the parameters of a draw; number 0 is the checkout's own."""
    sections = yaml.safe_load(params_file.read_text(encoding="utf-8"))
    if number:
        sections["split"]["salt"] += f"-{number}"
        for name in _SEEDED:
            sections[name]["seed"] += number
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(yaml.safe_dump(sections), encoding="utf-8")
    return to


def pooled(draws: Sequence[Taught], number: int) -> Pooled:
    """The round `number`, from 0, of all draws."""
    rounds = [draw.rounds[number] for draw in draws]
    names = [query for draw in draws for query in draw.queries]
    gains = [
        (each.clicks.mean() - draw.champion.mean(), each.labels.mean() - draw.champion.mean())
        for draw, each in zip(draws, rounds, strict=True)
    ]

    def mean(name: str) -> float:
        return float(np.mean([getattr(each, name) for each in rounds]))

    return Pooled(
        of=np.unique(np.array(names, dtype=object), return_inverse=True)[1],
        champion=np.concatenate([draw.champion for draw in draws]),
        clicks=np.concatenate([each.clicks for each in rounds]),
        labels=np.concatenate([each.labels for each in rounds]),
        shares=tuple(float(of_clicks / of_labels) for of_clicks, of_labels in gains),
        shown=mean("shown"),
        covered=mean("covered"),
        precision=mean("precision"),
        recall=mean("recall"),
    )
