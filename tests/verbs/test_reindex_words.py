"""reindex and words: they grow with the vectors, and find what has none yet."""

import math

import pytest
from rich.console import Console
from tiny_release import NOON, fast_folder
from tiny_shop import Shop

from perennial.errors import BadInput
from perennial.model.vectors import VectorCache
from perennial.release.channels.moves import read_kept
from perennial.release.manifests.documents import live_documents
from perennial.release.overview import overview, show
from perennial.release.publishing.publish import rollback
from perennial.release.verify import verify_store
from perennial.serving.searcher import Searcher


@pytest.fixture
def shop():
    with fast_folder() as place:
        shop = Shop(place)
        shop.open_with()
        yield shop


def change_some(shop, day):
    """Some added, changed, removed and under another slice, others each day."""
    for i in range(4):
        shop.documents[f"new-{day}-{i}"] = (f"word{day} word{i * 11 % 60} word{i}", None)
    shop.documents[f"doc-{day:03d}"] = (f"word{day + 20} word{day + 20}", None)
    shop.documents[f"doc-{day + 20:03d}"] = (shop.documents[f"doc-{day + 20:03d}"][0], "guide")
    del shop.documents[f"doc-{day + 10:03d}"]
    shop.export()


def stop_after_words(shop, monkeypatch, **options):
    """A reindex that is killed where the new documents are found by their words only."""

    def never(*given, **options):
        raise BadInput("the encoder was killed")

    with monkeypatch.context() as patch:
        patch.setattr(VectorCache, "embed", never)
        with pytest.raises(BadInput):
            shop.reindex(settings={"lexical_first": 2}, **options)


def test_words_after_increments_and_compactions_are_those_of_the_whole_catalogue(shop):
    merged = 0
    for day in range(5):
        change_some(shop, day)
        done = shop.reindex(settings={"fanout": 3, "max_dead_share": 0.15})
        merged += sum(side.merged for side in done.sides)
        assert shop.said() == shop.said_at_once()
    assert merged
    assert verify_store(shop.store) == []


def test_new_documents_are_found_by_their_words_until_they_have_vectors(shop, monkeypatch):
    change_some(shop, 1)
    shop.documents["late"] = ("word7 zebra", "guide")
    shop.export()

    stop_after_words(shop, monkeypatch)
    waiting = read_kept(shop.store, shop.channel().stable, key=None)
    assert [each.rows for each in waiting.index.waiting] == [5]
    held = set(live_documents(shop.store, waiting)["doc_id"].to_pylist())
    assert held == shop.documents.keys()
    view, told = overview(shop.store, "production", key=None), Console(record=True)
    assert [row["waiting"] for row in view["releases"]] == [5, 0]
    show(view, told)
    assert f"5 documents of {waiting.release_id} wait for their vectors" in told.export_text()
    with Searcher.open(shop.store, "production", shop.root / "reader", math.inf) as searcher:
        answer = searcher.search("zebra", k=3)
        assert (list(answer.doc_ids), answer.found) == (["late"], "lexical")
        both = searcher.search("word7 zebra", k=3)
        assert both.found == "fused" and both.doc_ids[1] == "late" != both.doc_ids[0]
        assert searcher.search("word7 zebra", k=3, slice="guide").doc_ids[0] == "late"
        assert searcher.search("word40", k=3).found == "dense"
        assert shop.reindex(settings={"lexical_first": 2}).decision.outcome == "promote"
        assert searcher.refresh()
        assert searcher.search("word7 zebra", k=3).found == "dense"
    assert shop.held() == shop.built_at_once() and shop.said() == shop.said_at_once()
    assert read_kept(shop.store, shop.channel().stable, key=None).index.waiting == ()
    assert verify_store(shop.store) == []


def test_documents_that_wait_and_are_withdrawn_are_found_no_more(shop, monkeypatch):
    before = dict(shop.documents)
    shop.documents |= {f"new-{i}": (f"zebra word{i}", None) for i in range(4)}
    shop.export()
    stop_after_words(shop, monkeypatch)
    assert read_kept(shop.store, shop.channel().stable, key=None).index.waiting
    shop.documents = before
    shop.export()
    assert shop.reindex().decision.outcome == "promote"
    with Searcher.open(shop.store, "production", shop.root / "reader", math.inf) as searcher:
        assert searcher.search("zebra").found != "lexical"
    assert read_kept(shop.store, shop.channel().stable, key=None).index.waiting == ()
    assert shop.held() == shop.built_at_once() and shop.said() == shop.said_at_once()
    assert shop.reindex().decision.outcome == "none"


def test_what_a_rollback_hides_stays_hidden_until_new_documents_have_vectors(shop, monkeypatch):
    first = shop.channel().stable
    change_some(shop, 1)
    shop.reindex()
    rollback(shop.store, "production", to=first, now=NOON, why="slow", who="test")
    before = shop.channel()
    assert before.mask is not None, "doc-011 was deleted since"
    stop_after_words(shop, monkeypatch, catch_up=True)
    assert shop.channel() == before


def test_a_rejected_increment_says_that_its_documents_are_found_by_their_words():
    with fast_folder() as place:
        shop = Shop(place)
        before = shop.open_with(count=100, factory="IVF2,Flat")
        shop.documents |= {f"crowd-{i}": ("word1 word2", None) for i in range(100)}
        shop.export()
        settings = {"lexical_first": 2, "max_imbalance": 1.0, "max_imbalance_growth": 100.0}
        for _ in range(2):
            done = shop.reindex(settings=settings)
            assert done.decision.outcome == "reject"
            assert done.decision.reasons[-1] == "100 documents are found by their words only."
        assert shop.channel().history[-1].from_ == before, "it moved once"


def test_a_rollback_to_what_waited_hides_what_was_deleted_since(shop):
    change_some(shop, 1)
    shop.documents["late"] = ("zebra", None)
    shop.export()
    shop.reindex(settings={"lexical_first": 2})
    before, waiting = (shop.channel().history[at].to for at in (-3, -2))
    assert read_kept(shop.store, waiting, key=None).index.waiting
    del shop.documents["late"]
    shop.export()
    shop.reindex()
    full = shop.channel().history[-2].to
    said = {"now": NOON, "why": "because", "who": "test"}
    for wanted in (full, before):  # the one between them is gone back to by its name only
        assert rollback(shop.store, "production", index=True, **said).stable == wanted
    rollback(shop.store, "production", to=waiting, now=NOON, why="because", who="test")
    with Searcher.open(shop.store, "production", shop.root / "reader", math.inf) as searcher:
        assert searcher.release.release_id == waiting == shop.channel().stable
        assert searcher.search("zebra").doc_ids == []
        assert "new-1-0" in searcher.search("word1", k=20).doc_ids
