"""The company of a game day: the embedded catalogue, a month of simulated people, a champion."""

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from infra.gameday.town import CHECKOUT, Town, wait_until
from infra.up.process import WELL_SECONDS
from perennial.data.tables import read_table
from perennial.errors import Refused
from perennial.simulation.public import OPENED

DAYS = 29
# Nobody looks at what a candidate is worth: what is broken is everything around it.
_SECTIONS: Mapping[str, Mapping[str, Any]] = {
    "simulate": {"days": DAYS, "sessions": 20_000},
    "train": {"epochs": 2},
    "gate": {
        "min_gain": -1.0, "max_loss": 1.0, "max_lexical_loss": 1.0, "max_slice_loss": 1.0,
        "min_judged": 0.0, "judged_gap": 1.0, "max_latency_ratio": 100.0,
    },
    "shadow": {"min_overlap": 0.0, "max_latency_ratio": 100.0, "max_click_loss": 1.0},
    "canary": {
        "sessions": 3000, "max_loss": 0.9, "min_baseline_sessions": 1,
        "steps": [{"share": 0.5, "margin": 0.9, "min_hours": 0.0, "max_hours": 1000.0}],
    },
}  # fmt: skip


def settle(town: Town, *, say: Callable[[str], None]) -> list[str]:
    """Import, bootstrap and simulate as a person would; what people there ask. Raises Refused."""
    params = town.home / "params.yaml"
    sections = yaml.safe_load((CHECKOUT / "params.yaml").read_text(encoding="utf-8"))
    for name, values in _SECTIONS.items():
        sections[name].update(values)
    # They come until now: hours without anybody would be a broken log to the watch.
    begin = datetime.now(UTC) - timedelta(days=DAYS * OPENED)
    sections["simulate"]["start"] = begin.replace(microsecond=0).isoformat()
    params.write_text(yaml.safe_dump(sections), encoding="utf-8")
    for command in (("import", "apidocs"), ("bootstrap",), ("simulate",)):
        say(f"perennial {' '.join(command)}")
        done = town.command("perennial.cli", *command, cwd=town.home)
        if done.returncode != 0:
            raise Refused(f"`perennial {command[0]}` ended: {done.stderr.strip()[-500:]}")
    for name in ("retrain", "reindex", "watch", "rollout", "sweep"):
        there = town.deployment(name)
        change = {"parameters": there["parameters"] | {"params": str(params)}, "paused": False}
        town.prefect(f"/deployments/{there['id']}", change, method="PATCH")
        if name == "rollout":  # which looks after the dead
            continue
        for schedule in there["schedules"]:  # what happens in the day is what was broken
            path = f"/deployments/{there['id']}/schedules/{schedule['id']}"
            town.prefect(path, {"active": False}, method="PATCH")
    truth = read_table(town.home / "source" / "truth.parquet")
    queries = [*dict.fromkeys(truth["query"])][:200]
    wait_until(lambda: bool(town.search(queries[0])["results"]), seconds=120, what="an answer")
    say("a quiet minute: who is new and dies at once is started again ever more rarely")
    time.sleep(WELL_SECONDS)
    return queries


def stable(town: Town) -> str:
    """The release that the channel names."""
    done = town.command("perennial.cli", "status", "--json", cwd=town.home)
    if done.returncode != 0:
        raise Refused(done.stderr.strip()[-300:])
    return str(json.loads(done.stdout)["channel"]["stable"])


def retrain_params(town: Town, name: str, sections: Mapping[str, Mapping[str, Any]]) -> Path:
    """The day's params.yaml with some sections changed, beside it."""
    found = yaml.safe_load((town.home / "params.yaml").read_text(encoding="utf-8"))
    for section, values in sections.items():
        found[section].update(values)
    path = town.home / f"{name}.yaml"
    path.write_text(yaml.safe_dump(found), encoding="utf-8")
    return path
