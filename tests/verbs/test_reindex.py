"""reindex: an increment is the full build, an unchanged catalogue is nothing, a refusal changes
nothing."""

import json
import shutil
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_release import NOON, fast_folder
from tiny_shop import Shop, tiny_params

from perennial.errors import BadInput, Conflict, Refused, TableInvalid
from perennial.model.vectors import VectorCache
from perennial.release.caching.cache import ReleaseCache
from perennial.release.channels.moves import read_kept
from perennial.release.publishing.publish import promote, resume, rollback
from perennial.release.verify import verify_store
from perennial.verbs.reindexing.base import Base
from perennial.verbs.reindexing.release import bring_up_to_date


@pytest.fixture
def shop():
    with fast_folder() as place:
        shop = Shop(place)
        shop.open_with()
        yield shop


def change_everything(shop):
    """Two added, two changed, two removed, one with another slice."""
    shop.documents |= {"new-1": ("word1 word2", "guide"), "new-0": ("word50", None)}
    shop.documents["doc-003"] = ("word9 word8 word7", None)
    shop.documents["doc-004"] = ("word9", "guide")
    del shop.documents["doc-005"], shop.documents["doc-039"]
    shop.documents["doc-010"] = (shop.documents["doc-010"][0], "reference")
    shop.export()


def test_an_increment_holds_the_documents_and_vectors_of_a_full_build(shop):
    change_everything(shop)
    done = shop.reindex()
    assert done.decision.outcome == "promote"
    (side,) = done.sides
    assert (side.added, side.changed, side.resliced, side.removed) == (2, 2, 1, 2)
    assert (side.embedded, side.segments) == (4, 2)
    assert shop.channel().stable == side.release_id
    assert shop.held() == shop.built_at_once()
    assert verify_store(shop.store) == []
    assert set(done.seconds) == {"compare", "embed", "build", "compact", "check", "publish", "swap"}
    assert 0 < side.bytes_written < 20_000
    assert side.health["coverage"] == 1.0 and side.health["segments"] == 2.0
    assert shop.channel().history[-1].why.startswith("reindex: 2 added, 2 changed")


def test_an_unchanged_catalogue_publishes_nothing(shop):
    before = {path: path.read_bytes() for path in shop.store.root.rglob("*") if path.is_file()}
    shop.export()  # the same documents, a day later
    done = shop.reindex()
    assert done.decision.outcome == "none"
    assert "already serves these 40 documents" in done.decision.reasons[0]
    assert {p: p.read_bytes() for p in shop.store.root.rglob("*") if p.is_file()} == before


def test_many_small_changes_end_where_one_full_build_would(shop):
    generator = np.random.default_rng(3)
    for round_ in range(12):
        names = sorted(shop.documents)
        for name in generator.choice(names, 4, replace=False):
            words = generator.integers(0, 60, 2)
            shop.documents[str(name)] = (f"word{words[0]} word{words[1]}", f"s{round_ % 3}")
        del shop.documents[str(generator.choice(sorted(shop.documents)))]
        shop.documents[f"more-{round_}"] = (f"word{round_}", None)
        shop.export()
        done = shop.reindex(settings={"fanout": 3, "max_segments": 4})
        assert done.decision.outcome == "promote", done.decision.reasons
        assert shop.held() == shop.built_at_once()
        assert done.sides[0].segments <= 4
    assert verify_store(shop.store) == []


def test_another_slice_embeds_nothing_even_where_no_cache_is_left(shop):
    for cached in (True, False):
        name = "doc-010" if cached else "doc-011"
        shop.documents[name] = (shop.documents[name][0], "reference")
        shop.export()
        if not cached:
            shutil.rmtree(shop.root / "cache")
        done = shop.reindex()
        assert done.decision.outcome == "promote"
        assert (done.sides[0].resliced, done.sides[0].embedded) == (1, 0)
        assert shop.held() == shop.built_at_once()


def test_nothing_of_the_base_is_written_again_and_its_vectors_are_not_opened_to_grow(shop):
    before = shop.channel().stable
    change_everything(shop)
    done = shop.reindex()
    old, new = (shop.store.manifest_bytes(i) for i in (before, done.sides[0].release_id))
    assert b'"path": "segment-0000.faiss"' in old and b'"path": "segment-0000.faiss"' in new
    assert len(list((shop.root / "cache" / "reindex").rglob("*.faiss"))) == 0, "nothing is left"


