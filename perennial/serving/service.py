"""From a person's queries to what is shown and logged: route, ask, explore, write it down."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

from perennial.serving.batcher import Batcher, Found, Overloaded
from perennial.serving.loaded import Answer, check_queries
from perennial.serving.log.records import Request
from perennial.serving.log.writer import LogWriter
from perennial.serving.routing import Arm, arm_of, live_share
from perennial.serving.searcher import Searcher
from perennial.serving.shadowing import Shadowing
from perennial.serving.showing import Shown, show_both, show_one
from perennial.serving.tickets import Tickets

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Searched:
    """The answers to one request, and the seconds of its steps, those of its whole batch.

    `candidate_failed` where the candidate's arm was answered by stable.
    """

    shown: list[Shown]
    encode_seconds: float
    search_seconds: float
    total_seconds: float
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
        arm, is_interleaved = self._arm(session_id)
        found, other = await self._ask(queries, k, slice, arm, is_interleaved=is_interleaved)
        shown = []
        for position, answer in enumerate(found.answers):
            request_id = self._tickets.new()
            if other is not None:
                candidate = other.answers[position]
                shown.append(show_both(answer, candidate, k, request_id=request_id))
                continue
            share, random = self._explore_share, self._random
            one = show_one(answer, arm, request_id=request_id, share=share, random=random)
            shown.append(one)
        seconds, ts = time.perf_counter() - began, self._now()
        for query, each in zip(queries, shown, strict=True):
            self._write(each, session_id, ts, query, seconds)
        self._mirror(queries, found.answers, shown, k, slice)
        stable = self.searcher.serving.stable
        failed = arm == "candidate" and other is None and found.release is stable
        return Searched(shown, found.encode_seconds, found.search_seconds, seconds, failed)

    async def compare(
        self, queries: Sequence[str], k: int, *, slice: str | None, arm: Arm
    ) -> Searched:
        """The arm's own answers, as they are and unlogged: for people who look at both."""
        began = time.perf_counter()
        check_queries(queries, k)
        found = await self._batcher.ask(queries, k, slice=slice, arm=arm)
        shown = [Shown(None, arm, each.release_id, each.hits) for each in found.answers]
        seconds = time.perf_counter() - began
        return Searched(shown, found.encode_seconds, found.search_seconds, seconds)

    def _arm(self, session_id: str) -> tuple[Arm, bool]:
        """The session's arm, and whether it sees both in one list."""
        rollout = self.searcher.serving.rollout
        if rollout is None:
            return "stable", False
        share = live_share(rollout, self._now())
        arm = arm_of(session_id, salt=rollout.salt, share=share)
        return arm, arm == "candidate" and rollout.stage == "interleave"

    async def _ask(
        self,
        queries: Sequence[str],
        k: int,
        slice: str | None,
        arm: Arm,
        *,
        is_interleaved: bool,
    ) -> tuple[Found, Found | None]:
        """What the arm finds, or stable where the candidate fails; when interleaved stable's, and
        the candidate's."""
        if arm == "stable":
            return await self._batcher.ask(queries, k, slice=slice, arm="stable"), None
        if is_interleaved and self.searcher.serving.candidate is not None:
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
            return stable, None if isinstance(candidate, BaseException) else candidate
        try:
            return await self._batcher.ask(queries, k, slice=slice, arm=arm), None
        except Overloaded:
            raise
        except Exception as error:  # noqa: BLE001  stable answers where a candidate fails
            # Its release_id in the log tells that it was stable's.
            _log.warning("the candidate failed on %d queries: %r", len(queries), error)
            return await self._batcher.ask(queries, k, slice=slice, arm="stable"), None

    def _mirror(
        self,
        queries: Sequence[str],
        answers: Sequence[Answer],
        shown: Sequence[Shown],
        k: int,
        slice: str | None,
    ) -> None:
        """Offer stable's own answers, as they were before any exploration."""
        if self._shadowing is None:
            return
        serving = self.searcher.serving
        for query, answer, each in zip(queries, answers, shown, strict=True):
            if each.arm == "stable" and each.request_id is not None:
                self._shadowing.offer(
                    serving, query, answer, request_id=each.request_id, k=k, slice=slice
                )

    def _write(
        self, shown: Shown, session_id: str, ts: datetime, query: str, seconds: float
    ) -> None:
        assert shown.request_id is not None
        self.log.put(
            Request(
                request_id=shown.request_id,
                session_id=session_id,
                ts=ts,
                query=query,
                channel=self.channel,
                arm=shown.arm,
                release_id=shown.release_id,
                n_results=len(shown.hits),
                latency_ms=round(1e3 * seconds, 3),
                explored=shown.is_explored,
                impressions=shown.rows,
            )
        )
