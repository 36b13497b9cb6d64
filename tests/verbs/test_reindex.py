"""reindex: an increment is the full build, an unchanged catalogue is nothing, a refusal changes
nothing."""

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


def test_an_increment_holds_the_documents_and_vectors_of_a_full_build(shop):
    shop.change_everything()
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
    shop.change_everything()
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
    shop.change_everything()
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
    shop.change_everything()
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
    shop.change_everything()
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
    shop.change_everything()
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
    shop.change_everything()
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


def test_who_moves_the_channel_meanwhile_is_told_of_as_a_conflict(shop):
    shop.change_everything()
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
    shop.change_everything()
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
