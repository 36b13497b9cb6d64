"""A rollout's steps in the world: begin it, look at it, swap what is proven."""

import contextlib
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from perennial.errors import Conflict, Refused
from perennial.params.reading import load_params
from perennial.params.whole import Params
from perennial.quality.decision import Decision
from perennial.release.channels.moves import existing_channel, read_kept
from perennial.release.channels.served import served
from perennial.release.forgetting.forgotten import today
from perennial.release.rollouts.moves import begin
from perennial.release.stores.open import open_store
from perennial.release.stores.store import Store
from perennial.verbs.replace_champion import replace_champion
from perennial.verbs.rolling.look import Approving, Look, look
from perennial.verbs.rolling.steps import baseline, measured, planned
from perennial.workspace import Places, signing_key
from tasks.approval import approved_by, standing
from tasks.rollout_shadow import shadowing
from tasks.rollout_shown import show_look
from tasks.step import can_pass

WHO = "flow rollout"
_ATTEMPTS = 5
T = TypeVar("T")


@task(name="begin", cache_policy=NO_CACHE, persist_result=False, retries=2,
      retry_delay_seconds=2.0, retry_condition_fn=can_pass)  # fmt: skip
def begun(params: Path, channel: str, release_id: str, *, again: bool = False) -> Decision | None:
    """None once the release is the channel's candidate; promote where its encoder serves already.

    Raises Refused where it may not roll out now.
    """
    places, key, now = Places.from_environment(), signing_key(), datetime.now(UTC)
    store, loaded = open_store(places.store), load_params(params)
    release_id = today(store, release_id)
    seen = existing_channel(store, channel, key=key)
    lineage = read_kept(store, release_id, key=key).lineage
    if seen.candidate is None and served(store, seen, key=key).is_full(lineage):
        return Decision("promote", (f"{channel} serves the encoder of {release_id} already.",), ())
    who = _who(places, loaded, release_id, lineage)
    found = measured(places.source, loaded, channel=channel, now=now)
    began = _retried(
        lambda: begin(
            store,
            channel,
            release_id,
            steps=planned(loaded.canary),
            baseline=baseline(found, loaded.canary, channel=channel),
            salt=secrets.token_hex(16),
            now=now,
            who=who,
            key=key,
            again=again,
            say=get_run_logger().info,
        )
    )
    assert began.candidate is not None
    get_run_logger().info("%s rolls out %s", channel, began.candidate.release_id)
    return None


@task(name="tick", cache_policy=NO_CACHE, persist_result=False, retries=2,
      retry_delay_seconds=2.0, retry_condition_fn=can_pass)  # fmt: skip
def tick(params: Path, channel: str) -> Look:
    """One look, carried out; whoever is overtaken by another writer looks again."""
    places, loaded = Places.from_environment(), load_params(params)
    store = open_store(places.store)

    def taken() -> Look:
        now = datetime.now(UTC)
        return look(
            store,
            channel,
            params=loaded,
            source=places.source,
            now=now,
            who=WHO,
            key=signing_key(),
            shadowing=shadowing(store, places, loaded, now=now),
            approving=_approving(store, places, loaded),
            clock=lambda: datetime.now(UTC),
        )

    seen = _retried(taken)
    decision = seen.decision
    if decision.outcome == "promote":
        decision = _swapped(store, places, loaded, seen)
    get_run_logger().info("%s: %s", decision.outcome, decision.reasons[0])
    looked = Look(decision, seen.strata, seen.channel)
    show_look(looked)
    return looked


def _retried(move: Callable[[], T]) -> T:
    """What `move` gives; another writer may be first, and then it looks at what they left."""
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(Conflict):
            return move()
    return move()


def _swapped(store: Store, places: Places, params: Params, seen: Look) -> Decision:
    """promote once the candidate is stable; none where the swap must wait for another look."""
    candidate, key = seen.channel.candidate, signing_key()
    assert candidate is not None
    champion = served(store, seen.channel, key=key)
    lineage = read_kept(store, candidate.release_id, key=key).lineage
    try:
        who = _who(places, params, candidate.release_id, lineage)
        replaced = replace_champion(
            store,
            seen.channel.name,
            candidate.release_id,
            champion="",  # none: stable may have been reindexed since, so the catalogue is compared
            champion_lineage=champion.lineage or "",
            source=places.source,
            cache=places.cache,
            params=params,
            now=datetime.now(UTC),
            why=f"rollout of {candidate.release_id}: {seen.decision.reasons[0]}",
            who=who,
            key=key,
            say=get_run_logger().info,
            while_rolling=True,
        )
    except Refused as error:
        waits = (f"Proven, but not swapped yet: {error}.", *seen.decision.reasons)
        return Decision("none", waits, seen.decision.evidence)
    if replaced.serving is None:
        return Decision("none", replaced.decision.reasons, replaced.decision.evidence)
    return seen.decision


def _approving(store: Store, places: Places, params: Params) -> Approving | None:
    """Asks the registry for a person's word on a candidate; None where none is asked for."""
    if params.gate.review == "auto":
        return None

    def approving(release_id: str) -> Decision:
        lineage = read_kept(store, release_id, key=signing_key()).lineage
        return standing(places.tracking_uri, release_id=release_id, lineage=lineage)

    return approving


def _who(places: Places, params: Params, release_id: str, lineage: str) -> str:
    """The flow, and the person who approved; raises Refused where one must and none did."""
    if params.gate.review == "auto":
        return WHO
    name = approved_by(places.tracking_uri, release_id=release_id, lineage=lineage)
    return f"{WHO}, approved by {name}"
