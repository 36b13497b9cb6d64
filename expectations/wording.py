"""How people ask, against the last accepted snapshot: length, number of words, scripts."""

import math
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from expectations.reference import Reference


def compare_lengths(
    profile: Mapping[str, Any], accepted: Reference, *, max_shift: float
) -> pa.Table:
    """One row per figure of the queries' length in characters: now, accepted, is_usual.

    Usual is a shift of at most max_shift of what was accepted, or of two characters.
    """
    rows = []
    for name, before in sorted(accepted.query_characters.items()):
        now = float(profile["query_characters"].get(name, 0))
        allowed = max(2.0, max_shift * before)
        usual = abs(now - before) <= allowed
        rows.append({"figure": name, "now": now, "accepted": before, "is_usual": usual})
    return pa.Table.from_pylist(rows)


def compare_shares(
    profile: Mapping[str, Any], accepted: Reference, *, max_shift: float
) -> pa.Table:
    """One row for words and one for scripts: the share that moved (total variation), the most.

    The most is max_shift and what two samples of these sizes differ by on average if they are drawn
    from one distribution: at most half the root of k (1/n + 1/m), for k kinds.
    """
    sizes = (max(profile["requests"], 1), max(accepted.requests, 1))
    rows = []
    for name, now, before in (
        ("words per query", profile["query_words"], accepted.query_words),
        ("letters by script", profile["scripts"], accepted.scripts),
    ):
        kinds = sorted(now.keys() | before.keys())
        by_chance = 0.5 * math.sqrt(len(kinds) * sum(1 / size for size in sizes))
        one, other = _shares(now), _shares(before)
        moved = sum(abs(one.get(kind, 0.0) - other.get(kind, 0.0)) for kind in kinds) / 2
        most = max_shift + by_chance
        usual = moved <= most
        rows.append(
            {"share": name, "moved": round(moved, 6), "most": round(most, 6), "is_usual": usual}
        )
    return pa.Table.from_pylist(rows)


def _shares(counts: Mapping[str, float]) -> dict[str, float]:
    total = sum(counts.values())
    return {kind: count / total for kind, count in counts.items()} if total else {}
