"""Whatever happens to a channel, in whatever order, its reader answers as brute force over a dict
does; nothing in the store is ever wrong, and what was deleted or forgotten does not come back."""

import os
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from proofs.catalogue_machine import (
    SLICES,
    Documents,
    Encoders,
    Held,
    Place,
    assert_true_answers,
    assert_true_words,
    in_years,
    make_documents,
)
from tiny_release import WORDS, fast_folder

from perennial.errors import Refused
from perennial.release.channels.mask import read_mask
from perennial.release.forgetting.forget import forget
from perennial.release.forgetting.traces import Traces, scan_folder
from perennial.release.publishing.publish import resume, rollback
from perennial.release.stores.local import LocalStore
from perennial.release.sweeping.sweep import sweep
from perennial.release.verify import verify_whole_store

FIRST = 24
LIVES = int(os.environ.get("LIVES", "0"))
CODES = 0.5  # they cut what lies outside of the range that 24 documents trained
QUERIES = ("word3", "word10 word17", "word59 word1", "word0")
LINEAGES = st.integers(1, 3)
WORD = st.integers(0, WORDS - 1).map(lambda i: f"word{i}")
TEXT = st.tuples(WORD, WORD).map(" ".join)
SLICE = st.sampled_from(SLICES)
SAID = {"why": "because", "who": "test"}


