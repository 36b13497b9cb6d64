"""Events: what people did with what they were shown, each known to be of an answer of ours."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256

from perennial.errors import BadInput
from perennial.serving.http.bodies import Event as Sent
from perennial.serving.http.bodies import Taken
from perennial.serving.log.records import Event
from perennial.serving.log.writer import LogWriter
from perennial.serving.tickets import Tickets

_REMEMBERED = 100_000


class Foreign(Exception):
    """An event refers to a request that this service did not answer."""


class LogFull(Exception):
    """The log takes no more for the moment; what was sent may be sent again."""


class Events:
    """Writes each event once: its id is a digest of what it says, so that one that is sent again
    has the same, here, after a restart, and in another process, where a snapshot merges them."""

    def __init__(
        self,
        log: LogWriter,
        *,
        tickets: Tickets,
        now: Callable[[], datetime],
        max_dwell_seconds: float,
    ) -> None:
        self._log, self._tickets, self._now = log, tickets, now
        self._max_dwell_seconds = max_dwell_seconds
        self._recent: OrderedDict[str, None] = OrderedDict()

    def take(self, sent: Sequence[Sent]) -> Taken:
        """Write those that can be known for ours; raises Foreign or BadInput where none can, or
        LogFull after some."""
        now = self._now()
        rows: list[Event] = []
        refused: list[Foreign | BadInput] = []
        for position, event in enumerate(sent, start=1):
            which = f"event {position} of {len(sent)}"
            try:
                # Another machine may have answered, whose clock is ahead of this one's.
                ts = max(now, self._asked(event, which))
            except (Foreign, BadInput) as error:
                refused.append(error)
                continue
            about = (event.request_id, event.doc_id, event.type, event.value, ts)
            rows.append(Event(_id(event), *about))
        if refused and not rows:
            raise refused[0]
        taken = 0
        for row in rows:
            if row.event_id in self._recent:
                continue
            if not self._log.put(row):
                raise LogFull("the log's queue is full; send the events again in a second")
            taken += 1
            self._recent[row.event_id] = None
            if len(self._recent) > _REMEMBERED:
                self._recent.popitem(last=False)
        why = str(refused[0]) if refused else None
        return Taken(taken=taken, repeated=len(rows) - taken, refused=len(refused), error=why)

    def _asked(self, event: Sent, which: str) -> datetime:
        """When the event's request was answered; raises Foreign, BadInput."""
        ticket = self._tickets.read(event.request_id)
        if ticket is None:
            raise Foreign(
                f"{which} names a request_id that no answer of this service had; send the one that "
                "came with the answer"
            )
        if not ticket.may_have_shown(event.doc_id):
            raise BadInput(
                f"{which} is about document {event.doc_id[:80]!r}, which its answer did not show; "
                "send a doc_id of the answer's own hits"
            )
        stayed = event.value if event.type == "dwell" else 0.0
        if stayed is None or stayed > self._max_dwell_seconds:
            raise BadInput(
                f"{which} is a dwell of {event.value} seconds; send how long the person stayed, at "
                f"most {self._max_dwell_seconds:g}, and nothing where a page was left open"
            )
        return ticket.ts


def _id(event: Sent) -> str:
    """32 hex digits of all that was said, with the sender's own id where there is one."""
    said = (event.request_id, event.event_id, event.doc_id, event.type, event.value)
    return sha256("\t".join(map(str, said)).encode()).hexdigest()[:32]
