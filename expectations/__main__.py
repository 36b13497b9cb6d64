"""The stage validate: `python -m expectations` in a workspace; exit code 0 kept, 2 broken."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perennial.errors import PerennialError, PlaceUnusable, TableInvalid
from perennial.params.reading import load_params
from perennial.workspace import Workspace

if TYPE_CHECKING:
    from expectations.snapshot import Findings
    from expectations.tables import Snapshot


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
    from expectations.accepted import split_table
    from expectations.page import render
    from expectations.summary import sentence, summary
    from perennial.data.schema import LOG_TABLES
    from perennial.stages.shell import fresh

    page = workspace.work("validate") / "report.html"
    with _writing(page.parent):
        page.parent.mkdir(parents=True, exist_ok=True)
    snapshot, findings = judge(workspace)
    result = summary(findings)
    folder = workspace.artifacts("validate")
    broken = page.with_name("summary.json")
    with _writing(page.parent):
        # what an earlier run left speaks of another snapshot
        fresh(folder)
        broken.unlink(missing_ok=True)
        start, end, digest = snapshot.start, snapshot.end, snapshot.digest
        _write(page, render(findings, start=start, end=end, digest=digest))
        if findings.success:
            for table in LOG_TABLES:
                split_table(
                    workspace.table(table),
                    findings.leaving[table],
                    table=table,
                    kept=workspace.log(table),
                    left=folder / "quarantine" / f"{table}.parquet",
                )
            profile = {**findings.profile, "snapshot": digest}
            _write(folder / "profile.json", _text(profile, sort=True))
        _write((folder if findings.success else broken.parent) / "summary.json", _text(result))
    for each in findings.outcomes:
        if each.warns:
            print(f"validate: {sentence(each)}", file=sys.stderr)
    if not findings.success:
        stopped = [each for each in findings.outcomes if each.stops]
        raise TableInvalid(
            f"{len(stopped)} of {len(findings.outcomes)} promises are broken; repair the source, "
            f"run `perennial snapshot` again, and see {page.relative_to(workspace.root)}.\n"
            + "\n".join(sentence(each) for each in stopped)
        )
    return result


def judge(workspace: Workspace) -> "tuple[Snapshot, Findings]":
    """The workspace's snapshot and what became of every promise; reads, and writes nothing."""
    from expectations.reference import read_reference
    from expectations.snapshot import look, rules_of
    from expectations.tables import read_snapshot
    from perennial.data.split import is_held_out

    params = load_params(workspace.params)
    section = params.validate_
    snapshot = read_snapshot(workspace.snapshot)
    findings = look(
        snapshot,
        rules_of(
            snapshot,
            max_text_characters=section.max_text_characters,
            max_query_characters=section.max_query_characters,
            max_null_slice_share=section.max_null_slice_share,
            min_requests=section.min_requests,
            min_clicks=section.min_clicks,
            max_dwell_seconds=section.max_dwell_seconds,
            click_window_seconds=params.snapshot.click_window_seconds,
        ),
        reference=read_reference(workspace.snapshot / "accepted.json"),
        quarantine=section.on_broken_rows == "quarantine",
        max_quarantined_share=section.max_quarantined_share,
        max_requests_per_minute=section.max_requests_per_minute,
        max_requests_per_session=section.max_requests_per_session,
        max_bot_share=section.max_bot_share,
        min_click_fall=section.min_click_fall,
        max_volume_change=section.max_volume_change,
        max_query_shift=section.max_query_shift,
        sample_rows=section.sample_rows,
        memory_mb=section.memory_mb,
        spill=workspace.work("validate") / "spill",
        is_held_out=partial(is_held_out, share=params.split.held_out_share, salt=params.split.salt),
    )
    return snapshot, findings


def _text(value: dict[str, Any], *, sort: bool = False) -> str:
    return json.dumps(value, indent=1, sort_keys=sort, allow_nan=False) + "\n"


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
