"""The stage validate: `python -m expectations` in a workspace; exit code 0 kept, 2 broken."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from perennial.errors import PerennialError, PlaceUnusable, TableInvalid
from perennial.params import load_params
from perennial.workspace import Workspace


def main() -> int:
    """Checks the workspace that is the current folder; complaints go to stderr."""
    try:
        validate(Workspace(Path.cwd()))
    except PerennialError as error:
        print(f"perennial: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # Great Expectations keeps files of its own in the temporary folder
        where = error.filename or "temporary files"
        reason = f"cannot write {where} ({error.strerror}); free some space, then run it again"
        print(f"perennial: {reason}.", file=sys.stderr)
        return PlaceUnusable.exit_code
    return 0


def validate(workspace: Workspace) -> dict[str, Any]:
    """The summary of a snapshot that keeps every promise; raises TableInvalid if it does not."""
    from expectations.accepted import write_log
    from expectations.check import check
    from expectations.page import render
    from expectations.snapshot import promises_of
    from expectations.summary import sentence, summary
    from expectations.tables import read_snapshot
    from perennial.data.split import is_held_out
    from perennial.stages.shell import fresh

    page = workspace.work("validate") / "report.html"
    with _writing(page.parent):
        page.parent.mkdir(parents=True, exist_ok=True)
    params = load_params(workspace.params)
    snapshot = read_snapshot(workspace.snapshot)
    promises = promises_of(
        snapshot,
        max_text_characters=params.validate_.max_text_characters,
        max_query_characters=params.validate_.max_query_characters,
        max_null_slice_share=params.validate_.max_null_slice_share,
        min_requests=params.validate_.min_requests,
        min_clicks=params.validate_.min_clicks,
        click_window_seconds=params.snapshot.click_window_seconds,
        is_held_out=partial(is_held_out, share=params.split.held_out_share, salt=params.split.salt),
    )
    outcomes = check(
        promises.suites,
        promises.frames,
        unusable=promises.unusable,
        sample_rows=params.validate_.sample_rows,
    )
    rows = {table: found.num_rows for table, found in snapshot.tables.items()}
    result = summary(outcomes, rows=rows)
    kept = workspace.artifacts("validate") / "summary.json"
    broken = page.with_name("summary.json")
    with _writing(page.parent):
        # what an earlier run left speaks of another snapshot
        fresh(workspace.artifacts("validate"))
        broken.unlink(missing_ok=True)
        start, end, digest = snapshot.start, snapshot.end, snapshot.digest
        _write(page, render(outcomes, rows=rows, start=start, end=end, digest=digest))
        text = json.dumps(result, indent=1, allow_nan=False) + "\n"
        if result["success"]:
            write_log(workspace)
        _write(kept if result["success"] else broken, text)
    if not result["success"]:
        raise TableInvalid(
            f"{len(result['broken'])} of {len(outcomes)} promises are broken; repair the source, "
            f"run `perennial snapshot` again, and see {page.relative_to(workspace.root)}.\n"
            + "\n".join(sentence(each) for each in outcomes if each.kept is False)
        )
    return result


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    """Says in a sentence what a folder refused; raises PlaceUnusable."""
    try:
        yield
    except OSError as error:
        raise PlaceUnusable(
            f"cannot write {error.filename or place}: {error.strerror}; "
            "make the workspace writable, or free some space."
        ) from error


def _write(path: Path, text: str) -> None:
    """The text at path, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


if __name__ == "__main__":
    sys.exit(main())
