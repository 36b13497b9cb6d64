"""`make bench-watch`: ninety days without drift, and drifts that are planted in such days.

Every hour of the days is looked at as the flow `watch` would; see infra/bench/watch_world.py for
who asks. A retrain that a false verdict would start answers nothing here: each is counted.
"""

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.progress import track
from threadpoolctl import threadpool_limits

from infra.bench.row import Row, row, show
from infra.bench.watch_looks import Broken, broken, kept_of, look_at
from infra.bench.watch_world import BEFORE, NEW, Library, Town, library, town
from perennial.params.reading import load_params
from perennial.params.whole import Params

T, R = TypeVar("T"), TypeVar("R")
OUT = Path("bench")
DAYS, HOLIDAYS = 90, (10, 31, 46, 47, 74)  # Thursdays, Wednesdays and so on, as they fall
WITHIN, RUNS, MOST_FALSE, LEAST_FOUND = 2, 10, 3, 9
PARTS = 30
SLOW_DAYS = 30
HOW: tuple[Broken, ...] = ("no events", "no requests", "no words")


def main(arguments: list[str] | None = None) -> int:
    """Measure; print the table and write bench/watch.json; 1 where a row fails."""
    parser = argparse.ArgumentParser(prog="python -m infra.bench.watch", description=__doc__)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    OUT.mkdir(exist_ok=True)
    _books()  # once, before there are processes
    # A process per core: the threads of BLAS would only wait for each other.
    with ProcessPoolExecutor(os.cpu_count(), initializer=threadpool_limits, initargs=(1,)) as pool:
        rows = measure(pool, days=chosen.days, seed=chosen.seed)
    show(rows, title=f"The watch over {24 * chosen.days:,} hours")
    (OUT / "watch.json").write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if any(each["holds"] is False for each in rows) else 0


def measure(pool: ProcessPoolExecutor, *, days: int, seed: int) -> list[Row]:
    """False verdicts, how many planted drifts were found in time and named right, and seconds."""
    began = time.monotonic()
    hours = np.array_split(BEFORE + 1 + np.arange(24 * days), PARTS)
    parts = _all(pool, partial(_quiet, days, seed), hours, "days without drift")
    said = [each for part in parts for each in part]
    seconds = (time.monotonic() - began) * (os.cpu_count() or 1) / len(said)
    false = Counter(outcome for _, outcome in said if outcome != "none")
    odd = sum(_is_odd(hour - 1) for hour, outcome in said if outcome != "none")
    of = f"{len(said):,} hourly looks"
    rows = [
        row("no drift: false verdicts", float(false.total()), "looks", against=of,
            at_most=MOST_FALSE),
        row("of them on weekends and holidays", float(odd), "looks", at_most=0.0),
        *(row(f"false: {name}", float(count), "looks") for name, count in sorted(false.items())),
        row("a look", seconds, "core seconds"),
    ]  # fmt: skip
    for kind, right in (("topic", "retrain"), ("product", "reindex"), ("logger", "page")):
        found = _all(pool, partial(_planted, kind, seed), range(RUNS), _TITLES[kind])
        in_time = sum(right in each and each[0] in ("none", right) for each in found)
        rows.append(
            row(f"{_TITLES[kind]}: found, and named {right}", float(in_time), f"of {RUNS} runs",
                against=f"within {WITHIN} windows", at_least=LEAST_FOUND)
        )  # fmt: skip
    on = _all(pool, partial(_slow, seed), range(RUNS), "a topic that grows")
    found = [day for day in on if day is not None]
    rows.append(
        row("1 % of queries more each day from a new topic: found, and named retrain",
            float(len(found)), f"of {RUNS} runs", against=f"within {SLOW_DAYS} days",
            at_least=LEAST_FOUND)
    )  # fmt: skip
    if found:
        rows.append(row("the same: median day", float(np.median(found)), "days"))
    return rows


def _all(
    pool: ProcessPoolExecutor, work: Callable[[T], R], parts: Sequence[T], what: str
) -> list[R]:
    return list(track(pool.map(work, parts), what, total=len(parts), console=Console(stderr=True)))


_TITLES = {
    "topic": "20 % of queries from a new topic",
    "product": "a new product line",
    "logger": "a broken logger",
}


@cache
def _params() -> Params:
    return load_params(Path("params.yaml"))


@cache
def _books() -> Library:
    return library(_params(), OUT / "watch-encoder")


@cache
def _town(days: int, seed: int) -> Town:
    return town(_books(), days=days, seed=seed, holidays=[d for d in HOLIDAYS if d < days])


def _quiet(days: int, seed: int, hours: np.ndarray) -> list[tuple[int, str]]:
    people = _town(days, seed)
    kept = kept_of(_books(), people, seed=seed)
    look = partial(look_at, _books(), people, kept, _params().watch)
    said = []
    for hour in hours.tolist():
        decision = look(end=hour).decision
        if decision.outcome != "none":
            print(f"hour {hour - BEFORE}: {decision.outcome}: {' '.join(decision.reasons[1:])}")
        said.append((hour, decision.outcome))
    return said


def _planted(kind: str, seed: int, number: int) -> list[str]:
    """The outcomes of the looks after one window and after two, up to the first verdict."""
    generator = np.random.default_rng([seed, number])
    # Windows of a few hundred queries: from the morning to the afternoon of a working day.
    since = BEFORE + 24 * int(generator.choice([1, 2, 3, 7, 8, 9])) + int(generator.integers(9, 16))
    topic = NEW[number % len(NEW)]
    own = seed + 1000 + number
    planted = {"topic": topic, "topic_from": since} if kind == "topic" else {}
    people = town(_books(), days=14, seed=own, **planted)
    kept = kept_of(_books(), people, seed=own)
    if kind == "logger":
        people = broken(people, HOW[number % len(HOW)], since=since)
    said: list[str] = []
    for window in range(1, WITHIN + 1):
        product = topic if kind == "product" else None
        look = look_at(_books(), people, kept, _params().watch, end=since + window, product=product)
        said.append(look.decision.outcome)
        if said[-1] != "none":
            break
    return said


def _slow(seed: int, number: int) -> int | None:
    """The first day of a topic that grows on which a look said retrain; None where none did, or
    said something else before."""
    own, topic = seed + 2000 + number, NEW[number % len(NEW)]
    since = BEFORE + 24
    people = town(
        _books(), days=SLOW_DAYS + 2, seed=own, topic=topic, topic_from=since, topic_share=0.0,
        topic_growth=0.01,
    )  # fmt: skip
    kept = kept_of(_books(), people, seed=own)
    for day in range(1, SLOW_DAYS + 1):
        said = look_at(_books(), people, kept, _params().watch, end=since + 24 * day).decision
        if said.outcome != "none":
            return day if said.outcome == "retrain" else None
    return None


def _is_odd(hour: int) -> bool:
    day = hour // 24
    return day % 7 >= 5 or day - BEFORE // 24 in HOLIDAYS


if __name__ == "__main__":
    raise SystemExit(main())
