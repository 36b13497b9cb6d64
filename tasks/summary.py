"""demo/summary.json: what was decided, what each round gained, and what it all took."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from perennial.release.stores.open import open_store
from perennial.workspace import Places, Workspace
from tasks.notes import write_json
from tasks.seconds import seconds_of
from tasks.view import ended


def write_summary(
    places: Places, *, verbs: Mapping[str, float], total_seconds: float, peak_memory_mb: float
) -> dict[str, Any]:
    """The value of summary.json. `orchestration` is what neither a verb nor a room worked: Prefect,
    DVC, MLflow, Great Expectations, and the starts of the stages' processes."""
    retrains = ended(places.runs)
    wall, rooms = defaultdict(float, verbs), defaultdict(float, verbs)
    for retrain in retrains:
        for step, spent in seconds_of(Workspace(places.runs / retrain["workspace"])).items():
            wall[step] += spent["wall"]
            rooms[step] += spent["rooms"]
    wall["orchestration"] = total_seconds - sum(rooms.values())
    wall["total"] = total_seconds
    channel = open_store(places.store).read_channel("production")
    summary = {
        "format_version": 1,
        "decision": retrains[-1]["decision"],
        "rounds": [
            {**item["systems"], "difference": item["differences"]["candidate-champion"]}
            for item in retrains
        ],
        "seconds": {step: round(seconds, 2) for step, seconds in wall.items()},
        "peak_memory_mb": round(peak_memory_mb),
        "releases": [move.to for move in channel.history] if channel else [],
    }
    write_json(places.home / "summary.json", summary)
    return summary
