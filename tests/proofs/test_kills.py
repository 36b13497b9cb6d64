"""A sweep, a forgetting and, on S3, a reindex that compacts, killed all along their way: a fresh
reader finds a whole release, verify finds nothing wrong, and the next run finishes."""

import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from proofs.catalogue_machine import (
    Encoders,
    Place,
    assert_true_answers,
    in_years,
    make_documents,
)
from proofs.killed import (
    FACTORY,
    KEEPING,
    MERGING,
    STRIDES,
    do_forget,
    do_reindex,
    do_sweep,
    make_lists_small,
)
from seaweed import open_s3
from tiny_release import fast_folder

from perennial.index import factory
from perennial.release.channels.mask import read_mask
from perennial.release.forgetting.traces import Traces, scan_store
from perennial.release.publishing.publish import rollback
from perennial.release.stores.local import LocalStore
from perennial.release.sweeping.sweep import plan_sweep
from perennial.release.verify import verify_whole_store
from perennial.serving.searcher import Searcher

pytestmark = pytest.mark.slow
DRIVER = Path(__file__).with_name("killed.py")
LINEAGE = 1
GONE = "document-00007"


@pytest.fixture
def root(monkeypatch):
    monkeypatch.setattr(factory, "ROWS_PER_CENTROID", factory.ROWS_PER_CENTROID)
    make_lists_small()
    with fast_folder() as place:
        yield place


@pytest.fixture(params=["a folder", "s3"])
def store(request, root):
    if request.param == "s3":
        return request.getfixturevalue("s3_store")
    return LocalStore(root / "place" / "store")


class Grown:
    """A place whose channel went through some reindexes, each one segment more."""

    def __init__(self, root, store, *, reindexes=2):
        self.root, self.store, self.encoders = root, store, Encoders(root / "encoders")
        self.place = Place(root / "place", store, self.encoders, FACTORY)
        self.documents = make_documents(range(24))
        self.place.promote(self.place.publish(LINEAGE, self.documents)[0])
        apart = MERGING | {"max_segments": 9, "fanout": 9}
        for i in range(reindexes):
            self.before = dict(self.documents)
            self.documents |= make_documents(range(30 + 3 * i, 33 + 3 * i))
            self.documents[f"document-0000{i}"] = (f"word{i} word40", None)
            del self.documents[f"document-0001{i}"]
            self.place.export(self.documents)
            assert self.place.reindex(settings=apart).decision.outcome == "promote"

    def kill(self, mode, *arguments):
        """The steps that something died at, and what each death left: root and store."""
        where = getattr(self.store, "place", "")
        graves = self.root / "graves"
        command = [sys.executable, str(DRIVER), mode, where, self.place.root, graves, *arguments]
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=500, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split(), self.survivors(len(done.stdout.split()), STRIDES[mode])

    def survivors(self, count, stride):
        for step in range(1, count + 1):
            if isinstance(self.store, LocalStore):
                copy = self.root / "graves" / f"{step:03d}"
                yield copy, LocalStore(copy / "store")
            else:
                number = 1 + stride * (step - 1)
                left = open_s3(self.store.bucket.name, f"graves/{number:03d}")
                left.bucket.client = self.store.bucket.client  # making one takes longest
                copy = self.root / "graves" / f"{number:03d}"
                yield copy if copy.exists() else self.place.root, left

    def is_served(self, copy, store, *catalogues):
        """Which of the catalogues a fresh reader answers from, by brute force; never another."""
        channel = store.read_channel("production")
        hidden = read_mask(store, channel.mask)
        with Searcher.open(store, "production", copy / "fresh-reader", math.inf) as searcher:
            found = {hit.doc_id for hit in searcher.search("word3", k=100).hits}
            (which,) = (
                i for i, each in enumerate(catalogues) if each.keys() - set(hidden) == found
            )
            shown = {n: each for n, each in catalogues[which].items() if n not in hidden}
            for slice_ in (None, "guide"):
                wanted = self.encoders.brute_force(LINEAGE, shown, "word3", slice_)
                assert_true_answers(
                    searcher, wanted, "word3", slice_, tolerance=1e-5, is_exact=False
                )
        assert verify_whole_store(store).findings == ()
        return which


def test_a_reindex_that_compacts_killed_among_its_requests(root, s3_store):
    grown = Grown(root, s3_store)
    old, new = dict(grown.documents), grown.documents
    new |= make_documents(range(50, 53))
    del new["document-00004"]
    new["document-00005"] = ("word50 word51", "guide")
    grown.place.export(new)
    deaths, survivors = grown.kill("reindex")
    assert Counter(deaths)["PutObject"] >= 2  # a third of: notes, objects, manifest, channel
    seen = []
    for copy, store in survivors:
        seen.append(grown.is_served(copy, store, old, new))
        done = do_reindex(copy, store, day=2)
        assert done.decision.outcome == ("none" if seen[-1] else "promote")
        if not seen[-1]:
            assert done.sides[0].merged >= 2
        assert grown.is_served(copy, store, old, new) == 1
    assert seen == sorted(seen) and set(seen) == {0, 1}, "once new, never old again"
    do_sweep(copy, store)
    assert store.pending_ids() == [] and verify_whole_store(store).orphans == ()


def test_a_sweep_killed_at_any_step(root, store):
    grown = Grown(root, store, reindexes=3)
    rollback(
        store, "production", index=True, now=grown.place.tick(), why="slow", who="test"
    )  # so that there is a mask
    for i in range(5):
        store.put_bytes(b"waste %d" % i)
    plan = plan_sweep(store, **KEEPING, now=in_years())
    states = {"manifests": set(), "objects": set()}
    _, survivors = grown.kill("sweep")
    for copy, survivor in survivors:
        grown.is_served(copy, survivor, grown.before)
        states["manifests"].add(len(survivor.release_ids()))
        states["objects"].add(len(survivor.digests()))
        do_sweep(copy, survivor, day=2)
        grown.is_served(copy, survivor, grown.before)
        found = verify_whole_store(survivor)
        assert (found.orphans, survivor.record_names()) == ((), [])
        kept = survivor.release_ids()
        assert len(kept) == 2 and survivor.read_channel("production").stable in kept
    gone = {"manifests": plan.releases, "objects": plan.objects}
    own = {digest for each in plan.releases for digest in each.objects()}
    assert own & {each.digest for each in plan.objects}, "else their order proves nothing"
    assert len(gone["manifests"]) >= 2 and len(gone["objects"]) >= 6
    for what, found in states.items():
        assert len(found) == len(gone[what]) + 1, f"one died before and after each of the {what}"


def test_a_forgetting_killed_at_any_step(root, store):
    grown = Grown(root, store, reindexes=1)
    with_it = dict(grown.documents)
    without = {name: each for name, each in with_it.items() if name != GONE}
    deaths, survivors = grown.kill("forget", GONE)
    assert len(deaths) > 15
    seen = []
    for copy, survivor in survivors:
        seen.append(grown.is_served(copy, survivor, with_it, without))
        do_forget(copy, survivor, GONE, day=2)
        assert grown.is_served(copy, survivor, with_it, without) == 1
        vector = grown.encoders.vector(LINEAGE, with_it[GONE][0]).tobytes()
        assert scan_store(survivor, Traces((GONE,), frozenset([vector]))) == {}
    assert seen == sorted(seen) and set(seen) == {0, 1}, "once gone, never back"
