"""A forgotten document leaves no word that was its own, in no object, cache or answer."""

from datetime import UTC, datetime, timedelta

import pytest
from tiny_release import fast_folder
from tiny_shop import Shop

from perennial.index.lexical.words import name_hashes, word_hashes
from perennial.model.vectors import VectorCache
from perennial.release.channels.moves import read_kept
from perennial.release.forgetting.forget import forget
from perennial.release.forgetting.traces import Traces, scan_store
from perennial.release.verify import verify_store

GONE = "doc-007"


@pytest.fixture
def shop():
    with fast_folder() as place:
        shop = Shop(place)
        shop.documents[GONE] = ("word3 zebra", None)
        shop.documents["other"] = ("word9 okapi", None)
        shop.open_with(count=7)
        yield shop


def forgets(shop):
    return forget(
        shop.store,
        [GONE],
        who="test",
        clear_caches=lambda traces, digests: None,
        pending=timedelta(hours=48),
        clock=lambda: datetime.now(UTC) + timedelta(hours=1),
    )


def every_byte(shop):
    return b"".join(each.read_bytes() for each in shop.store.root.rglob("*") if each.is_file())


def marks():
    """The bytes that stand for the document and for the word that it alone has."""
    return [name_hashes([GONE])[0].tobytes(), word_hashes(["zebra"])[0].tobytes()]


def test_its_words_go_with_it_and_those_of_others_stay(shop):
    del shop.documents[GONE]
    shop.export()
    shop.reindex()  # a tombstone hides it, and every byte of it is still there
    assert all(mark in every_byte(shop) for mark in marks())
    done = forgets(shop)
    assert done.hits == {} and verify_store(shop.store) == []
    data = every_byte(shop)
    assert not any(mark in data for mark in marks())
    assert word_hashes(["okapi"])[0].tobytes() in data
    assert shop.said() == shop.said_at_once()


def test_it_goes_from_what_waits_for_its_vectors_too(shop, monkeypatch):
    del shop.documents[GONE]
    shop.export()
    shop.reindex()
    forgets(shop)
    shop.documents |= {GONE: ("word3 zebra", None), "late": ("word4 lynx", None)}
    shop.export()

    def never(*given, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(VectorCache, "embed", never)
        with pytest.raises(KeyboardInterrupt):
            shop.reindex(settings={"lexical_first": 0})
    assert all(mark in every_byte(shop) for mark in marks())
    done = forgets(shop)
    assert done.hits == {} and not any(mark in every_byte(shop) for mark in marks())
    (waiting,) = read_kept(shop.store, shop.channel().stable, key=None).index.waiting
    assert waiting.rows == 1
    assert verify_store(shop.store) == []


def test_the_words_of_a_killed_publication_are_found_by_the_id(shop):
    path = next((shop.root / "full-1-0" / "built").glob("*.lexical.arrow"))
    find = Traces((GONE,), frozenset()).search()
    assert find(path) == ["doc_id"]
    assert Traces(("doc-999",), frozenset()).search()(path) == []
    assert set().union(*scan_store(shop.store, Traces((GONE,), frozenset())).values()) == {"doc_id"}
