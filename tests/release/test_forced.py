"""What a person forced past the gate stays written: in the release, the channel and `status`."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from rich.console import Console
from tiny_release import HEALTH, NOON, publish_folders, write_folders

from perennial.release.channels.history import HISTORY_LIMIT, Move, thinned
from perennial.release.overview import overview, show
from perennial.release.publishing.publish import promote, publish, rollback
from perennial.release.stores.local import LocalStore

WHY = "the labels are of last year's catalogue"


@pytest.fixture
def store(tmp_path) -> LocalStore:
    """It serves a plain release, then one that was forced, then a reindex of that."""
    store = LocalStore(tmp_path / "store")
    made = [publish_folders(store, write_folders(tmp_path / "plain", lineage=0))]
    for day in (1, 2):
        folders = write_folders(tmp_path / f"forced-{day}", lineage=1, day=day)
        made.append(
            publish(
                store,
                encoder=folders.encoder,
                index=folders.index,
                references=folders.references,
                catalogue=folders.catalogue,
                health=HEALTH,
                provenance={"forced": WHY},
                parent=made[-1].release_id,
                created_at=NOON + timedelta(days=day),
                key=None,
            )
        )
    for i, manifest in enumerate(made):
        now = NOON + timedelta(days=i)
        promote(store, "production", manifest.release_id, now=now, why="so", who="Ada")
    return store


def said(store: LocalStore) -> str:
    out = StringIO()
    show(overview(store, "production", key=None), Console(file=out, width=80))
    return out.getvalue()


def test_a_forced_release_says_so_and_a_plain_ones_bytes_do_not_mention_it(store):
    view = overview(store, "production", key=None)
    forced = {row["release_id"]: row["forced"] for row in view["releases"]}
    assert sorted(forced.values(), key=str) == [None, WHY, WHY]
    for release_id, why in forced.items():
        assert (b"forced" in store.manifest_bytes(release_id)) == (why is not None)


def test_the_move_that_brought_it_says_so_and_its_reindexes_do_not_say_it_again(store):
    channel = store.read_channel("production")
    assert [move.forced for move in channel.history] == [None, WHY, None]
    written = json.loads(channel.to_bytes())["history"]
    assert ["forced" in move for move in written] == [False, True, False]


def test_status_shows_it_after_a_rollback_too(store):
    assert "FORCED past the gate on 2026-01-06T12:00:00Z by Ada: rel-" in said(store)
    assert WHY in said(store)
    rollback(store, "production", now=NOON + timedelta(days=9), why="it was bad", who="Bob")
    assert WHY in said(store)


def test_no_number_of_later_moves_pushes_it_out():
    def move(i: int, **more: str) -> Move:
        return Move(f"{i:06d}", None, f"rel-{i:012x}", "", "", "sha256:" + f"{i:064x}", **more)

    history = (move(0, forced=WHY),)
    for i in range(1, 3 * HISTORY_LIMIT):
        history = thinned((*history, move(i)))
    assert len(history) == HISTORY_LIMIT
    assert history[0].forced == WHY
