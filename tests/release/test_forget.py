"""Forgotten documents are in no release and in no byte; the rest is as it was."""

import io
import itertools
import json
from datetime import UTC, datetime, timedelta

import faiss
import numpy as np
import pytest
from tiny_increment import publish_increment, write_increment
from tiny_release import DIMENSION, HEALTH, NOON

from perennial.errors import BadInput, Refused
from perennial.index.index import Index
from perennial.release.caching.materialise import materialise
from perennial.release.channels.moves import read_kept
from perennial.release.forgetting.forget import forget
from perennial.release.forgetting.forgotten import today
from perennial.release.forgetting.traces import Traces, scan_folder
from perennial.release.manifests.documents import live_documents
from perennial.release.publishing.pins import SWEEP
from perennial.release.publishing.publish import promote, rollback
from perennial.release.publishing.successor import publish_successor
from perennial.release.stores.store import PendingNote
from perennial.release.verify import verify_whole_store

SAID = {"why": "because", "who": "test"}
GONE = "first-7"


def later():
    return datetime.now(UTC) + timedelta(hours=1)


def nothing_to_clear(traces, digests):
    pass


def forgets(store, *doc_ids, **options):
    given = {"who": "test", "clear_caches": nothing_to_clear, "pending": timedelta(hours=48)}
    return forget(store, doc_ids, **(given | {"clock": later} | options))


@pytest.fixture
def grown(store, serving, publish_tiny, retrained, tmp_path):
    """Three indexes of one lineage, in each of which `GONE` has another life: there, replaced,
    deleted; and a release of another lineage without it."""
    second = publish_increment(
        store, serving, tmp_path / "second", add={GONE: "word51", "new": "word52"}
    )
    third = publish_increment(store, second, tmp_path / "third", add={}, remove={GONE, "first-8"})
    for each in (second, third):
        promote(store, "production", each.release_id, now=NOON, **SAID)
    other = publish_tiny(retrained)
    promote(store, "other", other.release_id, now=NOON, **SAID)
    return serving, second, third, other


def documents(store, release_id):
    return set(live_documents(store, read_kept(store, release_id, key=None))["doc_id"].to_pylist())


def vectors_of(store, release_id, folder):
    """doc_id to its vector, as a reader of the release finds it."""
    manifest = materialise(store, release_id, folder / release_id)
    index = Index.open(folder / release_id / "index", encoder_digest=manifest.lineage)
    queries = np.eye(index.dimension, dtype=np.float32)
    scores, names = index.search(queries, index.live)
    return {
        doc_id: tuple(
            float(scores[axis, list(names[axis]).index(doc_id)]) for axis in range(len(queries))
        )
        for doc_id in names[0]
    }


def trace_of(store, release_id, folder):
    """The traces that GONE has in a release, gathered independently of what forget gathers."""
    vector = np.array(vectors_of(store, release_id, folder)[GONE], dtype=np.float32)
    return Traces((GONE,), frozenset([vector.tobytes()]))


def test_every_release_gets_a_successor_without_it_and_all_else_as_it_was(store, grown, tmp_path):
    before = {each.release_id: vectors_of(store, each.release_id, tmp_path / "a") for each in grown}
    done = forgets(store, GONE)
    assert [each.release_id for each in done.releases] == sorted(
        (each.release_id for each in grown[:3]),
        key=lambda i: (next(g.created_at for g in grown if g.release_id == i), i),
    )
    assert [each.rows for each in done.releases].count(2) == 2  # two versions of it
    for old, vectors in before.items():
        new = today(store, old)
        assert vectors_of(store, new, tmp_path / "b") == {
            doc_id: vector for doc_id, vector in vectors.items() if doc_id != GONE
        }
    assert store.read_channel("production").stable == today(store, grown[2].release_id)
    assert store.read_channel("other").stable == grown[3].release_id
    assert grown[0].release_id not in store.release_ids()


