"""How people ask, against the last accepted snapshot: length, words, scripts, languages."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from expectations.reference import Reference

LANGUAGES = 8  # the most frequent of both logs; the rest are counted together


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
        by_chance = _by_chance(len(now.keys() | before.keys()), sizes)
        rows.append(_moved(name, now, before, most=max_shift + by_chance))
    return pa.Table.from_pylist(rows)


def compare_languages(
    profile: Mapping[str, Any], accepted: Reference, *, max_shift: float
) -> pa.Table | str:
    """The same row for queries by language; or why nobody can tell, where chance alone moves more
    than max_shift, or the two logs were not looked at by the same version."""
    told = accepted.languages
    if told is None:
        return "its profile has no languages"
    if told.by != profile["languages"]["by"]:
        return f"its languages were told by {told.by}, and now by {profile['languages']['by']}"
    now, before = Counter(profile["languages"]["requests"]), Counter(told.requests)
    common = {name for name, _ in sorted((now + before).items(), key=_rank)[:LANGUAGES]}
    now, before = _grouped(now, common), _grouped(before, common)
    sizes = (now.total(), before.total())
    by_chance = _by_chance(len(now.keys() | before.keys()), sizes) if min(sizes) else 1.0
    if by_chance > max_shift:
        return f"too few queries tell their languages: {sizes[0]:,} now, {sizes[1]:,} then"
    row = _moved("queries by language", now, before, most=max_shift + by_chance)
    return pa.Table.from_pylist([row])


def _moved(
    name: str, now: Mapping[str, float], before: Mapping[str, float], *, most: float
) -> dict[str, Any]:
    one, other = _shares(now), _shares(before)
    kinds = sorted(one.keys() | other.keys())
    moved = sum(abs(one.get(kind, 0.0) - other.get(kind, 0.0)) for kind in kinds) / 2
    return {
        "share": name,
        "moved": round(moved, 6),
        "most": round(most, 6),
        "is_usual": moved <= most,
    }


def _by_chance(kinds: int, sizes: tuple[int, int]) -> float:
    return 0.5 * math.sqrt(kinds * sum(1 / size for size in sizes))


def _grouped(counts: Counter[str], common: set[str]) -> Counter[str]:
    """Counts of the common languages, and of all others together."""
    found: Counter[str] = Counter()
    for language, count in counts.items():
        found[language if language in common else "other"] += count
    return found


def _rank(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _shares(counts: Mapping[str, float]) -> dict[str, float]:
    total = sum(counts.values())
    return {kind: count / total for kind, count in counts.items()} if total else {}
