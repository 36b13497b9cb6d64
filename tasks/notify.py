"""Tells a webhook of yours that a flow failed, or needs you: PERENNIAL_NOTIFY_URL, where it is set.

The form is what Slack, Mattermost and the like take: a sentence as `text`; others find the fields
beside it.
"""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from prefect.logging.loggers import flow_run_logger

VARIABLE = "PERENNIAL_NOTIFY_URL"
_TIMEOUT_SECONDS = 10.0
_LONGEST = 500


def notify_of_failure(flow: Any, flow_run: Any, state: Any) -> None:
    """A hook of a flow that failed or crashed: posts a sentence, and what it is about.

    Whoever listens may be away: the run has failed either way, and Prefect shows it.
    """
    why = " ".join(str(state.message or "").split())[:_LONGEST]
    body = {
        "text": f"Perennial: {flow.name} {state.name.lower()} (run {flow_run.name}): {why}",
        "flow": flow.name,
        "run": flow_run.name,
        "run_id": str(flow_run.id),
        "state": state.name,
    }
    if (why_not := post(body)) is not None:
        flow_run_logger(flow_run, flow).warning(why_not)


def post(body: Mapping[str, str]) -> str | None:
    """Why nobody took it, in a sentence; None where somebody did, or nobody asked to be told."""
    url = os.environ.get(VARIABLE)
    if not url:
        return None
    request = urllib.request.Request(  # noqa: S310 - the operator's own address
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):  # noqa: S310
            pass
    except (OSError, ValueError) as error:
        # Not the address itself: such addresses are secrets.
        return f"{VARIABLE} does not take notifications ({type(error).__name__})"
    return None
