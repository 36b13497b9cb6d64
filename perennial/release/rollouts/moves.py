"""The channel writes of a rollout: begin, step, end, pause; each one compare-and-swap."""

from collections.abc import Sequence
from datetime import datetime

from perennial.errors import BadInput, Refused
from perennial.release.audit import swap_channel
from perennial.release.channels.channel import Baseline, Candidate, Channel
from perennial.release.channels.history import ended
from perennial.release.channels.moves import existing_channel, read_kept, signed_by
from perennial.release.channels.transitions import paused, rolling
from perennial.release.manifests.whole import present
from perennial.release.publishing.pins import Say, pinned, say_nothing
from perennial.release.rollouts.machine import Planned, begun, described
from perennial.release.stores.store import Store


def begin(
    store: Store,
    channel_name: str,
    release_id: str,
    *,
    steps: Sequence[Planned],
    baseline: Baseline | None,
    salt: str,
    now: datetime,
    who: str,
    key: bytes | None = None,
    again: bool = False,
    say: Say = say_nothing,
) -> Channel:
    """Make the release the channel's candidate; nothing is written where its encoder is already.

    Raises Refused on hold, where another release rolls out, where this one serves, and, unless
    `again`, where a rollout of its encoder went back: asking twice must not undo that.
    IntegrityError where the release is not whole; Conflict where another writer was first.
    """
    seen = existing_channel(store, channel_name, key=key)
    manifest = read_kept(store, release_id, key=key)
    if seen.candidate is not None:
        there = read_kept(store, seen.candidate.release_id, key=key)
        if there.lineage == manifest.lineage:
            return seen
        raise Refused(
            f"{channel_name} is rolling out {seen.candidate.release_id} ({seen.candidate.stage}); "
            "wait until that ends, or roll it back"
        )
    if release_id == seen.stable:
        raise Refused(f"{channel_name} serves {release_id} already; there is nothing to roll out")
    if seen.hold is not None:
        raise Refused(
            f"{channel_name} is on hold since {seen.hold.since} ({seen.hold.reason}); when the "
            "cause is gone run `perennial resume --reason '...'`, then roll out again"
        )
    went_back = [move for move in seen.history if move.why.startswith(ended(manifest.lineage))]
    if went_back and not again:
        raise Refused(
            f"{release_id} was rolled out on {channel_name} until {went_back[-1].at} and went back "
            f"({went_back[-1].why}); to try it once more: python -m flows.rollout --again"
        )
    with pinned(store, f"{channel_name} rolls out {release_id}", manifest.objects(), say=say):
        present(store, release_id, key=key)
        first = begun(release_id, steps=steps, baseline=baseline, salt=salt, now=now)
        why = f"rollout of {release_id} began: {described(steps[0])}"
        return step(store, seen, first, now=now, why=why, who=who, key=key)


def step(
    store: Store,
    seen: Channel,
    candidate: Candidate | None,
    *,
    now: datetime,
    why: str,
    who: str,
    key: bytes | None = None,
) -> Channel:
    """Put the candidate where the tick that saw the channel so decided; None ends its rollout.

    Raises Conflict where anybody wrote since: whoever ticks again then sees what they left.
    """
    after = rolling(seen, candidate, why=why, by=signed_by(now, who)).signed(key)
    swap_channel(store, seen, after, key=key)
    return after


def pause(
    store: Store,
    channel_name: str,
    *,
    reason: str,
    now: datetime,
    who: str,
    key: bytes | None = None,
) -> Channel:
    """Put a hold on the channel: its rollout neither advances nor is promoted until `resume`.

    Its step, and the step's deadline, go on; raises Refused where it is on hold already.
    """
    seen = existing_channel(store, channel_name, key=key)
    if not reason.strip():
        raise BadInput("pausing needs a reason; give --reason 'what is being looked into'")
    if seen.hold is not None:
        raise Refused(f"{channel_name} is on hold already ({seen.hold.reason})")
    after = paused(seen, reason, by=signed_by(now, who)).signed(key)
    swap_channel(store, seen, after, key=key)
    return after
