"""Values that change while a run goes on: margins, temperatures, the way to mine."""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
Held = TypeVar("Held", covariant=True)


class Schedule(Protocol[Held]):
    """A value for every moment of a run."""

    def at(self, progress: float) -> Held:
        """The value once a share of the run, 0 to 1, is done."""


@dataclass(frozen=True)
class Fixed(Generic[T]):
    """The same from first to last."""

    value: T

    def at(self, progress: float) -> T:
        """It."""
        return self.value


@dataclass(frozen=True)
class Ramp:
    """From start to end in a straight line."""

    start: float
    end: float

    def at(self, progress: float) -> float:
        """The value once a share of the run is done."""
        return self.start + (self.end - self.start) * progress


@dataclass(frozen=True)
class Switch(Generic[T]):
    """The one, and from a share of the run on the other."""

    start: T
    end: T
    share: float

    def at(self, progress: float) -> T:
        """The value once a share of the run is done."""
        return self.end if progress >= self.share else self.start
