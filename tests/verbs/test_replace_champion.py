"""The swap of a retrain beside reindexes: the encoder was compared, today's catalogue is served."""

import json

import pytest
from tiny_release import NOON, fast_folder
from tiny_shop import Shop, tiny_params

from perennial.errors import Conflict, PlaceUnusable, Refused
from perennial.release.channels.served import served
from perennial.release.manifests.manifest import read_manifest
from perennial.release.publishing.publish import promote, resume, rollback
from perennial.release.stores.local import LocalStore
from perennial.release.verify import verify_store
from perennial.verbs.replace_champion import replace_champion


@pytest.fixture
def shop():
    """A champion, and a candidate of the same catalogue that was compared with it."""
    with fast_folder() as place:
        shop = Shop(place)
        shop.champion = shop.open_with()
        shop.candidate = shop.publish_full(lineage=2)
        yield shop


def swap(shop, *, store=None, say=lambda line: None, **reindex_section):
    champion = manifest(shop, shop.champion)
    return replace_champion(
        store or shop.store,
        "production",
        shop.candidate,
        champion=shop.champion,
        champion_lineage=champion.lineage,
        source=shop.root / "source",
        cache=shop.root / "cache",
        params=tiny_params(shop.root / "params.yaml", **reindex_section),
        now=NOON,
        why="better",
        who="test",
        key=None,
        say=say,
    )


def manifest(shop, release_id):
    return read_manifest(shop.store.manifest_bytes(release_id), release_id=release_id, key=None)


def change(shop, number=0):
    """One document more, one other, one gone."""
    shop.documents[f"new-{number}"] = (f"word{number} word9", "guide")
    shop.documents[f"doc-{number:03d}"] = ("word50 word51", None)
    del shop.documents[f"doc-{20 + number:03d}"]
    shop.export()


def reindexed(shop):
    assert shop.reindex().decision.outcome == "promote"
    return shop.channel()


def check_serves_today(shop, replaced):
    assert replaced.decision.outcome == "promote"
    assert shop.channel().stable == replaced.serving
    assert manifest(shop, replaced.serving).lineage == manifest(shop, shop.candidate).lineage
    assert shop.held() == shop.built_at_once()


def test_without_a_reindex_the_candidate_itself_serves(shop):
    assert swap(shop).serving == shop.candidate == shop.channel().stable
    before = shop.channel()
    assert swap(shop).serving == shop.candidate and shop.channel() == before


def test_after_a_reindex_the_candidate_serves_todays_catalogue_in_one_write(shop):
    change(shop)
    before = reindexed(shop)
    replaced = swap(shop)
    check_serves_today(shop, replaced)
    assert manifest(shop, replaced.serving).parent == shop.candidate
    assert shop.channel().generation == before.generation + 1
    assert shop.reindex().decision.outcome == "none"
    assert verify_store(shop.store) == []


def test_a_deletion_that_leaves_the_watermark_is_not_undone(shop):
    change(shop)
    reindexed(shop)
    shop.candidate = shop.publish_full(lineage=3)
    change(shop, 1)
    reindexed(shop)
    swap(shop)  # the candidate of lineage 3 serves the day of the change
    shop.champion, shop.candidate = shop.channel().stable, shop.publish_full(lineage=4)
    del shop.documents["doc-030"]
    shop.day -= 1  # the newest document is as old as it was
    shop.export()
    before = manifest(shop, shop.champion).catalogue
    reindexed(shop)
    after = manifest(shop, shop.channel().stable).catalogue
    assert before.watermark == after.watermark and before.digest != after.digest
    check_serves_today(shop, swap(shop))


def test_documents_that_were_changed_and_changed_back_still_give_the_newer_watermark(shop):
    kept = dict(shop.documents)
    change(shop)
    reindexed(shop)
    shop.documents = kept
    shop.export()
    reindexed(shop)
    replaced = swap(shop)
    check_serves_today(shop, replaced)
    assert replaced.serving != shop.candidate


class Overtaken(LocalStore):
    """Each of the first `times` writes of the channel comes right after somebody else's reindex."""

    def compare_and_swap(self, *arguments):
        if self.times > 0:
            self.times -= 1
            change(self.shop, self.times)
            reindexed(self.shop)
        super().compare_and_swap(*arguments)


def overtaken(shop, *, times):
    store = Overtaken(shop.store.root)
    store.shop, store.times = shop, times
    return store


def test_a_reindex_right_before_the_write_makes_it_look_again(shop):
    said = []
    check_serves_today(shop, swap(shop, store=overtaken(shop, times=2), say=said.append))
    assert sum("moved on while" in line for line in said) == 2


def test_a_channel_that_never_rests_is_a_conflict_and_stays_the_champions(shop):
    with pytest.raises(Conflict, match="moved 5 times"):
        swap(shop, store=overtaken(shop, times=9))
    lineage = manifest(shop, shop.champion).lineage
    assert served(shop.store, shop.channel(), key=None).is_full(lineage)


