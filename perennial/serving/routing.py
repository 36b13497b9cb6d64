"""Which arm a session is on: sticky, and past the deadline of a rollout stable for everybody."""

import hashlib
import hmac
from datetime import datetime, timedelta

from perennial.errors import BadInput
from perennial.quality.interleaving import Arm
from perennial.release.channels.channel import Candidate
from perennial.release.manifests.canonical import parse_utc

__all__ = ["Arm", "arm_of", "live_share", "place_of"]
_SKEW = timedelta(minutes=5)  # by which the clocks of two machines may differ
_BITS = 53  # of the hash, as many as a float holds exactly


def arm_of(session_id: str, *, salt: str, share: float) -> Arm:
    """The session's arm: candidate for a `share` of all sessions, the same at every request.

    A session's place in [0, 1) depends on the salt alone: a share that grows only adds sessions to
    the candidate. (Kohavi et al. 2020, "Trustworthy Online Controlled Experiments", 4.)
    """
    return "candidate" if place_of(session_id, salt=salt) < share else "stable"


def place_of(session_id: str, *, salt: str) -> float:
    """Where in [0, 1) a session stands, uniform over sessions: HMAC-SHA256 keyed by the salt."""
    # An id that is no valid text is somebody's mistake, and must cost nobody an answer.
    data = session_id.encode("utf-8", "surrogatepass")
    digest = hmac.new(salt.encode(), data, hashlib.sha256).digest()
    return (int.from_bytes(digest[:8], "big") >> (64 - _BITS)) / (1 << _BITS)


def live_share(candidate: Candidate | None, now: datetime) -> float:
    """The candidate's share of sessions now: 0 without one, in shadow, or past its deadline.

    In the stage `interleave` it is the share that sees both in one list. `now` is aware, in UTC. A
    candidate without a deadline that can be read gets nobody: only a deadline guarantees that
    traffic comes back when nothing else works. Nor does one whose step begins in the future: a
    clock that was set back would prolong it.
    """
    if candidate is None or candidate.stage == "shadow" or candidate.deadline is None:
        return 0.0
    try:
        deadline = parse_utc(candidate.deadline)
        since = parse_utc(candidate.steps[-1].since) if candidate.steps else now
    except BadInput:
        return 0.0
    return candidate.share if since - _SKEW <= now < deadline else 0.0
