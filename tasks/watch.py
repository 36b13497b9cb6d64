"""Looks at what a channel's people and its catalogue do now, and tells Prefect what follows.

An event `perennial.watch.retrain`, `.reindex` or `.page` about `perennial.channel.NAME` is what an
Automation starts a deployment by. Its payload holds a sentence, the evidence that counts, and a key
that is the same for the same part of the log, so that an event which is told twice starts one run.
"""

import hashlib
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from prefect.events.worker import EventsWorker
from prefect.logging import get_run_logger

from perennial.params.reading import load_params
from perennial.release.stores.open import open_store
from perennial.verbs.watching.watch import Look
from perennial.verbs.watching.watch import look as take_look
from perennial.workspace import Places, signing_key
from tasks.notify import post
from tasks.step import can_pass
from tasks.world import in_words

EVENT = "perennial.watch."
RESOURCE = "perennial.channel."
_SENT_SECONDS = 30.0


@task(name="look", cache_policy=NO_CACHE, persist_result=False, retries=2,
      retry_delay_seconds=2.0, retry_condition_fn=can_pass)  # fmt: skip
def look(params: Path, channel: str) -> Look:
    """One look, and whoever acts on it is told; every sentence on the way is logged."""
    places, say = Places.from_environment(), get_run_logger().info
    with in_words(places.cache, places.tracking_uri):
        return take_look(
            open_store(places.store),
            channel,
            source=places.source,
            cache=places.cache,
            params=load_params(params),
            now=datetime.now(UTC),
            key=signing_key(),
            say=say,
            tell=partial(tell, say=say),
        )


def tell(found: Look, last: str, *, say: Callable[[str], None]) -> bool:
    """Emit the event of a verdict, and call a person to a page; whether both were heard."""
    event = event_of(found)
    if event is None:
        return True
    emit_event(**event)
    is_sent = _is_sent(EventsWorker.instance())
    say(f"emitted {event['event']}" if is_sent else f"{event['event']} waits to be sent")
    return is_sent and call(found, last, say=say)


def call(found: Look, last: str, *, say: Callable[[str], None]) -> bool:
    """Tell a person of a page that is not the `last` outcome, too; False where nobody took it."""
    if found.decision.outcome != "page" or last == "page":
        return True
    why_not = post(
        {
            "text": f"Perennial: watch of {found.channel}: {' '.join(found.decision.reasons[:3])}",
            "flow": "watch",
            "channel": found.channel,
            "state": "Page",
            "release_id": found.release_id,
            "log_end": found.log_end,
        }
    )
    if why_not is not None:
        say(f"{why_not}; the next look tells it again")
    return why_not is None


def _is_sent(worker: EventsWorker) -> bool:
    """Events leave in a thread of Prefect's: one that is only queued dies with the process."""
    waiting = threading.Thread(target=worker.wait_until_empty, daemon=True)
    waiting.start()
    waiting.join(_SENT_SECONDS)
    return not waiting.is_alive()


def event_of(found: Look) -> dict[str, Any] | None:
    """The event as Prefect's `emit_event` takes it; None where nothing is to be done."""
    outcome = found.decision.outcome
    if outcome == "none":
        return None
    evidence = [each for each in found.decision.to_dict()["evidence"] if each["holds"] is False]
    about = f"{found.channel}\n{found.release_id}\n{found.log_end}\n{outcome}"
    return {
        "event": f"{EVENT}{outcome}",
        "resource": {
            "prefect.resource.id": f"{RESOURCE}{found.channel}",
            "perennial.channel": found.channel,
        },
        "payload": {
            "reason": " ".join(found.decision.reasons[:2]),
            "evidence": evidence,
            "key": f"sha256:{hashlib.sha256(about.encode()).hexdigest()}",
        },
    }
