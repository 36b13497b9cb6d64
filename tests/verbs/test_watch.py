"""A look at a small company: quiet, with documents that wait, with a broken release; and memory."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small import CHECKOUT
from tiny_release import fast_folder, publish_folders, write_folders

from perennial.params.reading import load_params
from perennial.release.manifests.canonical import utc_text
from perennial.release.publishing.publish import promote
from perennial.release.stores.local import LocalStore
from perennial.release.watched import AskedFor, Behind, Watched, read_watched
from perennial.verbs.watching.shelf import Stock, behind
from perennial.verbs.watching.watch import look, quiet_now

NOON = datetime(2026, 2, 2, 12, tzinfo=UTC)


@pytest.fixture
def home(company, tmp_path):
    for name in ("source", "store"):
        shutil.copytree(company / name, tmp_path / name)
    shutil.copy(company / "params.yaml", tmp_path)
    return tmp_path


def look_at(home, now=datetime(2026, 1, 12, tzinfo=UTC), **changes):
    return look(
        LocalStore(home / "store"),
        "production",
        source=home / "source",
        cache=home / "cache",
        params=load_params(home / "params.yaml"),
        now=now,
        key=None,
        **changes,
    )


def add_documents(home, count):
    path = home / "source" / "catalogue.parquet"
    table = pq.read_table(path)
    more = table.slice(0, count).set_column(
        table.schema.get_field_index("doc_id"),
        table.schema.field("doc_id"),
        pa.array([f"new-{i}" for i in range(count)]),
    )
    pq.write_table(pa.concat_tables([table, more]), path)


@pytest.mark.slow
def test_a_quiet_company_needs_nothing_and_its_sentinels_are_remembered(home):
    found = look_at(home, now=datetime(2026, 1, 13, tzinfo=UTC))  # after a week, and a day's gap
    assert found.decision.outcome == "none"
    names = {each.signal.key for each in found.judged}
    assert {"log: requests", "sentinels", "index is behind", "dead rows"} <= names
    record, _ = read_watched(LocalStore(home / "store"), "production")
    assert 0 <= record.sentinels.recall <= 1
    assert record.asked is None and record.behind is None


@pytest.mark.slow
def test_documents_that_wait_ask_for_a_reindex_and_then_for_a_person(home):
    add_documents(home, 20)
    first = look_at(home)
    assert first.decision.outcome == "reindex"
    assert "20 of 170 documents" in " ".join(first.decision.reasons)
    later = look_at(home, now=datetime(2026, 1, 13, 2, tzinfo=UTC))
    assert later.decision.outcome == "page"
    assert "does not get through" in " ".join(later.decision.reasons)


@pytest.mark.slow
def test_a_release_that_cannot_be_opened_is_a_page(home):
    for path in (home / "store" / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"rotten")
    found = look_at(home)
    assert found.decision.outcome == "page"
    assert "cannot be opened" in found.decision.reasons[1]


@pytest.fixture
def broken():
    """A place with a store whose stable release cannot be opened."""
    with fast_folder() as place:
        store = LocalStore(place / "store")
        release = publish_folders(store, write_folders(place / "folders")).release_id
        promote(store, "production", release, now=NOON, why="better", who="test")
        for path in (place / "store" / "objects").rglob("*"):
            if path.is_file():
                path.chmod(0o644)
                path.write_bytes(b"rotten")
        shutil.copy(CHECKOUT / "params.yaml", place)
        yield place


def test_what_is_not_told_is_not_remembered(broken):
    store, lasts = LocalStore(broken / "store"), []

    def killed(found, last):
        raise KeyboardInterrupt

    def heard(answer):
        def tell(found, last):
            lasts.append((found.decision.outcome, last))
            return answer

        return tell

    with pytest.raises(KeyboardInterrupt):
        look_at(broken, tell=killed)
    assert read_watched(store, "production")[1] is None
    for answer in (False, True, True):
        look_at(broken, tell=heard(answer))
    assert lasts == [("page", "none"), ("page", "none"), ("page", "page")]


def asked(hours_ago):
    at = (NOON - timedelta(hours=hours_ago)).isoformat().replace("+00:00", "Z")
    return Watched(asked=AskedFor(at, at, {"novel queries": 0.3}))


@pytest.mark.parametrize(
    ("hours_ago", "accepted", "is_quiet"),
    [
        (2, None, True),  # it has its time
        (30, None, False),  # it never came
        (30, "2026-02-02T11:00:00Z", True),  # one took that log, whatever its gate said
        (30, "2026-01-30T11:00:00Z", False),  # that one was before it
        (24 * 29, "2026-02-02T11:00:00Z", False),  # the weeks before are others by now
        (-3, "2026-02-02T16:00:00Z", False),  # a clock that was wrong
    ],
)
def test_a_drift_is_quiet_while_a_retrain_answers_it(hours_ago, accepted, is_quiet):
    params = load_params(CHECKOUT / "params.yaml")
    found = quiet_now(asked(hours_ago), accepted, params, now=NOON)
    assert bool(found) is is_quiet
    assert quiet_now(Watched(), accepted, params, now=NOON) == {}


def test_what_comes_late_is_quiet_only_while_the_retrain_has_its_time():
    params = load_params(CHECKOUT / "params.yaml")
    early, late = (
        replace(watched, asked=replace(watched.asked, latecomers={"click success": 0.1}))
        for watched in (asked(2), asked(30))
    )
    taken = "2026-02-02T11:00:00Z"
    both = {"novel queries": 0.3, "click success": 0.1}
    assert quiet_now(early, None, params, now=NOON) == both
    assert quiet_now(late, taken, params, now=NOON) == {"novel queries": 0.3}


@pytest.mark.parametrize(("hours_ago", "hours_late"), [(5, 5), (-5, 0)])
def test_an_index_is_behind_since_it_was_seen_to_be_and_never_from_the_future(
    hours_ago, hours_late
):
    since = utc_text(NOON - timedelta(hours=hours_ago))
    stock = Stock(documents=(), changes=(), waiting=3)
    found = behind(Behind("rel-000000000000", since), stock, "rel-000000000000", now=NOON)
    assert found.since == utc_text(NOON - timedelta(hours=hours_late))
