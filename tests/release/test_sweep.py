from datetime import UTC, datetime, timedelta

import pytest
from damage import overwrite
from tiny_increment import publish_increment
from tiny_release import NOON

from perennial.errors import IntegrityError, Refused
from perennial.release.forgetting.forgotten import read_forgotten, write_forgotten
from perennial.release.publishing.pins import LEASE, SWEEP, SweepRecord
from perennial.release.publishing.publish import promote, rollback
from perennial.release.stores.local import LocalStore
from perennial.release.stores.store import PendingNote
from perennial.release.sweeping.lease import deleting
from perennial.release.sweeping.sweep import plan_sweep, sweep
from perennial.release.verify import verify_store, verify_whole_store

SAID = {"why": "because", "who": "test"}
KEEP = {
    "releases": 2,
    "lineages": 2,
    "grace": timedelta(hours=1),
    "pending": timedelta(hours=48),
}


def in_a_week():
    return datetime.now(UTC) + timedelta(days=7)


@pytest.fixture
def chain(store, serving, tmp_path):
    """Six releases of one lineage, each an increment of the one before; production serves the last
    and served all of them in turn."""
    releases = [serving]
    for i in range(1, 6):
        when = NOON + timedelta(hours=i)
        add = {f"doc-{i}": f"word{i}", "same": f"word{i + 10}"}
        folder = tmp_path / f"increment-{i}"
        gone = {f"first-{i}"}  # another tombstones file of the first segment each time
        releases.append(
            publish_increment(store, releases[-1], folder, add=add, remove=gone, created_at=when)
        )
        promote(store, "production", releases[-1].release_id, now=when, **SAID)
    return [each.release_id for each in releases]


def swept(store, **changes):
    return sweep(store, clock=in_a_week, **(KEEP | changes))


def planned(store, **changes):
    return plan_sweep(store, **(KEEP | {"now": in_a_week()} | changes))


def names(plan):
    return {each.release_id for each in plan.releases}


def test_a_plan_deletes_nothing(store, chain):
    before = store.digests(), store.release_ids()
    assert names(planned(store)) == set(chain[:4])
    assert (store.digests(), store.release_ids()) == before


def test_the_newest_of_the_lineage_stay_with_every_object_that_they_name(store, chain):
    plan = swept(store)
    assert store.release_ids() == sorted(chain[4:])
    assert names(plan) == set(chain[:4])
    found = verify_whole_store(store)
    assert (found.findings, found.orphans) == ((), ())
    assert plan.bytes > 0
    assert store.read_record(SWEEP) is None
    assert swept(store).objects == ()


def test_what_a_channel_serves_or_rolls_out_stays_however_old(store, chain):
    promote(store, "archive", chain[0], now=NOON, **SAID)
    plan = swept(store)
    assert names(plan) == set(chain[1:4])
    assert plan.kept[chain[0]] == "stable of archive"


def test_the_newest_lineages_stay_each_with_its_newest(store, chain, publish_tiny, retrained):
    other = publish_tiny(retrained)
    assert names(planned(store)) == set(chain[:4])
    assert names(planned(store, lineages=1)) == {*chain[:4], other.release_id}


def test_what_never_served_crowds_out_nothing_that_people_go_back_to(
    store, serving, publish_tiny, retrained, tmp_path
):
    champion = publish_tiny(retrained)
    promote(store, "production", champion.release_id, now=NOON, **SAID)
    for name, parent in (("first", serving), ("second", champion)):
        for hour in (2, 3, 4):  # increments that wait for ever
            when = NOON + timedelta(hours=hour)
            folder = tmp_path / f"{name}-{hour}"
            add = {f"{name}-doc-{hour}": f"word{hour}"}
            publish_increment(store, parent, folder, add=add, created_at=when)
    swept(store, lineages=2, releases=2)
    assert {serving.release_id, champion.release_id} < set(store.release_ids())
    assert rollback(store, "production", now=NOON, **SAID).stable == serving.release_id


