"""Every failure that Perennial raises on purpose.

PerennialError               exit code 1
├── Refused                  1   asked for something that the state of the world forbids
│   ├── Conflict             1   somebody else wrote first; nothing of theirs or ours is lost
│   └── TrainingStopped      1   the run's own health checks ended it
├── BadInput                 2   the caller's data, parameters or place must change
│   ├── ParamsInvalid        2   params.yaml
│   ├── TableInvalid         2   a table breaks its promises
│   └── PlaceUnusable        2   a folder is missing, read-only or full
├── Interrupted             75   stopped on its way by its surroundings; run again to continue
│   ├── TrainingInterrupted 75   a signal asked it to stop; its checkpoint is written
│   └── TeamBroke           75   another process of the same training ended
└── IntegrityError           3   stored bytes are not what their manifest says
    └── EncoderMismatch      3   vectors of one encoder would be searched with another

A message names the thing, the value and what to do next.
"""


class PerennialError(Exception):
    """Base of all; `exit_code` is what the command line returns."""

    exit_code = 1


class Refused(PerennialError):
    """The state of the world forbids what was asked."""


class Conflict(Refused):
    """Another writer won the compare-and-swap."""


class TrainingStopped(Refused):
    """Training ended itself: collapse, NaN, or nothing left to learn from."""


class BadInput(PerennialError):
    """The caller's data, parameters or place must change."""

    exit_code = 2


class ParamsInvalid(BadInput):
    """params.yaml has an unknown, missing, mistyped or impossible value."""


class TableInvalid(BadInput):
    """A table breaks a promise of its schema or suite."""


class PlaceUnusable(BadInput):
    """A folder is missing, read-only or full."""


class Interrupted(PerennialError):
    """Stopped on its way by its surroundings; the same command continues."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: trying again may help


class TrainingInterrupted(Interrupted):
    """A signal asked training to stop; its checkpoint is written."""


class TeamBroke(Interrupted):
    """Another process of the same training ended or does not answer."""


class IntegrityError(PerennialError):
    """Stored bytes are not what their manifest says."""

    exit_code = 3


class EncoderMismatch(IntegrityError):
    """An index made by one encoder was about to be searched with another."""
