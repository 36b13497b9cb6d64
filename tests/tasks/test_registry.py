"""The registry: one version per release, aliases that mirror the channel, and a person's answer."""

from pathlib import Path

import pytest

from tasks.registry import (
    MODEL,
    answer_of_review,
    point_aliases,
    register_version,
    tag_version,
)
from tasks.tracking import start_run, tracker

pytestmark = pytest.mark.slow
GATE = "sha256:" + "ab" * 32


@pytest.fixture
def client(tracking_uri: str):
    return tracker(tracking_uri)


@pytest.fixture
def register(client, tracking_uri: str, tracking_home: Path, tmp_path: Path):
    run_id = start_run(
        tracking_uri, home=tracking_home, note=tmp_path / "run.json", name="a run", tags={}
    )

    def register(release_id: str) -> str:
        tags = {"gate": GATE, "decision": "promote"}
        return register_version(client, run_id=run_id, release_id=release_id, tags=tags, page="#")

    return register


def aliases(client) -> dict[str, str]:
    return {k: str(v) for k, v in client.get_registered_model(MODEL).aliases.items()}


def test_a_release_has_one_version_however_often_it_is_registered(client, register):
    version = register("rel-00000000000a")
    assert register("rel-00000000000a") == version
    assert register("rel-00000000000b") != version
    found = client.get_model_version(MODEL, version)
    assert found.tags["release_id"] == "rel-00000000000a"
    assert found.source.endswith("/encoder")


def test_aliases_say_what_the_channel_says(client, register):
    one, two = register("rel-00000000000c"), register("rel-00000000000d")
    assert aliases(client)["candidate"] == two
    point_aliases(client, champion="rel-00000000000c", candidate="rel-00000000000d")
    assert (aliases(client)["champion"], aliases(client)["candidate"]) == (one, two)
    point_aliases(client, champion="rel-00000000000d", candidate=None)
    assert aliases(client)["champion"] == two
    assert "candidate" not in aliases(client)


def test_a_champion_that_was_never_registered_has_no_alias(client, register):
    register("rel-00000000000e")
    point_aliases(client, champion="rel-00000000000e", candidate=None)
    point_aliases(client, champion="rel-ffffffffffff", candidate=None)
    assert "champion" not in aliases(client)


def test_a_reindexed_champion_is_the_version_of_its_encoder(client, register):
    version = register("rel-00000000000f")
    tag_version(client, version, {"lineage": "sha256:0f"})
    reindexed = {"rel-eeeeeeeeeeee": "sha256:0f"}
    point_aliases(client, champion="rel-eeeeeeeeeeee", candidate=None, lineages=reindexed)
    assert aliases(client)["champion"] == version


def test_only_the_gate_table_that_was_read_is_approved(client, register):
    version = register("rel-000000000010")
    assert answer_of_review(client, version, GATE) is None
    tag_version(client, version, {"approved": "cdcdcdcdcdcd"})
    assert answer_of_review(client, version, GATE) is None
    tag_version(client, version, {"approved": "abababababab"})
    assert answer_of_review(client, version, GATE) is True


def test_the_alias_approves_only_the_table_that_its_version_names(client, register):
    version = register("rel-000000000011")
    client.set_registered_model_alias(MODEL, "approved", version)
    assert answer_of_review(client, version, GATE) is True
    assert answer_of_review(client, version, "sha256:" + "cd" * 32) is None


def test_a_rejection_wins_over_an_approval(client, register):
    version = register("rel-000000000012")
    tag_version(client, version, {"approved": GATE, "rejected": "not on a Friday"})
    assert answer_of_review(client, version, GATE) is False