def test_an_export_during_the_swap_makes_it_look_again(shop):
    change(shop)
    reindexed(shop)
    said = []

    def export(line):
        said.append(line)
        if len(said) == 1:
            change(shop, 1)

    check_serves_today(shop, swap(shop, say=export))
    assert any("looking again" in line for line in said)


def test_a_swap_killed_before_its_write_finds_what_it_published(shop):
    class Dying(LocalStore):
        def compare_and_swap(self, *arguments):
            raise KeyboardInterrupt

    change(shop)
    before = reindexed(shop)
    with pytest.raises(KeyboardInterrupt):
        swap(shop, store=Dying(shop.store.root))
    assert shop.channel() == before
    published = shop.store.release_ids()
    replaced = swap(shop)
    check_serves_today(shop, replaced)
    assert shop.store.release_ids() == published


def test_what_a_reindex_made_of_the_swapped_candidate_is_not_swapped_again(shop):
    swap(shop)
    change(shop)
    before = reindexed(shop)
    assert swap(shop).serving == before.stable
    assert shop.channel() == before


def test_another_encoder_is_not_the_champion_until_it_is_rolled_back(shop):
    other = shop.publish_full(lineage=3)
    promote(shop.store, "production", other, now=NOON, why="other", who="test")
    with pytest.raises(Refused, match="retrain to compare"):
        swap(shop)
    rollback(shop.store, "production", now=NOON, why="worse", who="test")
    releases = shop.store.release_ids()
    change(shop)
    with pytest.raises(Refused, match="on hold"):
        swap(shop)
    assert shop.store.release_ids() == releases
    resume(shop.store, "production", reason="seen", now=NOON, who="test")
    assert swap(shop).serving == shop.candidate


def test_an_older_index_of_the_champion_still_is_the_champion(shop):
    change(shop)
    reindexed(shop)
    change(shop, 1)
    reindexed(shop)
    rollback(shop.store, "production", index=True, now=NOON, why="slow", who="test")
    assert shop.channel().stable != shop.champion
    resume(shop.store, "production", reason="seen", now=NOON, who="test")
    check_serves_today(shop, swap(shop))
    assert shop.channel().mask is None or not shop.held().keys() & hidden(shop)


def hidden(shop):
    digest = shop.channel().mask.digest.removeprefix("sha256:")
    path = shop.store.root / "objects" / digest[:2] / digest
    return set(json.loads(path.read_bytes())["doc_ids"])


def test_half_an_export_refuses_the_swap_until_the_champion_took_it(shop):
    change(shop)
    reindexed(shop)
    shop.documents = dict(list(shop.documents.items())[:20])
    shop.export()
    before = shop.channel()
    replaced = swap(shop)
    assert (replaced.decision.outcome, replaced.serving) == ("inconclusive", None)
    assert "Nothing was promoted" in replaced.decision.reasons[0]
    assert "as if it were half an export" in replaced.decision.reasons[1]
    assert shop.channel() == before
    assert shop.reindex(accept_removals=True).decision.outcome == "promote"
    check_serves_today(shop, swap(shop))


def test_an_index_out_of_bounds_refuses_the_swap_with_its_reasons():
    with fast_folder() as place:
        shop = Shop(place)
        shop.champion = shop.open_with(count=100, factory="IVF2,Flat")
        shop.candidate = shop.publish_full(lineage=2, factory="IVF2,Flat")
        shop.documents |= {f"crowd-{i}": ("word1 word2", None) for i in range(100)}
        shop.export()
        assert shop.reindex(settings={"min_self_retrieval": 0.0}).decision.outcome == "promote"
        before, releases = shop.channel(), shop.store.release_ids()
        replaced = swap(shop, max_imbalance=1.0, max_imbalance_growth=100.0)
        assert (replaced.decision.outcome, replaced.serving) == ("inconclusive", None)
        assert any("The lists are uneven by" in reason for reason in replaced.decision.reasons)
        assert replaced.decision.evidence
        assert (shop.channel(), shop.store.release_ids()) == (before, releases)


def test_a_catalogue_that_cannot_be_taken_now_gives_nothing_up(shop):
    change(shop)
    before = reindexed(shop)
    (shop.root / "source" / "catalogue.parquet").write_bytes(b"PAR1")
    with pytest.raises(PlaceUnusable, match="waits for today's catalogue"):
        swap(shop)
    assert shop.channel() == before


def test_a_candidate_whose_rollout_was_reindexed_is_swapped_under_its_new_name(shop):
    shop.roll_out(shop.candidate)
    change(shop)
    rolling = reindexed(shop).candidate.release_id
    assert rolling != shop.candidate
    replaced = swap(shop)
    check_serves_today(shop, replaced)
    assert replaced.serving == rolling and shop.channel().candidate is None
