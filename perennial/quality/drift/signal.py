"""One thing that was compared: how far it moved, and how often chance alone moves it so far."""

from dataclasses import dataclass
from typing import Literal

# What is of "kinds" is in the documents, too, but no reindex mends it: the encoder never saw such.
About = Literal["documents", "kinds", "queries", "clicks", "operation"]


@dataclass(frozen=True)
class Signal:
    """`effect` is what a verdict asks to be above `floor`; `p` is None where nothing is left to
    chance. `key` names it whatever the span of `hours`; `said` tells it in a sentence.
    """

    key: str
    about: About
    hours: int
    effect: float
    floor: float
    p: float | None
    n: int
    said: str
    slice: str | None = None

    @property
    def name(self) -> str:
        """The key with its hours and slice."""
        where = f" in {self.slice}" if self.slice is not None else ""
        return f"{self.key}{where}, {self.hours} h" if self.hours else f"{self.key}{where}"

    @property
    def answer(self) -> str:
        """What an answer to it is remembered under."""
        return self.key if self.slice is None else f"{self.key}/{self.slice}"