def test_nothing_younger_than_the_grace_period_goes(store, chain):
    digest, _ = store.put_bytes(b"waste")
    week = timedelta(days=7)
    assert planned(store, grace=2 * week).objects == ()
    assert digest in {each.digest for each in planned(store).objects}
    young = planned(store, now=datetime.now(UTC))
    assert (young.releases, young.objects) == ((), ())  # every one has an object of just now


def test_what_a_channel_left_a_moment_ago_stays(store, chain):
    rollback(store, "production", to=chain[0], now=in_a_week(), **SAID)
    promote(store, "other", chain[2], now=in_a_week(), **SAID)
    assert names(planned(store)) == {chain[1], chain[3]}


def test_what_a_note_pins_stays_until_the_note_is_old(store, chain):
    waste, _ = store.put_bytes(b"being published")
    manifest_objects = tuple(verifyable(store, chain[0]))
    now = in_a_week()
    for age, goes in ((timedelta(hours=1), False), (timedelta(hours=49), True)):
        at = (now - age).isoformat().replace("+00:00", "Z")
        store.write_pending(PendingNote(1, "rel-" + "0" * 12, at, (waste, *manifest_objects)))
        plan = planned(store, now=now)
        assert (waste in {each.digest for each in plan.objects}) == goes
        assert (chain[0] in names(plan)) == goes
        assert plan.notes == (("rel-" + "0" * 12,) if goes else ())
    swept(store)
    assert store.pending_ids() == []


def verifyable(store, release_id):
    from perennial.release.channels.moves import read_kept

    return read_kept(store, release_id, key=None).objects()


def test_a_mask_stays_as_long_as_its_channel_names_it(store, serving, tmp_path):
    second = publish_increment(store, serving, tmp_path / "index", add={}, remove={"first-1"})
    promote(store, "production", second.release_id, now=NOON, **SAID)
    mask = rollback(store, "production", index=True, now=NOON, **SAID).mask
    swept(store)
    assert store.has(mask.digest)
    promote(store, "production", second.release_id, now=NOON, catch_up=True, **SAID)
    swept(store)
    assert not store.has(mask.digest)
    assert verify_store(store) == []


def test_debris_and_spent_maps_go(store, chain):
    debris = store.root / "objects" / ".half.0123.tmp"
    debris.write_bytes(b"half")
    write_forgotten(store, "rel-00000000000a", chain[0], at="2026-01-06T00:00:00Z")
    write_forgotten(store, "rel-00000000000b", chain[5], at="2026-01-06T00:00:00Z")
    plan = swept(store)
    assert plan.debris == ("objects/.half.0123.tmp",)
    assert not debris.exists()
    assert read_forgotten(store, "rel-00000000000a") is None
    assert read_forgotten(store, "rel-00000000000b").successor == chain[5]


@pytest.mark.parametrize("what", ["channels/production", "releases/", "pending/rel-00000000000a"])
def test_nothing_is_deleted_while_something_cannot_be_read(store, chain, what):
    (store.root / "pending").mkdir(exist_ok=True)
    name = f"{what}{chain[1]}.json" if what.endswith("/") else f"{what}.json"
    (store.root / name).touch()
    overwrite(store.root / name, b"{}")
    before = store.digests()
    with pytest.raises(IntegrityError):
        swept(store)
    assert store.digests() == before
    assert store.read_record(SWEEP) is None


class Clockwork:
    """Time that passes only when somebody sleeps."""

    def __init__(self):
        self.seconds, self.start = 0.0, in_a_week()

    def clock(self):
        return self.start + timedelta(seconds=self.seconds)

    def monotonic(self):
        return self.seconds

    def sleep(self, seconds):
        self.seconds += max(seconds, 1.0)

    @property
    def parts(self):
        return {"clock": self.clock, "monotonic": self.monotonic, "sleep": self.sleep}


