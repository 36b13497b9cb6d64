"""One process of many that looks at a rollout: sees the channel, waits for the others, decides."""

import sys
import time
from datetime import datetime
from pathlib import Path

from perennial.errors import Conflict
from perennial.quality.decision import Decision
from perennial.release.channels.moves import existing_channel
from perennial.release.rollouts.machine import Planned, ticked
from perennial.release.rollouts.moves import step
from perennial.release.stores.open import open_store

STEPS = [
    Planned("shadow", 0.0, 0.0, 0.0, 2.0),
    Planned("canary", 0.01, 0.3, 0.0, 4.0),
    Planned("canary", 0.5, 0.03, 0.0, 8.0),
]


def main(place: str, folder: str, name: str, outcome: str, now: str) -> None:
    """Prints what came of it: moved, or overtaken."""
    store, meeting = open_store(place), Path(folder)
    seen = existing_channel(store, "production", key=None)
    assert seen.candidate is not None
    (meeting / f"{name}.ready").touch()
    while not (meeting / "go").exists():
        time.sleep(0.001)
    found = Decision(outcome, ("As the evidence says.",), ())  # type: ignore[arg-type]
    moment = datetime.fromisoformat(now)
    after = ticked(seen.candidate, found, steps=STEPS, now=moment)
    try:
        step(store, seen, after.candidate, now=moment, why=f"by {name}", who=name)
        print("moved")
    except Conflict:
        print("overtaken")


if __name__ == "__main__":
    main(*sys.argv[1:])
