"""Shadow on a tiny shop: what is replayed, what a service mirrored, and what clicks foretell."""

import csv
import json
import re
import time
from datetime import UTC, datetime

import pandas as pd
import pytest
from tiny_release import fast_folder
from tiny_shop import Shop, tiny_params

from perennial.data.tables import write_table
from perennial.quality.shadow import Shadow
from perennial.serving.mirror import Mirror
from perennial.serving.mirrored import MirroredFiles
from perennial.simulation.public import simulate_sessions
from perennial.simulation.searches import release_search
from perennial.verbs.simulate import habits
from perennial.workspace import Places, Workspace
from tasks.foretold import clicks_foretold
from tasks.notes import write_json, write_note
from tasks.releases import both_releases
from tasks.run import Run
from tasks.shadow import mirror_of, replay
from tasks.shadow_table import groups, numbers
from tasks.tracking import flattened

START = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def run():
    """A retrain after register: a champion, a candidate of another encoder, and the log."""
    with fast_folder() as place:
        shop = Shop(place)
        shop.open_with()
        places = Places.from_environment({"PERENNIAL_HOME": str(shop.root)})
        params = tiny_params(shop.root / "params.yaml")
        run = Run(Workspace(shop.root / "runs" / "one"), places, params, "production", "tracked")
        champion = run.workspace.snapshot / "champion" / "manifest.json"
        write_note(champion, shop.store.manifest_bytes(shop.channel().stable).decode())
        run.note("register", "candidate", {"release_id": shop.publish_full(lineage=2)})
        write_log(run, explore=0.5)
        write_judge(run, model="position")
        yield run


def write_log(run: Run, *, explore: float) -> None:
    """Words, each wished for together with one document, asked on the champion."""
    truth = pd.DataFrame(
        {
            "query": [f"word{i}" for i in range(30)],
            "doc_id": [f"doc-{i:03d}" for i in range(30)],
            "grade": 1,
        }
    )
    champion, _ = both_releases(run)
    simulate = run.params.simulate.model_copy(update={"explore": explore})
    log = simulate_sessions(
        release_search(champion), truth, sessions=600, start=START, days=1.0, results=10,
        habits=habits(simulate), seed=1, tag="t", channel="production", arm="stable",
        release_id=champion.release_id,
    )  # fmt: skip
    for name in ("requests", "impressions", "events"):
        write_table(getattr(log, name), run.workspace.log(name), table=name)


def write_judge(run: Run, *, model: str) -> None:
    """What judge leaves, as if it had found the truth."""
    folder = run.workspace.artifacts("judge")
    write_json(folder / "summary.json", {"model": model})
    with (folder / "propensities.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["rank", "propensity", "low", "high", "click_rate"])
        for rank in range(1, 11):
            look = rank**-0.5
            writer.writerow([rank, look, look - 0.02, look + 0.02, 0.1])


def test_logged_queries_are_asked_of_both_as_a_whole_and_by_how_often_they_are_asked(run):
    whole, by_frequency = replay(run, *both_releases(run))
    assert whole.queries == run.params.shadow.queries
    assert sum(alike.queries for alike in by_frequency.values()) == whole.queries
    assert 0 < whole.overlap.value < 1
    assert whole.score_shift.value is not None and whole.latency_ratio.value > 0
    assert len(whole.most_different) == run.params.shadow.examples


def test_what_a_service_mirrored_is_told_apart(run):
    champion, candidate = both_releases(run)
    assert mirror_of(run, champion, candidate) == (None, {})
    with Mirror(
        candidate.search_many, release_id=candidate.release_id, capacity=99, busy_share=1.0,
        keep=MirroredFiles(run.places.source / "mirrored"), again=champion.search_many,
    ) as mirror:  # fmt: skip
        for i in range(20):
            (answer,) = champion.search_many([f"word{i}"])
            mirror.offer(f"word{i}", answer, request_id=f"r{i}")
        while mirror.counts.compared < 20:
            time.sleep(0.001)
    alike, counts = mirror_of(run, champion, candidate)
    assert alike.queries == counts["compared"] == 20
    assert 0 < alike.overlap.value < 1 and alike.latency_ratio.n == 5


def test_clicks_are_foretold_of_a_candidate_that_shows_the_same_and_not_of_a_stranger(run):
    champion, candidate = both_releases(run)
    for estimate in clicks_foretold(run, champion, champion, k=10):
        assert estimate.silent is None and estimate.change.value == 0.0
        assert estimate.pages > 900 and 0.3 < estimate.explored / estimate.pages < 0.6
    for estimate in clicks_foretold(run, champion, candidate, k=10):
        assert "are needed" in estimate.silent and estimate.seen.value < 0.9


def test_clicks_by_position_need_people_who_look_at_ranks(run):
    write_judge(run, model="cascade")
    champion, _ = both_releases(run)
    place, position = clicks_foretold(run, champion, champion, k=10)
    write_judge(run, model="position")
    assert place.silent is None and "not known" in position.silent


def test_a_log_of_a_service_that_does_not_explore_foretells_nothing(run):
    write_log(run, explore=0.0)
    champion, _ = both_releases(run)
    found = clicks_foretold(run, champion, champion, k=10)
    write_log(run, explore=0.5)
    assert all("not explored" in estimate.silent for estimate in found)


def test_its_tables_have_a_row_per_group_and_its_numbers_names_that_a_tracker_takes(run):
    champion, candidate = both_releases(run)
    whole, by_frequency = replay(run, champion, candidate)
    clicks = clicks_foretold(run, champion, candidate, k=10)
    found = Shadow(whole, by_frequency, whole, {"offered": 3}, clicks).to_dict()
    named = [row["group"] for row in groups(found)]
    assert named == ["logged queries", *by_frequency, "live queries, mirrored"]
    assert all(row["overlap@10"]["n"] == row["queries"] for row in groups(found))
    json.dumps(found)
    names = [
        name.replace("@", "_at_")
        for name, value in flattened(numbers(found), "/")
        if isinstance(value, int | float)
    ]
    assert "replayed/zero_results/difference/high" in names and "mirror/offered" in names
    assert all(re.fullmatch(r"[\w\-. :/]+", name) for name in names)