def test_a_second_sweep_waits_for_the_first_and_then_works(store, chain):
    time, told = Clockwork(), []
    with pytest.raises(ZeroDivisionError), deleting(store, **time.parts):
        raise ZeroDivisionError
    assert store.read_record(SWEEP) is None  # a failed sweep lets go

    record = SweepRecord(1, "deleting", "2026-01-01T00:00:00Z", (), "dead long ago")
    store.swap_record(SWEEP, None, record.to_bytes())
    with deleting(store, say=told.append, **time.parts):
        assert (time.seconds, told) == (0, [])
    alive = SweepRecord(1, "deleting", time.clock().isoformat(), (), "killed just now")
    store.swap_record(SWEEP, None, alive.to_bytes())
    with deleting(store, say=told.append, **time.parts):
        assert LEASE.total_seconds() < time.seconds < LEASE.total_seconds() + 5
    assert len(told) == 1


def test_a_sweep_that_slept_too_long_stops_before_it_deletes(store, chain):
    time = Clockwork()
    with pytest.raises(Refused, match="stood still for 100 s"), deleting(store, **time.parts) as it:
        it.hold()
        first = store.read_record(SWEEP)
        time.sleep(LEASE.total_seconds() / 3)
        it.hold()
        assert store.read_record(SWEEP) != first  # renewed in time
        time.sleep(100)
        it.hold()


def test_of_two_sweeps_that_begin_at_once_one_is_refused(store, chain):
    time = Clockwork()
    with deleting(store, **time.parts) as first:
        store.swap_record(SWEEP, store.read_record(SWEEP), b"another's")
        time.sleep(LEASE.total_seconds() / 3)
        with pytest.raises(Refused, match="another sweep"):
            first.hold()
    assert store.read_record(SWEEP) == b"another's"


class Racing(LocalStore):
    """Right after `reads` looks at the sweep's record another sweep writes its own."""

    def __init__(self, root, *, reads, record):
        super().__init__(root)
        self.reads, self.record = reads, record

    def read_record(self, name):
        found = super().read_record(name)
        self.reads -= name == SWEEP
        if self.reads == 0:
            self.swap_record(SWEEP, found, self.record)
        return found


@pytest.mark.parametrize("is_there", [False, True])
def test_a_sweep_that_began_after_we_looked_is_never_taken_for_a_dead_one(store, chain, is_there):
    """Two at work, and whoever ends first would let publishers go on beside the other."""
    time = Clockwork()
    until = time.clock().isoformat()
    if is_there:  # the one that we wait for ends, and another begins
        alive = SweepRecord(1, "deleting", until, (), "first.1")
        store.swap_record(SWEEP, None, alive.to_bytes())
    begun = SweepRecord(1, "deleting", until, (), "second.1").to_bytes()
    racing = Racing(store.root, reads=1, record=begun)
    with pytest.raises(Refused, match="another sweep"), deleting(racing, **time.parts):
        raise AssertionError("it would delete now")
    assert store.read_record(SWEEP) == begun


def test_a_sweep_killed_after_any_deletion_leaves_a_clean_store_and_finishes_later(store, chain):
    wanted = names(planned(store))

    class Killed(BaseException):
        pass

    class Dying(type(store)):
        left = 0

        def spend(self):
            if Dying.left <= 0:
                raise Killed
            Dying.left -= 1

        def delete_manifest(self, release_id):
            self.spend()
            super().delete_manifest(release_id)

        def delete(self, digest):
            self.spend()
            super().delete(digest)

    day = timedelta(days=1)
    for life in range(5):
        Dying.left = 1
        with pytest.raises(Killed):
            sweep(Dying(store.root), clock=lambda: in_a_week() + life * day, **KEEP)  # noqa: B023
        assert verify_store(store) == []
    assert verify_whole_store(store).orphans != ()
    sweep(store, clock=lambda: in_a_week() + 10 * day, **KEEP)
    assert set(store.release_ids()) == set(chain) - wanted
    assert verify_whole_store(store).orphans == ()