def test_an_index_is_put_together_also_where_no_links_can_be_made(shop, tmp_path):
    if shop.root.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs two file systems")
    manifest = served(shop)
    base = Base(
        shop.store, manifest, cache=ReleaseCache(shop.root / "objects"), folder=shop.root / "work"
    )
    (row,) = base.rows
    (tmp_path / row["vectors"]).write_bytes(b"new")  # on the disk, and all else in memory
    whole = base.assemble(shop.root / "whole", base.rows, fresh=tmp_path)
    assert (whole / row["vectors"]).read_bytes() == b"new"
    assert (whole / row["ids"]).samefile(base.index / row["ids"])


def test_stable_and_candidate_move_in_one_write(shop):
    candidate = shop.publish_full(lineage=2)
    shop.roll_out(candidate)
    change_everything(shop)
    before = shop.channel()
    done = shop.reindex()
    assert done.decision.outcome == "promote"
    after = shop.channel()
    assert after.generation == before.generation + 1
    assert [side.role for side in done.sides] == ["stable", "candidate"]
    assert (after.stable, after.candidate.release_id) == tuple(s.release_id for s in done.sides)
    assert (after.candidate.stage, after.candidate.salt) == ("canary", "salt")
    for release_id in (after.stable, after.candidate.release_id):
        assert shop.held(release_id) == shop.built_at_once(release_id)
    assert shop.reindex().decision.outcome == "none"


def test_a_candidate_that_has_the_catalogue_already_is_left_as_it_is(shop):
    change_everything(shop)
    candidate = shop.publish_full(lineage=2)
    shop.roll_out(candidate)
    done = shop.reindex()
    assert [side.role for side in done.sides] == ["stable"]
    assert shop.channel().candidate.release_id == candidate


def test_the_watermark_never_goes_back_though_the_newest_document_is_deleted(shop):
    candidate = shop.publish_full(lineage=2)
    shop.documents["newest"] = ("word50", None)
    shop.export()
    shop.reindex()
    newest = served(shop).catalogue.watermark
    shop.roll_out(candidate)
    del shop.documents["newest"], shop.documents["doc-001"]
    shop.day -= 2  # all that is left is older than what was there
    shop.export()
    done = shop.reindex(now=NOON + timedelta(days=9))
    assert "newest" not in shop.held()
    assert served(shop).catalogue.watermark == newest
    # The candidate holds the same catalogue, and is no older than stable.
    rolling = shop.channel().candidate.release_id
    assert rolling != candidate
    assert {side.release_id for side in done.sides} == {shop.channel().stable, rolling}
    assert read_kept(shop.store, rolling, key=None).catalogue.watermark == newest
    assert (
        promote(shop.store, "production", rolling, now=NOON, why="better", who="test").stable
        == rolling
    )


def test_a_candidate_of_a_snapshot_after_that_deletion_can_still_be_promoted(shop):
    shop.documents["newest"] = ("word50", None)
    shop.export()
    shop.reindex()
    newest = served(shop).catalogue.watermark
    del shop.documents["newest"]
    shop.day -= 2
    shop.export()
    candidate = shop.publish_full(lineage=2)
    ready = bring_up(shop, candidate, no_older_than=newest).release_id
    assert bring_up(shop, candidate, no_older_than=newest).release_id == ready != candidate
    promote(shop.store, "production", ready, now=NOON, why="better", who="test")


def served(shop):
    return read_kept(shop.store, shop.channel().stable, key=None)


def test_a_release_that_nobody_serves_yet_takes_todays_catalogue(shop):
    candidate = shop.publish_full(lineage=2)
    assert bring_up(shop, candidate).release_id == candidate
    change_everything(shop)
    before = shop.channel()
    newer = bring_up(shop, candidate).release_id
    assert newer != candidate and shop.channel() == before
    assert shop.held(newer) == shop.built_at_once(newer)
    shop.documents = dict(list(shop.documents.items())[:20])
    shop.export()
    refused = bring_up(shop, candidate)
    assert (refused.decision.outcome, refused.release_id) == ("reject", None)


def bring_up(shop, release_id, **options):
    return bring_up_to_date(
        release_id,
        channel="production",
        source=shop.root / "source",
        store=shop.store,
        cache=shop.root / "cache",
        params=tiny_params(shop.root / "params.yaml"),
        now=NOON,
        key=None,
        **options,
    )


