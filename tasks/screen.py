"""What a person sees while flows run: one line per step that is done, and what happens now."""

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.rule import Rule
from rich.status import Status

RUN_LOGGERS = ("prefect.flow_runs", "prefect.task_runs")


class Screen:
    """Prints to a terminal with a spinner, or plain lines where nobody looks."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._status: Status | None = None
        self._began = time.monotonic()

    def title(self, text: str) -> None:
        self.console.print(Rule(escape(text), align="left", style="dim"))

    def done(self, step: str, seconds: float, said: str = "") -> None:
        """One step has ended."""
        self.console.print(
            f"[green]✓[/] {escape(step):<10}[dim]{seconds:6.1f} s[/]  {escape(said)}".rstrip(),
            no_wrap=True,
            overflow="ellipsis",
            highlight=False,
        )

    def now(self, text: str) -> None:
        """What happens at this moment; it is overwritten by the next."""
        if self._status is not None:
            self._status.update(escape(text[: max(20, self.console.width - 4)]))

    @contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """Shows the spinner while its body runs."""
        with self.console.status(escape(text)) as self._status:
            try:
                yield
            finally:
                self._status = None

    @contextmanager
    def following_flows(self) -> Iterator[None]:
        """Shows what Prefect's runs log; importing `prefect` later would end it."""
        listener = _Listener(self)
        for name in RUN_LOGGERS:
            logging.getLogger(name).addHandler(listener)
        try:
            yield
        finally:
            for name in RUN_LOGGERS:
                logging.getLogger(name).removeHandler(listener)


class _Listener(logging.Handler):
    def __init__(self, screen: Screen) -> None:
        super().__init__(logging.INFO)
        self._screen, self._before, self._said = screen, time.monotonic(), ""

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        task_run = getattr(record, "task_run_name", "") or ""
        step = re.sub(r"-[0-9a-f]+$", "", str(task_run))
        if task_run and message.startswith("Finished in state Completed"):
            now = time.monotonic()
            self._screen.done(step, now - self._before, self._said)
            self._before, self._said = now, ""
        elif task_run:
            self._screen.now(f"{step}: {message}")
            self._said = "" if message.startswith(step) else message.splitlines()[0]
        else:
            self._before = time.monotonic()
