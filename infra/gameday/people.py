"""People who search all the while, and remember what they were answered and when nobody was."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle

from infra.gameday.town import Town

_PAUSE_SECONDS = 0.1


@dataclass
class Asked:
    """Request ids with the release that answered and when, and when there was no answer, by a
    clock that is never set."""

    answered: list[tuple[str, str, float]] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)

    def releases(self) -> list[str]:
        """Who answered, in the order of their coming."""
        return list(dict.fromkeys(release for _, release, _ in self.answered))

    def since(self, began: float) -> "Asked":
        """What came from then on."""
        return Asked(
            [each for each in self.answered if each[2] >= began],
            [at for at in self.failed if at >= began],
        )


@contextmanager
def asking(town: Town, queries: Sequence[str]) -> Iterator[Asked]:
    """One person after the other, ten a second, until the block ends."""
    asked, is_over = Asked(), threading.Event()

    def go_on() -> None:
        for query in cycle(queries):
            if is_over.wait(_PAUSE_SECONDS):
                return
            try:
                (result,) = town.search(query)["results"]
            except OSError:
                asked.failed.append(time.monotonic())
            else:
                found = (result["request_id"], result["release_id"], time.monotonic())
                asked.answered.append(found)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield asked
    finally:
        is_over.set()
        thread.join()