def test_no_byte_of_the_store_holds_it_any_more(store, grown, tmp_path):
    traces = trace_of(store, grown[0].release_id, tmp_path / "before")
    second = trace_of(store, grown[1].release_id, tmp_path / "before")
    for each in (traces, second):
        assert {"doc_id", "vector"} <= set(itertools.chain(*scan_folder(store.root, each).values()))
    done = forgets(store, GONE)
    assert (done.hits, done.in_flight, done.vectors) == ({}, (), 2)
    for each in (traces, second):
        assert scan_folder(store.root, each) == {}
    found = verify_whole_store(store)
    assert (found.findings, found.orphans) == ((), ())
    assert store.read_record(SWEEP) is None


def test_references_lose_its_vector_too(store, grown, tmp_path):
    done = forgets(store, "first-2")  # the third of five reference vectors
    assert {each.references for each in done.releases} == {1}
    new = read_kept(store, today(store, grown[0].release_id), key=None)
    data = store.read(new.references.vectors.digest)
    assert np.load(io.BytesIO(data)).shape[0] == 4
    assert new.references.queries == grown[0].references.queries


def test_a_mask_is_written_again_without_it(store, grown):
    rollback(store, "production", to=grown[0].release_id, now=NOON, **SAID)
    old = store.read_channel("production")
    assert old.mask.documents == 2
    done = forgets(store, GONE)
    new = store.read_channel("production")
    assert (new.mask.documents, new.hold, done.channels) == (1, old.hold, ("production",))
    assert not store.has(old.mask.digest)
    assert rollback(store, "production", to=today(store, grown[2].release_id), now=NOON, **SAID)


def test_the_id_of_another_document_that_only_begins_alike_is_no_trace(store, grown):
    assert forgets(store, "first-1").hits == {}  # first-10 to first-19 stay
    assert "first-10" in documents(store, store.read_channel("production").stable)


def test_a_document_with_the_same_text_keeps_its_vector(store, serving, tmp_path):
    twin = publish_increment(store, serving, tmp_path / "i", add={"a": "word55", "b": "word55"})
    promote(store, "production", twin.release_id, now=NOON, **SAID)
    done = forgets(store, "a")
    assert (done.vectors, done.hits) == (0, {})
    assert "b" in documents(store, store.read_channel("production").stable)


def test_a_document_with_other_words_but_the_very_same_vector_is_no_trace(store, serving, tmp_path):
    twin = publish_increment(store, serving, tmp_path / "i", add={"a": "word55", "b": "word55 "})
    promote(store, "production", twin.release_id, now=NOON, **SAID)
    done = forgets(store, "a")
    assert (done.vectors, done.hits) == (0, {})
    assert "b" in documents(store, store.read_channel("production").stable)


def test_a_twin_in_another_release_and_a_deleted_one_are_no_traces_either(store, serving, tmp_path):
    one = publish_increment(store, serving, tmp_path / "1", add={"a": "word55", "c": "word56"})
    two = publish_increment(store, one, tmp_path / "2", add={"d": "word56 "}, remove={"a", "c"})
    other = publish_increment(store, serving, tmp_path / "3", add={"b": "word55 "})
    three = publish_increment(store, two, tmp_path / "4", add={}, remove={"d"})
    assert forgets(store, "a", "c").hits == {}
    kept = {today(store, each.release_id) for each in (one, two, three)}
    assert set(store.release_ids()) == kept | {serving.release_id, other.release_id}


def test_a_vector_of_nothing_is_no_trace(store, serving, tmp_path):
    """An encoder that knows no word of a text gives zeros, which stand in any binary file."""
    index = write_increment(store, serving, tmp_path / "i", add={"a": "word55"})
    faiss_index = faiss.IndexFlatIP(DIMENSION)
    faiss_index.add(np.zeros((1, DIMENSION), dtype=np.float32))
    faiss.write_index(faiss_index, str(index / "segment-0001.faiss"))
    made = publish_successor(
        store,
        serving,
        index=index,
        references=None,
        catalogue=vars(serving.catalogue) | {"documents": 41},
        health=HEALTH,
        provenance={},
        created_at=NOON,
    )
    promote(store, "production", made.release_id, now=NOON, **SAID)
    done = forgets(store, "a")
    assert (done.vectors, done.hits) == (0, {})


