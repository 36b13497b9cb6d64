"""The releases that shadow and canary ask: also after days in which the champion was reindexed."""

import pytest
from tiny_release import NOON, fast_folder
from tiny_shop import Shop, tiny_params

from perennial.errors import BadInput
from perennial.release.publishing.publish import promote
from perennial.workspace import Places, Workspace
from tasks.notes import write_note
from tasks.releases import both_releases
from tasks.run import Run


@pytest.fixture
def shop():
    with fast_folder() as place:
        shop = Shop(place)
        shop.open_with()
        yield shop


def begin(shop) -> Run:
    """A retrain of the stable release, whose candidate is published."""
    places = Places.from_environment({"PERENNIAL_HOME": str(shop.root)})
    params = tiny_params(shop.root / "params.yaml")
    run = Run(Workspace(shop.root / "runs" / "one"), places, params, "production", "tracked")
    champion = run.workspace.snapshot / "champion" / "manifest.json"
    write_note(champion, shop.store.manifest_bytes(shop.channel().stable).decode())
    run.note("register", "candidate", {"release_id": shop.publish_full(lineage=2)})
    return run


def test_a_champion_that_a_sweep_took_is_asked_as_its_reindexes_left_it(shop):
    run = begin(shop)
    first = shop.channel().stable
    assert both_releases(run)[0].release_id == first
    shop.documents["new"] = ("word1 word2", None)
    shop.export()
    assert shop.reindex().decision.outcome == "promote"
    shop.store.delete_manifest(first)
    champion, candidate = both_releases(run)
    assert champion.release_id == shop.channel().stable != first
    assert candidate.manifest.lineage != champion.manifest.lineage == run.champion_lineage


def test_another_encoder_is_never_asked_in_the_champions_place(shop):
    run = begin(shop)
    first, other = shop.channel().stable, shop.publish_full(lineage=3)
    promote(shop.store, "production", other, now=NOON, why="other", who="test")
    shop.store.delete_manifest(first)
    with pytest.raises(BadInput, match=first):
        both_releases(run)
