"""What a delivery says, in one form whoever says it: Grafana, Alertmanager, Evidently, MLflow."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_PIECES = 20  # of evidence, as they stand in a run's parameters; all are counted
_LONGEST = 300
_NUMBERS = ("value", "low", "high", "bound", "n")


class Malformed(Exception):
    """A body that says nothing we understand; the message says what is missing."""


@dataclass(frozen=True)
class Statement:
    """Why a flow should run; `key` is the same for the same news, and `is_named` where the sender
    chose it; `is_over` where all is well."""

    reason: str
    evidence: tuple[Mapping[str, Any], ...]
    key: str
    is_over: bool = False
    is_named: bool = False

    def weight(self, min_observations: int) -> int:
        """Pieces that speak for it: not those that hold, nor those with too few observations."""
        return sum(
            each.get("holds") is not True and each.get("n", math.inf) >= min_observations
            for each in self.evidence
        )


def read_statement(body: bytes) -> Statement:
    """The statement; raises Malformed."""
    try:
        # Python's own json writes NaN, and so do reports of Evidently: it is no number here.
        value = json.loads(body, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        raise Malformed("the body is no JSON; send an object") from None
    if not isinstance(value, dict):
        raise Malformed("the body is no JSON object; send one")
    if isinstance(value.get("alerts"), list):
        return _of_alerts(value)
    if isinstance(value.get("tests"), list):
        return _of_tests(value)
    if {"entity", "action", "data"} <= value.keys():
        return _of_registry(value)
    return _of_anybody(value)


def line(text: object, longest: int = _LONGEST) -> str:
    """One printable line, which any JSON and any database takes."""
    whole = " ".join(str(text).encode("utf-8", "replace").decode().split())
    plain = "".join(each if each.isprintable() else "?" for each in whole)
    return plain if len(plain) <= longest else plain[: longest - 1] + "…"


def _of_alerts(value: Mapping[str, Any]) -> Statement:
    """Of an Alertmanager (version 4), whose form Grafana sends too."""
    alerts = [each for each in value["alerts"] if isinstance(each, dict)]
    firing = [each for each in alerts if each.get("status") == "firing"]
    pieces, news = [], []
    for each in firing:
        labels, notes = _object(each, "labels"), _object(each, "annotations")
        name = line(labels.get("alertname", "an alert without a name"), 100)
        since = line(each.get("startsAt", ""), 40)
        pieces.append({"name": name, "since": since, "says": line(notes.get("summary", ""))})
        news.append([each.get("fingerprint") or labels, since])
    names = sorted({str(piece["name"]) for piece in pieces})
    reason = line(f"{len(firing)} firing: {', '.join(names)}") if firing else "no alert is firing"
    return Statement(reason, tuple(pieces), _digest(sorted(map(_canonical, news))), not firing)


def _of_tests(value: Mapping[str, Any]) -> Statement:
    """Of an Evidently report with tests, as its `json()` writes it."""
    tests = [each for each in value["tests"] if isinstance(each, dict)]
    failed = [each for each in tests if str(each.get("status")).lower() in ("fail", "error")]
    pieces = tuple(
        {
            "name": line(each.get("name", "a test without a name"), 100),
            "says": line(each.get("description", "")),
        }
        for each in failed
    )
    reason = f"{len(failed)} of {len(tests)} tests failed"
    return Statement(reason, pieces, _digest(value), not failed)


def _of_registry(value: Mapping[str, Any]) -> Statement:
    """Of MLflow's registry: what happened is the evidence."""
    data = _object(value, "data")
    event = line(f"{value['entity']}.{value['action']}", 80)
    said = ("name", "version", "key", "alias", "value")
    facts = ", ".join(f"{name} {line(data[name], 60)}" for name in said if name in data)
    return Statement(line(f"{event}: {facts}"), ({"name": event, "says": facts},), _digest(value))


def _of_anybody(value: Mapping[str, Any]) -> Statement:
    """`{"reason": ..., "evidence": [{"name": ..., "value": ..., "n": ...}], "key": ...}`."""
    reason, evidence, key = value.get("reason"), value.get("evidence", []), value.get("key")
    if not isinstance(reason, str) or not reason.strip():
        raise Malformed("`reason` is missing; say in a sentence why a flow should run")
    if not isinstance(evidence, list):
        raise Malformed("`evidence` is no list; send a list of objects with a `name`")
    pieces = []
    for each in evidence:
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            raise Malformed("a piece of `evidence` is no object with a `name`; name each")
        piece: dict[str, Any] = {"name": line(each["name"], 100)}
        piece |= {name: each[name] for name in _NUMBERS if _is_number(each.get(name))}
        if "n" in each and "n" not in piece:
            piece["n"] = 0  # NaN, or no number: nothing says that there were enough
        if isinstance(each.get("holds"), bool):
            piece["holds"] = each["holds"]
        if "says" in each:
            piece["says"] = line(each["says"])
        pieces.append(piece)
    is_named = isinstance(key, str) and bool(key.strip())
    named = line(key, 200) if is_named else _digest(value)
    return Statement(line(reason), tuple(pieces), named, is_named=is_named)


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _is_number(value: object) -> bool:
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return is_one and abs(value) < 1e15  # type: ignore[operator]


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _digest(value: object) -> str:
    return hashlib.sha256(_canonical(value).encode()).hexdigest()