def test_on_hold_nothing_moves_but_a_catch_up(shop):
    first = shop.channel().stable
    change_everything(shop)
    shop.reindex()
    rollback(shop.store, "production", to=first, now=NOON, why="slow", who="test")
    held = shop.reindex()
    assert held.decision.outcome == "inconclusive" and "--catch-up" in held.decision.reasons[0]
    assert shop.channel().stable == first
    assert shop.channel().mask is not None, "doc-005 was deleted since"
    caught_up = shop.reindex(catch_up=True)
    assert caught_up.decision.outcome == "promote"
    assert shop.held() == shop.built_at_once()
    assert shop.channel().hold is not None and shop.channel().mask is None
    resume(shop.store, "production", reason="fixed", now=NOON, who="test")
    assert shop.reindex().decision.outcome == "none"


def test_documents_that_came_back_are_no_longer_masked(shop):
    first, kept = shop.channel().stable, dict(shop.documents)
    change_everything(shop)
    shop.reindex()
    rollback(shop.store, "production", to=first, now=NOON, why="slow", who="test")
    shop.documents = kept  # the catalogue is that of the first release again
    shop.export()
    done = shop.reindex(catch_up=True)
    assert done.decision.outcome == "promote" and shop.channel().mask is None
    assert shop.held() == shop.built_at_once()


def test_half_an_export_is_refused_until_a_person_accepts_it(shop):
    before = shop.channel()
    shop.documents = dict(list(shop.documents.items())[:20])
    shop.export()
    done = shop.reindex()
    assert done.decision.outcome == "reject"
    assert "lacks 20 of the 40" in done.decision.reasons[0]
    assert shop.channel() == before
    accepted = shop.reindex(accept_removals=True)
    assert accepted.decision.outcome == "promote"
    assert shop.held() == shop.built_at_once()


def broken_catalogues():
    def write(shop, **columns):
        path = shop.root / "source" / "catalogue.parquet"
        table = pq.read_table(path)
        for name, change in columns.items():
            values = change(table[name].to_pylist())
            table = (
                table.drop_columns([name])
                if values is None
                else table.set_column(table.schema.get_field_index(name), name, pa.array(values))
            )
        pq.write_table(table, path)

    yield "twice", TableInvalid, lambda s: write(s, doc_id=lambda v: [v[0], *v[:-1]])
    yield "no text", TableInvalid, lambda s: write(s, text=lambda v: None)
    yield "null", TableInvalid, lambda s: write(s, text=lambda v: [None, *v[1:]])
    yield "torn", BadInput, lambda s: (s.root / "source/catalogue.parquet").write_bytes(b"PAR1")
    yield "gone", BadInput, lambda s: (s.root / "source/catalogue.parquet").unlink()
    yield "empty", BadInput, lambda s: (s.documents.clear(), s.export())


@pytest.mark.parametrize(
    ("kind", "spoil"), [pytest.param(k, f, id=i) for i, k, f in broken_catalogues()]
)
def test_a_catalogue_that_cannot_be_taken_changes_nothing(shop, kind, spoil):
    before = {path: path.read_bytes() for path in shop.store.root.rglob("*") if path.is_file()}
    spoil(shop)
    with pytest.raises(kind) as caught:
        shop.reindex()
    assert "\n" not in str(caught.value)
    assert {p: p.read_bytes() for p in shop.store.root.rglob("*") if p.is_file()} == before


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
    change_everything(lists)
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


def test_who_moves_the_channel_meanwhile_is_told_of_as_a_conflict(shop):
    change_everything(shop)
    other = shop.publish_full(lineage=2)

    def overtake(line):
        if line.startswith("stable:") and shop.channel().candidate is None:
            shop.roll_out(other)

    with pytest.raises(Conflict, match="reindex again"):
        shop.reindex(say=overtake)
    assert shop.channel().candidate.release_id == other
    assert shop.reindex().decision.outcome == "promote"
    assert shop.held() == shop.built_at_once()


def test_two_at_once_do_not_work_in_one_folder(shop):
    change_everything(shop)
    said = []

    def again(line):
        if not said:
            said.append(line)
            with pytest.raises(Refused, match="another reindex"):
                shop.reindex()

    assert shop.reindex(say=again).decision.outcome == "promote"
    assert said


def test_the_cache_stays_in_proportion_to_the_catalogue(shop):
    for round_ in range(4):
        for name in list(shop.documents):
            shop.documents[name] = (f"word{round_} word{int(name[-2:])}", None)
        shop.export()
        assert shop.reindex().decision.outcome == "promote"
    encoder = shop.store.manifest_bytes(shop.channel().stable)
    assert encoder
    (path,) = (shop.root / "cache" / "vectors").glob("*.sqlite")
    with VectorCache.open(path.parent, encoder_digest=f"sha256:{path.stem}", dimension=16) as cache:
        assert len(cache) <= 80
