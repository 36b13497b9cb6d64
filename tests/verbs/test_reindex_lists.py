"""reindex of a trained index: lists and codes are kept while they fit, and made anew when not."""

import json

import pytest
from tiny_release import NOON, fast_folder
from tiny_shop import Shop

from perennial.errors import BadInput
from perennial.release.publishing.publish import promote
from perennial.release.verify import verify_store


@pytest.fixture
def lists():
    """A shop whose index has two inverted lists."""
    with fast_folder() as place:
        shop = Shop(place)
        shop.open_with(count=100, factory="IVF2,Flat")
        yield shop


def crowd_one_list(shop):
    """A hundred documents of the same words: they all fall into one list."""
    shop.documents |= {f"crowd-{i}": ("word1 word2", None) for i in range(100)}
    shop.export()


def test_segments_of_a_lineage_share_its_quantizer_and_merge_without_training(lists):
    old = lists.channel().stable
    lists.change_everything()
    done = lists.reindex()
    assert done.decision.outcome == "promote" and done.sides[0].trained == ()
    assert lists.held() == lists.built_at_once()
    change = lists.documents["doc-020"][0]
    lists.documents["doc-021"] = (change, None)
    lists.export()
    done = lists.reindex(settings={"max_segments": 1})
    assert (done.sides[0].segments, done.sides[0].merged, done.sides[0].trained) == (1, 3, ())
    assert lists.held() == lists.built_at_once()
    first, last = (
        json.loads(lists.store.manifest_bytes(release)) for release in (old, lists.channel().stable)
    )
    assert first["index"]["quantizer"] == last["index"]["quantizer"] is not None


def test_an_index_out_of_bounds_is_rejected_and_nothing_published(lists):
    crowd_one_list(lists)
    before, releases = lists.channel(), lists.store.release_ids()
    done = lists.reindex(settings={"max_imbalance": 1.0, "max_imbalance_growth": 100.0})
    assert done.decision.outcome == "reject"
    assert "The lists are uneven by" in done.decision.reasons[0]
    assert done.sides[0].release_id is None
    assert (lists.channel(), lists.store.release_ids()) == (before, releases)


@pytest.mark.parametrize("factory", ["IVF2,Flat", "IVF2,SQ8"])
def test_lists_that_became_uneven_are_trained_anew_by_themselves(factory):
    with fast_folder() as place:
        shop = Shop(place)
        old = shop.open_with(count=100, factory=factory)
        crowd_one_list(shop)
        settings = {"max_imbalance_growth": 1.1, "min_self_retrieval": 0.0}
        done = shop.reindex(settings=settings)
        assert done.decision.outcome == "promote"
        (side,) = done.sides
        assert "the lists are uneven by" in side.trained[0] and side.segments == 1
        assert side.health["trained_imbalance"] == side.health["imbalance"]
        assert shop.held() == shop.built_at_once(), "auto takes Flat for so few"
        first, last = (
            json.loads(shop.store.manifest_bytes(release)) for release in (old, side.release_id)
        )
        assert first["encoder"] == last["encoder"]
        assert verify_store(shop.store) == []
        shop.documents["doc-001"] = ("word5", None)
        shop.export()
        assert shop.reindex(settings=settings).sides[0].trained == (), "not again and again"


def test_a_catalogue_that_is_replaced_meanwhile_is_not_trained_on(lists):
    """Its rows of the same numbers are other documents."""
    crowd_one_list(lists)
    settings = {"max_imbalance_growth": 100.0, "min_self_retrieval": 0.0}
    lists.reindex(settings=settings)
    old = lists.channel().stable
    del lists.documents["doc-001"]  # no new text is read before the check
    lists.export()

    def replaced(line):
        if line.startswith("stable: "):
            for name in lists.documents:
                lists.documents[name] = (f"{lists.documents[name][0]} word3", None)
            lists.export()

    with pytest.raises(BadInput, match="changed while it was reindexed"):
        lists.reindex(settings=settings | {"max_imbalance_growth": 1.1}, say=replaced)
    assert lists.channel().stable == old


def test_documents_that_the_codes_clip_are_trained_in_though_search_on_codes_finds_them():
    with fast_folder() as place:
        shop = Shop(place)
        for i in range(100):  # two directions only: the codes know no others
            shop.documents[f"doc-{i:03d}"] = (f"word{i % 2} word1", None)
        old = shop.publish_full(lineage=1, factory="IVF2,SQ8")
        promote(shop.store, "production", old, now=NOON, why="first", who="test")
        trained = json.loads(shop.store.manifest_bytes(old))["health"]["codes_similarity"]
        assert trained > 0.999
        shop.documents["new"] = ("word1", None)
        shop.export()
        done = shop.reindex()
        (side,) = done.sides
        assert side.trained == () and side.health["codes_similarity"] > 0.999
        assert any("over the codes that the index keeps" in each for each in done.decision.reasons)
        shop.documents["strange"] = ("word0 word1 word1 word30", None)
        shop.export()
        lenient = shop.reindex(settings={"max_codes_loss": 1.0})
        assert lenient.sides[0].trained == () and lenient.sides[0].health["codes_similarity"] < 0.9
        assert lenient.sides[0].health["self_retrieval"] == 1.0
        shop.documents["stranger"] = ("word31", None)
        shop.export()
        (side,) = shop.reindex().sides
        assert "the codes of new documents are" in side.trained[0]
        assert side.health["codes_similarity"] > 0.999
        assert shop.held() == shop.built_at_once(), "auto takes Flat for so few"


def test_deletions_alone_carry_on_what_was_measured():
    with fast_folder() as place:
        shop = Shop(place)
        shop.open_with(count=100, factory="IVF2,SQ8")
        del shop.documents["doc-010"]
        shop.export()
        (side,) = shop.reindex().sides
        before = json.loads(shop.store.manifest_bytes(side.parent))["health"]
        assert side.health["codes_similarity"] == pytest.approx(
            before["codes_similarity"], abs=1e-6
        )


def test_a_slice_under_lossy_codes_is_never_encoded_from_codes():
    with fast_folder() as place:
        shop = Shop(place)
        shop.open_with(count=100, factory="IVF2,SQ8")
        shop.documents["doc-010"] = (shop.documents["doc-010"][0], "reference")
        shop.export()
        done = shop.reindex()
        assert (done.sides[0].resliced, done.sides[0].embedded) == (1, 1)
        shop.documents["doc-010"] = (shop.documents["doc-010"][0], "guide")
        shop.export()
        done = shop.reindex()
        assert (done.sides[0].resliced, done.sides[0].embedded) == (1, 0), "the cache has it"
