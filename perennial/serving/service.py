"""From a person's queries to what is shown and logged: route, ask, explore, write it down."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

from perennial.serving.answer import Answer
from perennial.serving.batcher import Batcher, Found, Overloaded
from perennial.serving.loaded import check_queries
from perennial.serving.log.records import Request
from perennial.serving.log.writer import LogWriter
from perennial.serving.routing import Arm, arm_of, live_share
from perennial.serving.searcher import Searcher
from perennial.serving.serving import Serving
from perennial.serving.shadowing import Shadowing
from perennial.serving.showing import Shown, show_both, show_one
from perennial.serving.tickets import Tickets

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Searched:
    """The answers to one request with their ids, None where nothing was logged and no event can
    refer to it; and the seconds of its steps, those of its whole batch.

    `candidate_failed` where stable answered in the candidate's place.
    """

    shown: list[Shown]
    request_ids: Sequence[str | None]
    encode_seconds: float
    search_seconds: float
    total_seconds: float
    candidate_failed: bool = False


@dataclass(frozen=True)
class _Asked:
    """What the session's arm found, or stable in its place; when interleaved what stable found, and
    the candidate."""

    arm: Arm
    found: Found
    candidate: Found | None = None
    candidate_failed: bool = False


class Service:
    """One channel's search; belongs to one event loop."""

    def __init__(
        self,
        searcher: Searcher,
        log: LogWriter,
        batcher: Batcher,
        *,
        channel: str,
        tickets: Tickets,
        explore_share: float,
        random: Random,
        now: Callable[[], datetime],
        shadowing: Shadowing | None = None,
    ) -> None:
        self.searcher, self.log, self.channel = searcher, log, channel
        self._batcher, self._tickets = batcher, tickets
        self._explore_share, self._random, self._now = explore_share, random, now
        self._shadowing = shadowing

    async def search(
        self, queries: Sequence[str], k: int, *, slice: str | None, session_id: str
    ) -> Searched:
        """Answer by the session's arm, and log it; raises BadInput, Overloaded."""
        began = time.perf_counter()
        check_queries(queries, k)
        asked = await self._ask(queries, k, slice, session_id)
        answers, other = asked.found.answers, asked.candidate
        random = self._random
        if other is None:
            arm, share = asked.arm, self._explore_share
            shown = [show_one(each, arm, share=share, random=random) for each in answers]
        else:
            both = zip(answers, other.answers, strict=True)
            shown = [show_both(*each, k, seed=random.getrandbits(48)) for each in both]
        seconds, ts = time.perf_counter() - began, self._now()
        request_ids = self._tickets.new(ts, [each.doc_ids for each in shown])
        self._write(queries, shown, request_ids, session_id, ts, seconds)
        self._mirror(queries, answers, shown, request_ids, k, slice)
        return Searched(
            shown,
            request_ids,
            asked.found.encode_seconds,
            asked.found.search_seconds,
            seconds,
            asked.candidate_failed,
        )

    async def compare(
        self, queries: Sequence[str], k: int, *, slice: str | None, arm: Arm
    ) -> Searched:
        """The arm's own answers, as they are and unlogged: for people who look at both."""
        began = time.perf_counter()
        check_queries(queries, k)
        found = await self._batcher.ask(queries, k, slice=slice, arm=arm)
        shown = [
            Shown(arm, each.release_id, each.doc_ids, each.scores, found=each.found)
            for each in found.answers
        ]
        nobody, seconds = [None] * len(shown), time.perf_counter() - began
        return Searched(shown, nobody, found.encode_seconds, found.search_seconds, seconds)

    async def _ask(
        self, queries: Sequence[str], k: int, slice: str | None, session_id: str
    ) -> _Asked:
        """Ask the session's arm, and stable where the candidate fails."""
        serving = self.searcher.serving
        arm, is_interleaved = self._arm(serving, session_id)
        if arm == "stable":
            found = await self._batcher.ask(queries, k, slice=slice, arm="stable")
            return _Asked("stable", found)
        # One that was promoted or taken back meanwhile did not fail: that is the channel's doing.
        is_absent = serving.candidate is None
        if is_interleaved and not is_absent:
            both = (
                self._batcher.ask(queries, k, slice=slice, arm=each)
                for each in ("stable", "candidate")
            )
            stable, candidate = await asyncio.gather(*both, return_exceptions=True)
            if isinstance(stable, BaseException):
                raise stable
            if isinstance(candidate, Overloaded):
                raise candidate
            if isinstance(candidate, BaseException):
                _log.warning("the candidate failed on %d queries: %r", len(queries), candidate)
                return _Asked("candidate", stable, candidate_failed=True)
            return _Asked("candidate", stable, candidate)
        try:
            found = await self._batcher.ask(queries, k, slice=slice, arm="candidate")
            return _Asked("candidate", found, candidate_failed=is_absent)
        except Overloaded:
            raise
        except Exception as error:  # noqa: BLE001  stable answers where a candidate fails
            # Its release_id in the log tells that it was stable's.
            _log.warning("the candidate failed on %d queries: %r", len(queries), error)
            found = await self._batcher.ask(queries, k, slice=slice, arm="stable")
            return _Asked("candidate", found, candidate_failed=True)

    def _arm(self, serving: Serving, session_id: str) -> tuple[Arm, bool]:
        """The session's arm, and whether it sees both in one list."""
        rollout = serving.rollout
        if rollout is None:
            return "stable", False
        share = live_share(rollout, self._now())
        arm = arm_of(session_id, salt=rollout.salt, share=share)
        return arm, arm == "candidate" and rollout.stage == "interleave"

    def _mirror(
        self,
        queries: Sequence[str],
        answers: Sequence[Answer],
        shown: Sequence[Shown],
        request_ids: Sequence[str],
        k: int,
        slice: str | None,
    ) -> None:
        """Offer stable's own answers, as they were before any exploration."""
        if self._shadowing is None or not self._shadowing.wants(self.searcher.serving):
            return
        for query, answer, each, request_id in zip(
            queries, answers, shown, request_ids, strict=True
        ):
            if each.arm == "stable":
                self._shadowing.offer(query, answer, request_id=request_id, k=k, slice=slice)

    def _write(
        self,
        queries: Sequence[str],
        shown: Sequence[Shown],
        request_ids: Sequence[str],
        session_id: str,
        ts: datetime,
        seconds: float,
    ) -> None:
        latency_ms = round(1e3 * seconds, 3)
        for query, each, request_id in zip(queries, shown, request_ids, strict=True):
            self.log.put(
                Request(
                    request_id, session_id, ts, query, self.channel, each.arm, each.release_id,
                    latency_ms, each.is_explored, each.doc_ids, each.scores, each.propensities,
                    each.teams, each.releases,
                )
            )  # fmt: skip
