"""What the world refuses, a disk or the tracker, as a sentence that says what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from perennial.errors import PerennialError
from perennial.release.stores.durable import usable

# MLflow lets what happens while it opens a database through as it is.
TRACKER_ERRORS = (MlflowException, SQLAlchemyError)


class TrackerAway(PerennialError):
    """The tracker does not answer, or not as it should: trying again may help."""


@contextmanager
def in_words(place: Path, tracking_uri: str) -> Iterator[None]:
    """Turns a disk's refusal into PlaceUnusable and the tracker's into TrackerAway.

    `place` is named where the error itself names no file. A lost connection stays what it is.
    """
    try:
        yield
    except TRACKER_ERRORS as error:
        # From None: the tracker's own traceback would show the address with its password.
        raise TrackerAway(
            f"the tracker {without_password(tracking_uri)} does not answer as it should: "
            f"{_sentence(error)}; start it, or unset MLFLOW_TRACKING_URI to track in a "
            "local database, then start again to continue."
        ) from None
    except (ConnectionError, TimeoutError):
        raise
    except OSError as error:
        if error.errno is None:  # of a library, not of the operating system
            raise
        with usable(Path(error.filename or place)):
            raise


def without_password(text: str) -> str:
    """The text with `user:password@` taken out of every address in it."""
    return re.sub(r"://[^/@\s]+@", "://", text)


def _sentence(error: Exception) -> str:
    return " ".join(without_password(str(error)).split())
