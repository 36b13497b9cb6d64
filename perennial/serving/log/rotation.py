"""Closed spools become parquet on a thread of its own, while the next spool takes what comes."""

import logging
import threading
from collections import deque
from pathlib import Path

from perennial.serving.log.parts import write_parts
from perennial.serving.log.spool import Spool

_RETRY_SECONDS = 1.0
_log = logging.getLogger(__name__)


class Rotation:
    """Takes spools from the log's own thread; one that cannot be written yet is tried again."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._closed: deque[Spool] = deque()
        self._given, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="perennial-parquet", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Spools that are not parquet yet; each holds a descriptor."""
        return len(self._closed)

    def take(self, spool: Spool) -> None:
        """Write the closed spool's parts, soon, and remove it."""
        self._closed.append(spool)
        self._given.set()

    def close(self) -> None:
        """Write what was taken; what no disk takes stays, for the next process."""
        self._stopping.set()
        self._given.set()
        self._thread.join()

    def _run(self) -> None:
        is_last = False
        while not is_last:
            self._given.wait()
            self._given.clear()
            is_last = self._stopping.is_set()
            for spool in list(self._closed):
                try:
                    write_parts(spool.path, self._source)
                    self._closed.remove(spool)
                    spool.remove()
                except Exception as error:  # noqa: BLE001  the next time may go well
                    # Its words alone: whoever kept the error would keep the spool open.
                    _log.warning("the log could not become parquet: %s", str(error))
            if self._closed and not is_last and not self._stopping.wait(_RETRY_SECONDS):
                self._given.set()
