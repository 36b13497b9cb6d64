"""Forgetting a session where the tracker is a server: its artifacts too, then all the rest."""

import tasks  # noqa: F401  first: the libraries below read their environment when imported

# isort: split
import argparse
import sys
from pathlib import Path
from typing import Any

from prefect import flow

from perennial.errors import PerennialError
from perennial.release.stores.open import open_store
from perennial.verbs.forgetting.command import forget_one
from perennial.verbs.forgetting.forget import seek_session
from perennial.verbs.forgetting.journal import journal_of
from perennial.verbs.forgetting.plan import plan_session
from perennial.workspace import Places, session_key, signing_key, user
from tasks.forget import artifacts_of, forget_artifacts
from tasks.outcome import as_a_command


@flow(name="forget", description=__doc__, persist_result=False)
def forget(journal: Path) -> int:
    """How many artifacts of the tracker were deleted. The session is in the journal alone: Prefect
    keeps the parameters of its flows."""
    return forget_artifacts(journal)


def main(arguments: list[str] | None = None) -> int:
    """0 done, 1 something is left to do, 2 bad input, 3 integrity; run it again to continue."""
    parser = argparse.ArgumentParser(prog="python -m flows.forget", description=__doc__)
    parser.add_argument("--session", required=True, help="its id in the log, or its hash")
    parser.add_argument("--reason", default="asked to", help="why; the audit log keeps it")
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would go, and delete nothing"
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    chosen = parser.parse_args(arguments)
    places, key = Places.from_environment(), signing_key()
    try:
        where: dict[str, Any] = {
            "places": places,
            "store": open_store(places.store),
            "here": Path.cwd(),
            "session_key": session_key(),
            "key": key,
        }
        if chosen.dry_run:
            session, _ = plan_session(chosen.session, **where)
            for number, (_, path) in enumerate(artifacts_of(session), 1):
                print(f"{number}. of the tracker would go: {path}", file=sys.stderr)
        else:
            seek_session(chosen.session, **where)
            with as_a_command():
                forget(journal_of(places.home, chosen.session))
        is_over = forget_one(
            chosen.session,
            plan=chosen.dry_run,
            why=chosen.reason,
            who=user(),
            key=key,
            as_json=chosen.json,
            is_tracker_done=True,
        )
    except PerennialError as error:
        print(f"perennial: {error}", file=sys.stderr)
        return error.exit_code
    return 0 if is_over else 1


if __name__ == "__main__":
    sys.exit(main())
