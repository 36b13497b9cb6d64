"""Somebody at a terminal, with params.yaml, a source and a champion."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from small import CHECKOUT, STAGES, module_of
from warm import Answer, WarmPython


@dataclass
class User:
    """A person in a folder with params.yaml, whose PERENNIAL_HOME has a source and a champion.

    Commands and stages start from a Python that is warm, which saves their imports.
    """

    folder: Path
    home: Path
    warm: WarmPython

    def python(self, *arguments: str, **options: Any) -> Answer:
        return subprocess.run(
            [sys.executable, *arguments], **self.place() | options, text=True, capture_output=True
        )

    def place(self) -> dict[str, Any]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PERENNIAL_")}
        environment = kept | {"PERENNIAL_HOME": str(self.home), "PYTHONPATH": str(CHECKOUT)}
        return {"cwd": self.folder, "env": environment}

    def module(self, *arguments: str, file_limit: int | None = None) -> Answer:
        """`python -m …`; `file_limit`: no file grows beyond so many bytes, as on a full disk."""
        return self.warm.run(*arguments, **self.place(), file_limit=file_limit)

    def perennial(self, *arguments: str, **options: Any) -> Answer:
        return self.module("perennial.cli", *arguments, **options)

    def stage(self, name: str, **options: Any) -> Answer:
        return self.module(module_of(name), **options)

    def go(self, last: str) -> tuple[str, Answer]:
        """A snapshot and the stages in order up to `last`, as long as each succeeds."""
        step, answer = "snapshot", self.perennial("snapshot")
        for stage in STAGES[: STAGES.index(last) + 1] if last != "snapshot" else ():
            if answer.returncode:
                break
            step, answer = stage, self.stage(stage)
        return step, answer

    def channel(self) -> bytes:
        return (self.home / "store" / "channels" / "production.json").read_bytes()


def said(answer: Answer) -> str:
    """What was said on stderr: sentences that begin with the program's name, never a traceback.

    A stage's own remarks begin with its name (`train [`, `judge: `); they say how it went, not what
    is wrong.
    """
    remarks = tuple(stage + mark for stage in STAGES for mark in (": ", " ["))
    lines = [line for line in answer.stderr.splitlines() if not line.startswith(remarks)]
    assert "Traceback" not in answer.stderr, answer.stderr
    assert lines and lines[0].startswith("perennial: "), answer.stderr
    if "promises are broken" not in lines[0]:
        assert len(lines) == 1, answer.stderr
    return "\n".join(lines)
