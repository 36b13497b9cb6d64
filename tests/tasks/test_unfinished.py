"""Which retrain the next call continues: the newest that has not ended and is still about today."""

import json
import os
from pathlib import Path

import pytest

from perennial.errors import BadInput, IntegrityError, PlaceUnusable, Refused
from perennial.release.channel import Channel
from perennial.release.transitions import Signed, promoted, rolled_back
from perennial.workspace import Workspace
from tasks.notes import write_json
from tasks.unfinished import forget_failure, mark_failed, unfinished
from tasks.workspace import checkout, prepare_workspace, recipe

FIRST, CANDIDATE, OTHER = (f"rel-{digit * 12}" for digit in "abc")
SAID = {"lineage": None, "why": "", "by": Signed(at="2026-01-05T12:00:00Z", who="", write_id="w")}


@pytest.fixture
def params(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text("a: 1\n")
    return tmp_path / "params.yaml"


@pytest.fixture
def begin(tmp_path: Path, params: Path):
    """Begins a retrain against a champion; each call is a minute later."""
    minutes = iter(range(100))

    def begin(snapshot: str = "sha256:01", *, champion: str = FIRST) -> Workspace:
        def take_snapshot(folder: Path) -> str:
            write_json(folder / "snapshot.json", {"champion": champion, "digest": snapshot})
            return snapshot

        workspace = prepare_workspace(tmp_path / "runs", tmp_path / "cache", params, take_snapshot)
        moment = 1_800_000_000 + 60 * next(minutes)
        os.utime(workspace.params, (moment, moment))
        return workspace

    return begin


@pytest.fixture
def find(tmp_path: Path, params: Path):
    def find(channel: Channel) -> Workspace | None:
        return unfinished(tmp_path / "runs", channel, recipe_digest=recipe(checkout(), params))

    return find


def to(release_id: str, channel: Channel | None = None) -> Channel:
    return promoted(channel, release_id, name="production", **SAID)


def register(workspace: Workspace) -> None:
    write_json(workspace.work("register") / "candidate.json", {"release_id": CANDIDATE})


def test_the_newest_that_has_not_ended_is_continued(begin, find):
    assert find(to(FIRST)) is None
    begin("sha256:01")
    newest = begin("sha256:02")
    assert find(to(FIRST)) == newest
    write_json(newest.work("report") / "summary.json", {})
    assert find(to(FIRST)) == begin("sha256:01")


def test_a_kill_between_swap_and_report_is_continued_though_the_champion_is_another(begin, find):
    workspace = begin()
    register(workspace)
    assert find(to(CANDIDATE, to(FIRST))) == workspace


def test_a_candidate_that_was_rolled_back_never_comes_again(begin, find):
    register(begin())
    back = rolled_back(to(CANDIDATE, to(FIRST)), FIRST, **SAID)
    assert find(back) is None


def test_a_reindex_of_the_champion_or_of_the_candidate_ends_no_retrain(begin, find):
    old, new = SAID | {"lineage": "sha256:old"}, SAID | {"lineage": "sha256:new"}

    def to_lineage(release_id, channel, said):
        return promoted(channel, release_id, name="production", **said)

    first = to_lineage(FIRST, None, old)
    workspace = begin(champion=FIRST)
    reindexed = to_lineage(OTHER, first, old)
    assert find(reindexed) == workspace
    register(workspace)
    swapped = to_lineage(CANDIDATE, reindexed, new)
    assert find(to_lineage("rel-dddddddddddd", swapped, new)) == workspace
    back = rolled_back(swapped, OTHER, **old)
    assert find(back) is None, "it was rolled back, though its champion's encoder serves"


def test_one_whose_champion_serves_no_more_is_left(begin, find):
    begin(champion=FIRST)
    assert find(to(OTHER, to(FIRST))) is None


def test_other_params_or_other_code_are_another_retrain(begin, find, params):
    workspace = begin()
    (workspace.root / "perennial" / "errors.py").write_text("")
    assert find(to(FIRST)) is None
    begin("sha256:02")
    params.write_text("a: 2\n")
    assert find(to(FIRST)) is None


@pytest.mark.parametrize(
    ("error", "continues"),
    [
        (BadInput("no click"), False),
        (Refused("collapsed"), False),
        (IntegrityError("flipped"), False),
        (PlaceUnusable("full"), True),
        (RuntimeError("killed by the kernel"), True),
    ],
)
def test_what_the_same_input_would_meet_again_is_not_continued(begin, find, error, continues):
    workspace = begin()
    mark_failed(workspace, error)
    assert (find(to(FIRST)) == workspace) is continues
    forget_failure(workspace)
    assert find(to(FIRST)) == workspace


def test_half_a_note_or_a_foreign_folder_hides_nothing(begin, find, tmp_path):
    workspace = begin()
    (tmp_path / "runs" / ".incoming-x").mkdir()
    (tmp_path / "runs" / "notes").mkdir()
    (tmp_path / "runs" / "notes" / "params.yaml").write_text("")
    register(workspace)
    (workspace.work("register") / "candidate.json").write_text("{")
    assert find(to(FIRST)) == workspace


def test_the_recipe_of_a_workspace_is_its_checkouts(begin, params):
    workspace = begin()
    (workspace.root / "perennial" / "__pycache__").mkdir()
    (workspace.root / "perennial" / "__pycache__" / "x.pyc").write_text("compiled")
    (workspace.root / "artifacts").mkdir()
    assert recipe(workspace.root) == recipe(checkout(), params)
    assert json.loads((workspace.snapshot / "snapshot.json").read_text())["champion"] == FIRST
