"""Which retrain the next call continues: the newest that has not ended and is still about today."""

import ast
import inspect
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.retrain import retrain
from perennial.errors import BadInput, IntegrityError, PlaceUnusable, Refused
from perennial.release.channels.channel import Channel
from perennial.release.channels.served import Served
from perennial.release.channels.transitions import Signed, promoted, rolled_back
from perennial.release.manifests.canonical import utc_text
from perennial.workspace import Workspace
from tasks.notes import write_json
from tasks.unfinished import forget_failure, mark_failed, unfinished
from tasks.workspace import checkout, prepare_workspace, recipe

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
FIRST, CANDIDATE, OTHER = (f"rel-{digit * 12}" for digit in "abc")
OLD, NEW, THIRD = (f"sha256:{digit * 64}" for digit in "123")
LINEAGES = {FIRST: OLD, CANDIDATE: NEW, OTHER: THIRD}
SAID = {"why": "", "by": Signed(at="2026-01-05T12:00:00Z", who="", write_id="w")}


@pytest.fixture
def params(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text("a: 1\n")
    return tmp_path / "params.yaml"


@pytest.fixture
def begin(tmp_path: Path, params: Path):
    """Begins a retrain against a champion; each call is a minute later."""
    minutes = iter(range(100))

    def begin(
        snapshot: str = "sha256:01", *, champion: str = FIRST, channel: str = "production"
    ) -> Workspace:
        def take_snapshot(folder: Path) -> str:
            about = {"champion": champion, "channel": channel, "digest": snapshot}
            write_json(folder / "snapshot.json", about)
            about = {"release_id": champion, "lineage": LINEAGES[champion]}
            write_json(folder / "champion" / "manifest.json", about)
            return snapshot

        workspace = prepare_workspace(tmp_path / "runs", tmp_path / "cache", params, take_snapshot)
        moment = 1_800_000_000 + 60 * next(minutes)
        os.utime(workspace.params, (moment, moment))
        return workspace

    return begin


@pytest.fixture
def find(tmp_path: Path, params: Path):
    def find(channel: Channel, *, over: str | None = None, now: datetime = NOW) -> Workspace | None:
        """`over` is the encoder whose index is served over a bridge."""
        lineage = channel.history[-1].lineage
        serving = Served(channel.stable, lineage, over or lineage)
        digest = recipe(checkout(), params)
        return unfinished(tmp_path / "runs", channel, serving, recipe_digest=digest, now=now)

    return find


def to(release_id: str, channel: Channel | None = None, *, lineage: str | None = None) -> Channel:
    lineage = lineage or LINEAGES[release_id]
    return promoted(channel, release_id, name="production", lineage=lineage, **SAID)


def register(workspace: Workspace) -> None:
    about = {"release_id": CANDIDATE, "lineage": NEW}
    write_json(workspace.work("register") / "candidate.json", about)


def test_the_newest_that_has_not_ended_is_continued(begin, find):
    assert find(to(FIRST)) is None
    begin("sha256:01")
    newest = begin("sha256:02")
    assert find(to(FIRST)) == newest
    write_json(newest.work("report") / "summary.json", {})
    assert find(to(FIRST)) == begin("sha256:01")


def test_one_whose_push_broke_off_is_continued_though_its_report_stands(begin, find):
    workspace = begin()
    register(workspace)
    write_json(workspace.work("report") / "summary.json", {})
    assert find(to(CANDIDATE, to(FIRST))) is None
    write_json(workspace.owed, {"since": utc_text(NOW - timedelta(hours=23))})
    assert find(to(CANDIDATE, to(FIRST))) == workspace
    mark_failed(workspace, BadInput("the address is of no bucket"))
    assert find(to(CANDIDATE, to(FIRST))) == workspace


def test_a_remote_that_stays_broken_holds_no_retrain_for_over_a_day(begin, find):
    workspace = begin()
    write_json(workspace.owed, {"since": utc_text(NOW)})
    assert find(to(FIRST), now=NOW + timedelta(days=9)) == workspace, "it has not been told"
    write_json(workspace.work("report") / "summary.json", {})
    assert find(to(FIRST), now=NOW + timedelta(hours=23)) == workspace
    assert find(to(FIRST), now=NOW + timedelta(hours=24)) is None
    assert not workspace.is_over, "it stays owed"
    workspace.owed.write_text("{")
    assert find(to(FIRST)) is None


def test_another_channels_retrain_is_not_continued(begin, find):
    begin(channel="staging")
    assert find(to(FIRST)) is None
    mine = begin("sha256:02")
    begin("sha256:03", channel="staging")
    assert find(to(FIRST)) == mine


def test_the_report_is_written_before_anything_is_pushed():
    (within,) = [each for each in ast.walk(ast.parse(inspect.getsource(retrain.fn)))
                 if isinstance(each, ast.With)]  # fmt: skip
    last = [each.value.func.id for each in within.body[-3:]]
    why = "a bucket that is away leaves the report, and who is killed before the push is continued"
    assert last == ["owe_push", "report", "push"], why


def test_a_kill_between_swap_and_report_is_continued_though_the_champion_is_another(begin, find):
    workspace = begin()
    register(workspace)
    assert find(to(CANDIDATE, to(FIRST))) == workspace


def test_a_candidate_that_was_rolled_back_never_comes_again(begin, find):
    register(begin())
    back = rolled_back(to(CANDIDATE, to(FIRST)), FIRST, lineage=OLD, **SAID)
    assert find(back) is None


def test_a_reindex_of_the_champion_or_of_the_candidate_ends_no_retrain(begin, find):
    workspace = begin()
    before = to("rel-ffffffffffff", lineage=OLD)
    reindexed = to("rel-eeeeeeeeeeee", to(FIRST, before), lineage=OLD)
    assert find(reindexed) == workspace
    for number in range(300):  # days of reindexes: the history knows the first champion no more
        reindexed = to(f"rel-{number:012x}", reindexed, lineage=OLD)
    assert FIRST not in {move.to for move in reindexed.history}
    assert find(reindexed) == workspace
    register(workspace)
    swapped = to("rel-dddddddddddd", reindexed, lineage=NEW)  # what continues the candidate
    assert find(swapped) == workspace
    back = rolled_back(swapped, reindexed.stable, lineage=OLD, **SAID)
    assert find(back) is None, "it was rolled back, though its champion's encoder serves"


def test_a_rollback_away_and_back_to_the_champions_encoder_ends_no_retrain(begin, find):
    workspace = begin()
    away = to(OTHER, to(FIRST))
    assert find(away) is None
    assert find(rolled_back(away, FIRST, lineage=OLD, **SAID)) == workspace


def test_a_bridge_from_the_champion_is_about_to_be_replaced_and_ends_no_retrain(begin, find):
    workspace = begin()
    register(workspace)
    bridged = to("rel-eeeeeeeeeeee", to(FIRST), lineage=NEW)
    assert find(bridged, over=OLD) == workspace
    assert find(to("rel-eeeeeeeeeeee", to(FIRST), lineage=NEW), over=THIRD) is None


def test_a_snapshot_without_its_manifest_is_left(begin, find):
    (begin().snapshot / "champion" / "manifest.json").unlink()
    assert find(to(FIRST)) is None


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
