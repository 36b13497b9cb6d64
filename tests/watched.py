"""What alerts and dashboards ask Prometheus: every expression, and the metrics and labels in it."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
ALERTS = ROOT / "infra" / "prometheus" / "alerts.yaml"
DASHBOARDS = sorted((ROOT / "infra" / "grafana" / "dashboards").glob("*.json"))
_SELECTOR = re.compile(r"\b((?:perennial|up|ALERTS)\w*)(?:\{([^}]*)\})?(?!\w|:)")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"([^\"]*)\"")
_BY = re.compile(r"\b(?:by|on) \(([^)]*)\)")


def rules(kind: str) -> list[dict[str, Any]]:
    """The rules that are of a kind, `alert` or `record`."""
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


def panels() -> list[tuple[str, str]]:
    """(where it stands, expression) of every query of every dashboard, its variables filled in."""
    found = []
    for path in DASHBOARDS:
        board = json.loads(path.read_text(encoding="utf-8"))
        for panel in [*board["panels"], *board["annotations"]["list"]]:
            for target in panel.get("targets", [panel]):
                name = f"{path.name}: {panel.get('title', 'annotation')}"
                filled = target["expr"].replace("$__rate_interval", "1m")
                found.append((name, filled.replace("$channel", ".*")))
    return found


def asked() -> dict[str, dict[str, set[str]]]:
    """Each metric that anything asks for: the labels that it is selected by, with their values."""
    expressions = [rule["expr"] for kind in ("alert", "record") for rule in rules(kind)]
    found: dict[str, dict[str, set[str]]] = {}
    for expression in [*expressions, *(expression for _, expression in panels())]:
        bare = re.sub(r"\bchannel:\w+(\{[^}]*\})?", "", expression)  # recorded by our own rules
        for name, selected in _SELECTOR.findall(bare):
            labels = found.setdefault(name, {})
            for label, value in _LABEL.findall(selected):
                labels.setdefault(label, set()).update(value.split("|"))
    return found


def grouped() -> set[str]:
    """The labels that anything is grouped or matched by."""
    expressions = [rule["expr"] for kind in ("alert", "record") for rule in rules(kind)]
    lists = [_BY.findall(each) for each in [*expressions, *(e for _, e in panels())]]
    return {name.strip() for found in lists for each in found for name in each.split(",")}


def promtool() -> str:
    """The path of promtool; the test is skipped, with the reason, where there is none."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is missing; it is in Debian's package `prometheus`")
    return found
