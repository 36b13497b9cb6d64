"""A look at a small company: quiet, with documents that wait, with a broken release; and memory."""

import shutil
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
from perennial.release.watched import Behind, read_watched
from perennial.verbs.watching.shelf import Stock, behind
from perennial.verbs.watching.watch import look

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


def served(home):
    """The log as a service would have written it."""
    for table in ("requests", "impressions", "events"):
        (part,) = (home / "source" / table).glob("*.parquet")
        day = part.parent / "date=2026-01-05"
        day.mkdir()
        part.rename(day / "serve-7-00c0ffee-00001.parquet")


@pytest.mark.slow
def test_a_quiet_company_needs_nothing_and_its_sentinels_are_remembered(home):
    served(home)
    found = look_at(home, now=datetime(2026, 1, 13, tzinfo=UTC))  # after a week, and a day's gap
    assert found.decision.outcome == "none"
    names = {each.signal.key for each in found.judged}
    assert {"log: requests", "sentinels", "index is behind", "dead rows"} <= names
    record, _ = read_watched(LocalStore(home / "store"), "production")
    assert 0 <= record.sentinels.recall <= 1
    assert record.asked is None and record.behind is None


@pytest.mark.slow
def test_an_import_is_looked_at_until_its_end_and_missed_in_the_end(home):
    early = look_at(home, now=datetime(2026, 1, 13, tzinfo=UTC))
    later = look_at(home, now=datetime(2026, 1, 14, tzinfo=UTC))
    assert early.decision.outcome == later.decision.outcome == "none"
    assert early.log_end == later.log_end < early.at
    missed = look_at(home, now=datetime(2026, 1, 20, tzinfo=UTC))
    assert missed.decision.outcome == "page"
    assert "imports do not come" in " ".join(missed.decision.reasons)


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


@pytest.mark.parametrize(("hours_ago", "hours_late"), [(5, 5), (-5, 0)])
def test_an_index_is_behind_since_it_was_seen_to_be_and_never_from_the_future(
    hours_ago, hours_late
):
    since = utc_text(NOON - timedelta(hours=hours_ago))
    stock = Stock(documents=(), changes=(), waiting=3)
    found = behind(Behind("rel-000000000000", since), stock, "rel-000000000000", now=NOON)
    assert found.since == utc_text(NOON - timedelta(hours=hours_late))
