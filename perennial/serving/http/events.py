"""Events: what people did with what they were shown, each known to be of an answer of ours."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256

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
    has the same, here and after a restart."""

    def __init__(self, log: LogWriter, *, tickets: Tickets, now: Callable[[], datetime]) -> None:
        self._log, self._tickets, self._now = log, tickets, now
        self._recent: OrderedDict[str, None] = OrderedDict()

    def take(self, sent: Sequence[Sent]) -> Taken:
        """Write them; raises Foreign before any is written, or LogFull after some were."""
        for position, event in enumerate(sent, start=1):
            if not self._tickets.is_ours(event.request_id):
                raise Foreign(
                    f"event {position} of {len(sent)} names a request_id that no answer of this "
                    "service had; send the one that came with the answer"
                )
        taken = 0
        for event in sent:
            event_id = _id(event)
            if event_id in self._recent:
                continue
            row = Event(
                event_id, event.request_id, event.doc_id, event.type, event.value, self._now()
            )
            if not self._log.put(row):
                raise LogFull("the log's queue is full; send the events again in a second")
            taken += 1
            self._recent[event_id] = None
            if len(self._recent) > _REMEMBERED:
                self._recent.popitem(last=False)
        return Taken(taken=taken, repeated=len(sent) - taken)


def _id(event: Sent) -> str:
    """32 hex digits; the sender's own id decides where there is one, else all that was said."""
    said = event.event_id or f"{event.doc_id}\t{event.type}\t{event.value}"
    kind = "own" if event.event_id else "said"
    return sha256(f"{event.request_id}\t{kind}\t{said}".encode()).hexdigest()[:32]