def test_references_lose_it_also_in_a_release_that_no_longer_has_its_row(store, serving, tmp_path):
    """A reindex carries the references on, and a compaction leaves a deleted row out."""
    index = write_increment(store, serving, tmp_path / "i", add={"a": "word55"})
    about = json.loads((index / "index.json").read_text())
    about["segments"] = about["segments"][1:]
    (index / "index.json").write_text(json.dumps(about, indent=2, sort_keys=True) + "\n")
    made = publish_successor(
        store,
        serving,
        index=index,
        references=None,
        catalogue=vars(serving.catalogue) | {"documents": 1},
        health=HEALTH,
        provenance={},
        created_at=NOON,
    )
    promote(store, "production", made.release_id, now=NOON, **SAID)
    done = forgets(store, "first-2")
    assert done.hits == {}
    assert {each.release_id for each in done.releases} == {serving.release_id, made.release_id}
    now = store.read_channel("production").stable
    assert now == today(store, made.release_id) != made.release_id
    assert documents(store, now) == {"a"}


def test_what_was_rewritten_is_never_published_again(store, grown, first, publish_tiny):
    """As a retrain that was killed before the forgetting, and is continued after it, would."""
    forgets(store, GONE)
    before = store.digests(), store.release_ids(), store.pending_ids()
    with pytest.raises(Refused, match="because a document of it was forgotten"):
        publish_tiny(first)
    assert (store.digests(), store.release_ids(), store.pending_ids()) == before


def test_an_unknown_document_changes_nothing(store, grown):
    before = store.digests(), store.release_ids(), store.read_channel("production")
    done = forgets(store, "nobody")
    assert (done.releases, done.channels, done.hits) == ((), (), {})
    assert before == (store.digests(), store.release_ids(), store.read_channel("production"))
    with pytest.raises(BadInput, match="--doc"):
        forgets(store, " ")


def test_a_release_of_that_document_alone_is_refused(store, first, publish_tiny, tmp_path):
    whole = publish_tiny(first)
    everything = documents(store, whole.release_id)
    with pytest.raises(Refused, match="no other document"):
        forgets(store, *everything)
    assert documents(store, whole.release_id) == everything


def test_a_publication_in_flight_is_waited_for_by_asking_to_run_again(store, grown):
    at = later().isoformat().replace("+00:00", "Z")
    needs = tuple(grown[0].objects())
    store.write_pending(PendingNote(1, "rel-" + "0" * 12, at, needs))
    done = forgets(store, GONE)
    assert done.in_flight == ("rel-" + "0" * 12,)
    assert done.hits != {}
    store.clear_pending("rel-" + "0" * 12)
    assert forgets(store, GONE).hits == {}


def test_caches_are_cleared_before_anything_is_deleted(store, grown):
    seen = []

    def clear(traces, digests):
        seen.append((traces.doc_ids, len(traces.vectors), len(digests)))
        assert store.has(grown[0].index.segments[0].vectors.digest)

    forgets(store, GONE, clear_caches=clear)
    assert seen == [((GONE,), 2, 2)]


def test_a_forget_that_is_killed_anywhere_is_finished_by_the_next(store, grown, tmp_path):
    traces = trace_of(store, grown[0].release_id, tmp_path / "before")

    class Killed(BaseException):
        pass

    class Dying(type(store)):
        left = 0

        def __getattribute__(self, name):
            writes = ("put_file", "put_bytes", "write_manifest", "compare_and_swap", "swap_record")
            if name in (*writes, "delete", "delete_manifest"):
                if Dying.left <= 0:
                    raise Killed
                Dying.left -= 1
            return super().__getattribute__(name)

    for life in itertools.count():
        Dying.left, now = life, later() + timedelta(hours=life)
        try:
            forgets(Dying(store.root), GONE, clock=lambda: now)  # noqa: B023
        except Killed:
            found = verify_whole_store(store)
            assert found.findings == ()
            served = store.read_channel("production").stable
            assert served in store.release_ids()
            continue
        break
    assert life > 5
    assert scan_folder(store.root, traces) == {}
    assert verify_whole_store(store).findings == ()
    assert json.loads(store.read_channel("production").to_bytes())["stable"] != grown[2].release_id
