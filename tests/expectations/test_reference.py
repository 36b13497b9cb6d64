"""From one accepted log to the next: what a snapshot froze is what validate compares with."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from small import snapshot_into, write_params

from perennial.errors import TableInvalid
from perennial.model.digest import directory_digest
from perennial.release.accepted import read_accepted
from perennial.release.stores.local import LocalStore
from perennial.verbs.accept import accept_log
from perennial.workspace import Workspace

pytestmark = pytest.mark.slow


@dataclass
class Home:
    """A source, a store with a champion, and what a person does with them."""

    root: Path
    world: object

    @property
    def store(self):
        return LocalStore(self.root / "store")

    def snapshot(self, name):
        """A workspace of what the world is now."""
        shutil.rmtree(self.root / "source", ignore_errors=True)
        self.world.write_source(self.root / "source")
        workspace = Workspace(self.root / name)
        params = write_params(workspace.params)
        snapshot_into(self.root, workspace.snapshot, params)
        return workspace

    def retrain(self, name):
        """Snapshot, validate and, if that passes, accept; the warnings by promise."""
        from expectations.__main__ import validate

        workspace = self.snapshot(name)
        summary = validate(workspace)
        accept_log(workspace, self.store, "production")
        return {each["promise"].partition(",")[0]: each for each in summary["warnings"]}

    def keep(self, wanted):
        """Only the requests for which `wanted(requests)` holds, and what belongs to them."""
        requests = self.world.frame("requests")
        last = requests["ts"] == requests["ts"].max()  # the window's end stays where it is
        ids = set(requests.loc[wanted(requests) | last, "request_id"])
        for table in ("requests", "impressions", "events"):
            frame = self.world.frame(table)
            self.world.tables[table] = frame[frame["request_id"].isin(ids)].reset_index(drop=True)

    def frozen(self, name):
        """The snapshot that a workspace is compared with; None where there is none."""
        return json.loads((self.root / name / "snapshot" / "accepted.json").read_bytes())[
            "snapshot"
        ]

    def digest(self, name):
        return json.loads((self.root / name / "snapshot" / "snapshot.json").read_bytes())["digest"]


@pytest.fixture
def home(company, make_world, tmp_path):
    shutil.copytree(company / "store", tmp_path / "store")
    return Home(tmp_path, make_world(documents=150, queries=100, requests=3000))


def halved(requests):
    """Four in ten requests of the days from the 8th on."""
    late = requests["ts"].dt.strftime("%Y-%m-%d") >= "2026-01-08"
    return ~late | (requests["request_id"].str[-1].astype(int) < 4)


def test_volume_that_falls_by_half_warns_against_the_last_accepted_log(home):
    assert home.retrain("one") == {}
    assert home.frozen("one") is None
    home.keep(halved)
    (warned,) = home.retrain("two").values()
    assert home.frozen("two") == home.digest("one")
    assert warned["promise"].startswith("a day must have as many requests as when a snapshot was")
    assert {row["day"] for row in warned["sample"]} >= {"2026-01-08", "2026-01-09"}
    assert warned["count"] == 3, "from the 8th to the 10th; the 11th is not whole"


def test_a_refused_log_is_never_the_reference(home):
    home.retrain("one")
    written = home.store.read_record("accepted/production")
    healthy = home.world.frame("catalogue").copy()
    home.world.frame("catalogue").loc[1, "doc_id"] = healthy.loc[0, "doc_id"]
    home.keep(halved)
    with pytest.raises(TableInvalid):
        home.retrain("two")
    assert home.store.read_record("accepted/production") == written

    home.world.tables["catalogue"] = healthy
    assert len(home.retrain("three")) == 1
    assert home.frozen("three") == home.digest("one"), "and not the refused one's"
    assert read_accepted(home.store, "production").newest.snapshot == home.digest("three")


def test_the_same_log_gives_the_same_bytes_before_and_after_it_is_accepted(home):
    home.retrain("one")
    home.retrain("again")
    home.keep(lambda requests: requests["ts"].dt.strftime("%Y-%m-%d") != "2026-01-08")
    home.retrain("two")
    home.retrain("two again")
    for first, second in (("one", "again"), ("two", "two again")):
        one, other = (home.root / name / "snapshot" for name in (first, second))
        assert directory_digest(one) == directory_digest(other)
    assert home.frozen("two again") == home.digest("one") != home.digest("two")


GERMAN = "wie sortiere ich eine lange liste nach der größe ihrer zahlen"
ENGLISH = "how to sort a long list of numbers by the size of each one"


def test_people_of_another_language_warn_and_few_queries_say_that_nobody_can_tell(home):
    from expectations.__main__ import judge

    requests = home.world.frame("requests")
    number = requests["request_id"].str[-1]
    requests["query"] = ENGLISH + " " + number
    home.retrain("one")
    requests["query"] = ENGLISH + " " + number
    requests.loc[number.astype(int) < 3, "query"] = GERMAN + " " + number
    (warned,) = home.retrain("two").values()
    assert warned["promise"].startswith("at most 20% of queries may have moved to other languages")
    assert warned["sample"][0]["moved"] == pytest.approx(0.3, abs=0.05)

    home.keep(lambda requests: requests["request_id"].str[-3:] == "000")
    _, findings = judge(home.snapshot("few"))
    (spoken,) = [each for each in findings.outcomes if "other languages" in each.must]
    assert spoken.kept is None and "too few queries tell" in spoken.because
