import pytest
from tiny_increment import publish_increment
from tiny_release import NOON

from perennial.errors import BadInput
from perennial.release.forgetting.forgotten import write_forgotten
from perennial.release.manifests.difference import difference
from perennial.release.publishing.publish import promote


@pytest.fixture
def second(store, serving, tmp_path):
    """`serving` with one document more, one less and one of another text."""
    add = {"new": "word41", "first-5": "word42", "first-6": "word6"}
    made = publish_increment(store, serving, tmp_path / "index", add=add, remove={"first-1"})
    promote(store, "staging", made.release_id, now=NOON, why="", who="test")
    return made


def test_documents_added_changed_and_removed_are_counted_and_named(store, serving, second):
    found = difference(store, serving.release_id, second.release_id)
    assert (found.added.first, found.changed.first, found.removed.first) == (
        ("new",),
        ("first-5",),
        ("first-1",),
    )
    assert found.same == 38  # with first-6, which was written again with the same text
    assert found.encoder == (serving.lineage, serving.lineage)
    assert found.settings["segments"] == (1, 2)
    assert found.provenance["parent"] == (None, serving.release_id)
    back = difference(store, second.release_id, serving.release_id)
    assert (back.added, back.removed) == (found.removed, found.added)


def test_a_release_does_not_differ_from_itself(store, serving):
    found = difference(store, serving.release_id, "production")
    assert (found.added.count, found.changed.count, found.removed.count, found.same) == (
        0,
        0,
        0,
        40,
    )
    assert (found.settings, found.provenance) == ({}, {})


def test_channels_stand_for_what_they_serve_and_old_names_for_successors(store, serving, second):
    assert difference(store, "production", "staging").b == second.release_id
    write_forgotten(store, "rel-00000000000a", second.release_id, at="2026-01-06T00:00:00Z")
    assert difference(store, "rel-00000000000a", "staging").a == second.release_id
    with pytest.raises(BadInput, match="neither a release nor a channel"):
        difference(store, "production", "nowhere")


def test_another_lineage_differs_in_everything(store, serving, publish_tiny, retrained):
    other = publish_tiny(retrained)
    found = difference(store, serving.release_id, other.release_id)
    assert (found.added.count, found.removed.count, found.same) == (50, 40, 0)
    assert len(found.added.first) == 10 and found.added.first == tuple(sorted(found.added.first))
    assert found.encoder == (serving.lineage, other.lineage)
