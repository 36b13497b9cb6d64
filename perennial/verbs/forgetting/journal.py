"""What a forgetting looks for, kept until it is done: halfway there, the log no longer tells."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perennial.errors import IntegrityError
from perennial.model.digest import text_digest
from perennial.release.stores.durable import (
    TEMPORARY_SUFFIX,
    locked,
    make_folder,
    remove_durably,
    usable,
    write_durably,
)
from perennial.verbs.forgetting.places import JOURNALS
from perennial.verbs.forgetting.session import Session

_PRIVATE = 0o600


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Waits until no other process forgets a session in this home; what a killed one was about to
    write of its journal goes."""
    folder = home / JOURNALS
    with usable(folder):
        make_folder(folder)
        with locked(folder):
            for path in folder.glob(f".*{TEMPORARY_SUFFIX}"):
                remove_durably(path)
            yield


def journal_of(home: Path, asked: str) -> Path:
    """The file of this session; its name does not tell whose it is."""
    return home / JOURNALS / f"{text_digest(asked)[7:23]}.json"


def read_journal(path: Path) -> Session:
    """What the one that was killed looked for; nothing where none was."""
    if not path.exists():
        return Session()
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Session(**{name: frozenset(kept[name]) for name in vars(Session())})
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"{path} is no journal of a forgetting ({error}); remove it and run the command again"
        ) from error


def write_journal(path: Path, session: Session) -> None:
    """Keep it before anything is removed."""
    value = {"format_version": 1, **{name: sorted(each) for name, each in vars(session).items()}}
    with usable(path.parent):
        write_durably(path, [json.dumps(value).encode()], mode=_PRIVATE)


def remove_journal(path: Path) -> None:
    """Let go of it: nothing is left to look for."""
    with usable(path.parent):
        remove_durably(path)
