"""An answer on MLflow's review page wakes whoever waits for it."""

import json
from pathlib import Path

from tasks.bell import bell_of, ring


def ring_for_reviews(home: Path, body: bytes) -> None:
    """Rings where the delivery is about a review of one of our candidates."""
    from tasks.review import BELL  # with it comes MLflow, which takes seconds
    from tasks.webhook import Hook

    try:
        value = json.loads(body)
        hook = Hook("", f"{value['entity']}.{value['action']}", dict(value["data"]))
    except (ValueError, TypeError, KeyError):
        return
    if hook.is_about_a_review:
        ring(bell_of(home, BELL))
