"""The smoke test of a candidate: a process of its own loads it and the champion, and asks both.

`python -m perennial.serving.smoke < asked.json > found.json`; asked are queries, k, and each side's
folders of encoder and index; found are load_seconds, milliseconds per query and answered queries.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perennial.errors import IntegrityError, PerennialError
from perennial.index.index import Index
from perennial.model.encoder import Encoder, load_encoder

SIDES = ("champion", "candidate")
_FIRST_QUERIES = 4  # pay for caches and threads, and are not measured


def smoke(sides: Mapping[str, Mapping[str, str]], queries: Sequence[str], *, k: int) -> Any:
    """Load each side as a server does, ask one query at a time, by turns; plain values for JSON.

    Raises what loading raises, and IntegrityError for an answer that is none.
    """
    loaded: dict[str, tuple[Encoder, Index]] = {}
    load_seconds: dict[str, float] = {}
    for side in SIDES:
        began = time.perf_counter()
        encoder = load_encoder(Path(sides[side]["encoder"]))
        index = Index.open(Path(sides[side]["index"]), encoder_digest=encoder.digest)
        loaded[side] = (encoder, index.gathered())
        for query in queries[:_FIRST_QUERIES]:
            _ask(side, loaded[side], query, k)
        load_seconds[side] = round(time.perf_counter() - began, 3)
    milliseconds: dict[str, list[float]] = {side: [] for side in SIDES}
    answered = dict.fromkeys(SIDES, 0)
    for row, query in enumerate(queries):
        for side in SIDES if row % 2 else reversed(SIDES):
            began = time.perf_counter()
            hits = _ask(side, loaded[side], query, k)
            milliseconds[side].append(round(1e3 * (time.perf_counter() - began), 4))
            answered[side] += hits > 0
    return {"load_seconds": load_seconds, "milliseconds": milliseconds, "answered": answered}


def _ask(side: str, release: tuple[Encoder, Index], query: str, k: int) -> int:
    """How many documents one query found."""
    encoder, index = release
    vector = encoder.encode([query])
    scores, names = index.search(vector, k)
    found = names[0] != None  # noqa: E711  element by element
    if not np.isfinite(vector).all() or not np.isfinite(scores[0][found]).all():
        raise IntegrityError(
            f"the {side} answers {query[:80]!r} with scores that are no numbers; train again"
        )
    return int(found.sum())


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    try:
        done = smoke({side: asked[side] for side in SIDES}, asked["queries"], k=asked["k"])
    except PerennialError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    json.dump(done, sys.stdout)