class Life(RuleBasedStateMachine):
    """`catalogue` is what the shop has now, `releases` what each release was made of, and
    `standing` the releases that stable stands on; a channel is told by stable, candidate, hold and
    what it hides."""

    factory, encoders = "Flat", None

    def __init__(self) -> None:
        super().__init__()
        self.folder = fast_folder()
        root = self.folder.__enter__()
        self.place = Place(root, LocalStore(root / "store"), self.encoders, self.factory)
        self.releases: dict[str, Held] = {}
        self.catalogue: Documents = make_documents(range(FIRST))
        self.numbers = FIRST
        self.standing: list[str] = []
        self.served: list[str] = []
        self.stable, self.candidate, self.is_held = "", None, False
        self.hidden: set[str] = set()
        self.mask_watermark: str | None = None
        self.successors: dict[str, str] = {}
        self.forgotten: set[str] = set()
        self.indexed: set[tuple[int, str, str]] = set()  # lineage, doc_id, text of every row

    def teardown(self) -> None:
        self.place.close()
        self.folder.__exit__(None, None, None)

    @initialize(lineage=LINEAGES)
    def bootstrap(self, lineage: int) -> None:
        release_id = self.publish(lineage)
        self.place.promote(release_id)
        self.moved(release_id)
        self.place.open_reader(fresh=True)

    # what the shop does

    @rule(texts=st.lists(st.tuples(TEXT, SLICE), min_size=1, max_size=6))
    def add(self, texts: list[tuple[str, str | None]]) -> None:
        for text in texts:
            self.catalogue[f"document-{self.numbers:05d}"] = text
            self.numbers += 1

    @rule(data=st.data(), texts=st.lists(TEXT, min_size=1, max_size=4))
    def change(self, data: st.DataObject, texts: list[str]) -> None:
        for text in texts:
            name = self.any_document(data)
            self.catalogue[name] = (text, self.catalogue[name][1])

    @rule(data=st.data(), slice_=SLICE)
    def slice_anew(self, data: st.DataObject, slice_: str | None) -> None:
        name = self.any_document(data)
        self.catalogue[name] = (self.catalogue[name][0], slice_)

    @precondition(lambda self: len(self.catalogue) > 12)
    @rule(data=st.data(), count=st.integers(1, 5))
    def delete(self, data: st.DataObject, count: int) -> None:
        for _ in range(count):
            del self.catalogue[self.any_document(data)]

    @rule(data=st.data())
    def bring_back(self, data: st.DataObject) -> None:
        known = {
            name: text for held in self.releases.values() for name, text in held.documents.items()
        }
        if gone := sorted(known.keys() - self.catalogue.keys()):
            name = data.draw(st.sampled_from(gone))
            self.catalogue[name] = known[name]

    # what the loop does

    @rule(
        catch_up=st.booleans(),
        fanout=st.integers(2, 4),
        max_segments=st.integers(1, 4),
        max_dead_share=st.sampled_from([0.1, 0.5, 1.0]),
        max_imbalance_growth=st.sampled_from([1.0, 1000.0]),
    )
    def reindex(self, catch_up: bool, **limits: float) -> None:
        before = self.place.channel()
        watermark = self.place.export(self.catalogue)
        done = self.place.reindex(settings=limits, catch_up=catch_up)
        if self.is_held and not catch_up:
            assert done.decision.outcome == "inconclusive"
            assert self.place.channel() == before
            return
        sides = {"stable": self.stable, "candidate": self.candidate}
        stale = {
            role
            for role, each in sides.items()
            if each is not None and self.releases[each].documents != self.catalogue
        }
        if not stale and before.mask is None:
            assert done.decision.outcome == "none"
            assert self.place.channel() == before
            return
        assert done.decision.outcome == "promote", done.decision.reasons
        due = stale if before.mask is None else {role for role, each in sides.items() if each}
        assert {side.role for side in done.sides} == due
        for side in done.sides:
            assert side.segments <= limits["max_segments"]
            old = self.releases[side.parent]
            made = replace(
                old, documents=dict(self.catalogue), watermark=watermark, created_at=self.place.now
            )
            self.remember(side.release_id, made)
        made = {side.role: side.release_id for side in done.sides}
        if self.candidate is not None:
            self.candidate = made.get("candidate", self.candidate)
        self.moved(made.get("stable", self.stable), candidate=self.candidate)

    @rule(lineage=LINEAGES, roll_out=st.booleans())
    def retrain(self, lineage: int, roll_out: bool) -> None:
        release_id = self.publish(lineage)
        if self.is_held or self.candidate is not None:
            with pytest.raises(Refused):
                self.place.promote(release_id)
        elif roll_out and release_id != self.stable:
            self.place.roll_out(release_id)
            self.candidate = release_id
        else:
            self.promoted(release_id)

    @precondition(lambda self: self.candidate is not None)
    @rule()
    def finish_the_rollout(self) -> None:
        if self.releases[self.candidate].watermark < self.releases[self.stable].watermark:
            with pytest.raises(Refused, match="older than"):
                self.place.promote(self.candidate)
        else:
            self.promoted(self.candidate)

    # what people do

    @rule(index=st.booleans())
    def roll_back(self, index: bool) -> None:
        lineage, before = self.releases[self.stable].lineage, self.place.channel()
        if self.candidate is not None and not index:  # only that goes
            after = rollback(self.place.store, "production", now=self.place.tick(), **SAID)
            assert (after.stable, after.candidate) == (self.stable, None)
            self.candidate, self.is_held = None, True
            return
        earlier = [self.today(each) for each in self.standing[:-1]]
        possible = [
            each
            for each in earlier
            if each in self.releases.keys() - {self.stable}
            and (self.releases[each].lineage == lineage) == index
        ]
        try:
            after = rollback(
                self.place.store, "production", index=index, now=self.place.tick(), **SAID
            )
        except Refused:
            assert not possible
            assert self.place.channel() == before
            return
        assert (self.releases[after.stable].lineage == lineage) == index
        if not index:  # what the history left out is only looked for within a lineage
            assert after.stable == possible[-1]
        self.went_back(after.stable)

    @rule(data=st.data())
    def roll_back_to(self, data: st.DataObject) -> None:
        others = sorted(self.releases.keys() - {self.stable})
        if others:
            target = data.draw(st.sampled_from(others))
            rollback(self.place.store, "production", to=target, now=self.place.tick(), **SAID)
            self.went_back(target)

    @precondition(lambda self: self.is_held)
    @rule()
    def resume(self) -> None:
        store = self.place.store
        resume(store, "production", reason="fixed", now=self.place.tick(), who="test")
        self.is_held = False

    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        known = {name for held in self.releases.values() for name in held.documents}
        if any(len(held.documents) < 5 for held in self.releases.values()):
            return  # of a release with no other document it is refused
        name = data.draw(st.sampled_from(sorted(known)))
        own = {self.vector_of(*each) for each in self.indexed if each[1] == name}
        others = {self.vector_of(*each) for each in self.indexed if each[1] != name}
        self.catalogue.pop(name, None)
        done = forget(
            self.place.store,
            [name],
            who="test",
            clear_caches=self.place.clear_caches,
            pending=timedelta(hours=48),
            clock=self.place.tick,
        )
        assert done.in_flight == ()
        assert done.hits == {}
        for each in done.releases:
            held = self.releases.pop(each.release_id)
            rest = {n: text for n, text in held.documents.items() if n != name}
            self.releases[each.successor] = replace(held, documents=rest)
            self.successors[each.release_id] = each.successor
        assert self.releases.keys() == set(self.place.store.release_ids())
        assert not any(name in held.documents for held in self.releases.values())
        self.forgotten.add(name)
        if self.stable in self.successors:
            self.standing.append(self.today(self.stable))
            self.served.append(self.today(self.stable))
        self.stable, self.hidden = self.today(self.stable), self.hidden - {name}
        self.candidate = None if self.candidate is None else self.today(self.candidate)
        if not self.factory.endswith("SQ8"):  # of codes, which are no vectors, its own scan tells
            # The references are these words', whatever the shop has.
            others |= {self.vector_of(n, name, f"word{i}") for n in (1, 2, 3) for i in range(5)}
            assert not scan_folder(self.place.root / "store", Traces((), own - others))

    @rule(releases=st.integers(1, 3), lineages=st.integers(1, 2), is_later=st.booleans())
    def sweep(self, releases: int, lineages: int, is_later: bool) -> None:
        limits = {"grace": timedelta(hours=1), "pending": timedelta(hours=48)}
        clock = {"clock": in_years} if is_later else {}
        done = sweep(self.place.store, releases=releases, lineages=lineages, **limits, **clock)
        gone = {each.release_id for each in done.releases}
        assert self.releases.keys() - gone == set(self.place.store.release_ids())
        if not is_later:
            assert (gone, done.objects) == (set(), ())
            return
        assert gone == self.releases.keys() - self.kept(releases, lineages)
        assert verify_whole_store(self.place.store).orphans == ()
        for release_id in gone:
            del self.releases[release_id]

    # what machines do

    @rule(fresh=st.booleans())
    def restart_the_reader(self, fresh: bool) -> None:
        self.place.open_reader(fresh=fresh)

    @invariant()
    def the_reader_answers_as_brute_force_does(self) -> None:
        if not self.stable:
            return
        searcher = self.place.searcher
        searcher.refresh()
        assert searcher.problem is None
        assert searcher.release.release_id == self.stable
        held = self.releases[self.stable]
        shown = {n: text for n, text in held.documents.items() if n not in self.hidden}
        query = QUERIES[self.place.now.hour % len(QUERIES)]
        for slice_ in (*SLICES, "nobody's"):
            assert_true_answers(
                searcher,
                self.encoders.brute_force(held.lineage, shown, query, slice_),
                query,
                slice_,
                tolerance=CODES if self.factory.endswith("SQ8") else 1e-5,
                is_exact=self.factory == "Flat",
            )
        assert_true_words(searcher, shown, query)

    @invariant()
    def the_store_and_the_channel_are_as_the_model_says(self) -> None:
        if not self.stable:
            return
        assert verify_whole_store(self.place.store).findings == ()
        assert self.place.store.pending() == []
        channel = self.place.channel()
        found = channel.candidate.release_id if channel.candidate else None
        assert (channel.stable, found) == (self.stable, self.candidate)
        assert (channel.hold is not None) == self.is_held
        assert set(read_mask(self.place.store, channel.mask)) == self.hidden
        assert list(channel.standing()) == self.standing

    @invariant()
    def forgotten_documents_are_in_no_byte(self) -> None:
        if self.forgotten:
            traces = Traces(tuple(sorted(self.forgotten)), frozenset())
            for folder in ("store", "cache"):
                assert scan_folder(self.place.root / folder, traces) == {}

    # the model

    def today(self, release_id: str) -> str:
        """The release that stands for this one since a document was forgotten."""
        while release_id in self.successors:
            release_id = self.successors[release_id]
        return release_id

    def vector_of(self, lineage: int, name: str, text: str) -> bytes:
        return self.encoders.vector(lineage, text).tobytes()

    def remember(self, release_id: str, held: Held) -> None:
        self.releases[release_id] = held
        self.indexed |= {(held.lineage, name, text) for name, (text, _) in held.documents.items()}

    def any_document(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.catalogue)))

    def publish(self, lineage: int) -> str:
        release_id, held = self.place.publish(lineage, self.catalogue)
        self.remember(release_id, held)
        return release_id

    def promoted(self, release_id: str) -> None:
        self.place.promote(release_id)
        watermark = self.releases[release_id].watermark
        is_newer = self.mask_watermark is None or watermark > self.mask_watermark
        self.moved(release_id, hidden=set() if is_newer else self.hidden)

    def moved(
        self, release_id: str, *, candidate: str | None = None, hidden: set[str] = frozenset()
    ) -> None:
        if release_id in self.standing:
            del self.standing[self.standing.index(release_id) :]
        self.standing.append(release_id)
        self.served.append(release_id)
        self.stable, self.candidate, self.hidden = release_id, candidate, set(hidden)
        self.mask_watermark = self.mask_watermark if hidden else None

    def went_back(self, release_id: str) -> None:
        """Hidden is what was deleted by the newest catalogue that the channel knew; where that is
        swept, what it did not show just before."""
        latest_first = [e for e in dict.fromkeys(reversed(self.served)) if e not in self.standing]
        away = [self.today(each) for each in latest_first[:8]]
        known = [self.stable, *(each for each in away if each in self.releases)]
        newest = max(known, key=lambda e: (self.releases[e].watermark, self.releases[e].created_at))
        target, latest = self.releases[release_id], self.releases[newest]
        hidden, mask = set(), self.mask_watermark or ""
        if mask > max(target.watermark, latest.watermark):
            hidden |= target.documents.keys() - self.releases[self.stable].documents.keys()
        elif release_id != newest and target.watermark <= latest.watermark:
            hidden |= target.documents.keys() - latest.documents.keys()
        if target.watermark <= mask:
            hidden |= self.hidden & target.documents.keys()
        self.mask_watermark = max([mask, *(self.releases[each].watermark for each in known)])
        self.moved(release_id, hidden=hidden)
        self.is_held = True

    def kept(self, releases: int, lineages: int) -> set[str]:
        """The newest of the newest lineages, by their newest release; the same of what stable
        stands on; and what is served."""
        age = {each: (held.created_at, each) for each, held in self.releases.items()}
        kept = {self.stable, self.candidate}
        stood = (self.today(each) for each in reversed(self.standing))
        for names in (sorted(age, key=age.__getitem__, reverse=True), dict.fromkeys(stood)):
            newest: dict[int, list[str]] = {}
            for each in names:
                if each in self.releases:
                    newest.setdefault(self.releases[each].lineage, []).append(each)
            for found in list(newest.values())[:lineages]:
                kept.update(found[:releases])
        return kept & self.releases.keys()


@pytest.fixture(scope="module")
def encoders():
    with fast_folder() as place:
        yield Encoders(place)


@pytest.fixture
def live(encoders, monkeypatch):
    """Lives a machine of a factory; lists and graphs are made of a few rows already."""
    monkeypatch.setattr("perennial.index.factory.ROWS_PER_CENTROID", 4)
    monkeypatch.setattr("perennial.index.factory.FEW_HNSW_ROWS", 8)

    def run(factory, *, examples, steps, **options):
        life = type("Life", (Life,), {"factory": factory, "encoders": encoders})
        slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
        run_state_machine_as_test(
            life,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=slow,
                **options,
            ),
        )

    return run


def test_a_short_life_of_a_channel_is_as_its_model_says(live):
    live("IVF2,Flat", examples=1, steps=8, derandomize=True)


@pytest.mark.slow
@pytest.mark.parametrize("factory", ["Flat", "IVF3,Flat", "IVF2,SQ8", "HNSW8"])
def test_any_life_of_a_channel_is_as_its_model_says(factory, live):
    """The same lives in every run; `make lives` lives many more, others each time."""
    live(factory, examples=LIVES or 12, steps=40)
