"""Tells of a failed or long test when it ends: a run that is ended from outside has no summary."""

import pytest

LONG = 60.0  # seconds


class ToldAtOnce:
    """A plugin of the process that gathers the reports."""

    def __init__(self, reporter: pytest.TerminalReporter):
        self.reporter = reporter

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """In the order in which they end, among the progress."""
        if report.failed:
            self._say(f"FAILED in {report.when} after {report.duration:.0f} s: {report.nodeid}")
            for line in report.longreprtext.splitlines()[-30:]:
                self._say(f"    {line}")
        elif report.duration >= LONG:
            self._say(f"{report.duration:.0f} s in {report.when}: {report.nodeid}")

    def _say(self, line: str) -> None:
        self.reporter.ensure_newline()
        self.reporter.write_line(line)
