"""`perennial forget --session`, as the command line runs it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from perennial.params.reading import load_params
from perennial.release.stores.open import open_store
from perennial.verbs.forgetting.forget import forget_session
from perennial.verbs.forgetting.plan import plan_session
from perennial.verbs.forgetting.shown import session_value, show_session
from perennial.verbs.progress import warn
from perennial.workspace import Places, session_key

TRACKER = "the tracking server: python -m flows.forget --session HASH"


def forget_one(
    session: str,
    *,
    plan: bool,
    why: str,
    who: str,
    key: bytes | None,
    as_json: bool,
    is_tracker_done: bool = False,
) -> bool:
    """Forget it, or show the plan; False where something is left to do, as what is kept on a
    tracking server is for the flow."""
    places = Places.from_environment()
    where: dict[str, Any] = {
        "places": places,
        "store": open_store(places.store),
        "here": Path.cwd(),
        "session_key": session_key(),
        "key": key,
    }
    if plan:
        _, done = plan_session(session, **where)
    else:
        done = forget_session(
            session,
            who=who,
            why=why,
            pending=timedelta(hours=load_params(Path("params.yaml")).sweep.pending_hours),
            now=datetime.now(UTC),
            unreached=() if is_tracker_done or not places.has_tracking_server else (TRACKER,),
            say=(lambda line: None) if as_json else warn,
            **where,
        )
    value = session_value(done)
    if as_json:
        print(json.dumps(value, indent=2, sort_keys=True))
    else:
        show_session(value, Console())
    return plan or done.is_over
