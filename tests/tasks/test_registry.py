"""The registry: one version per release, aliases that mirror the channel, and a person's answer."""

from pathlib import Path

import pytest

from tasks.registry import (
    MODEL,
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

    def register(release_id: str, gate: str = GATE, page: str = "#") -> str:
        tags = {"gate": gate, "decision": "promote"}
        return register_version(client, run_id=run_id, release_id=release_id, tags=tags, page=page)

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


def test_a_release_whose_gate_has_another_table_gets_its_page_and_loses_the_approved_alias(
    client, register
):
    version = register("rel-000000000010", page="the old table")
    client.set_registered_model_alias(MODEL, "approved", version)
    tag_version(client, version, {"reviewer": "ada", "approved": "the old table"})
    assert register("rel-000000000010", page="unread") == version
    assert aliases(client)["approved"] == version, "the same table is the same page"
    other = "sha256:" + "cd" * 32
    assert register("rel-000000000010", gate=other, page="the new table") == version
    found = client.get_model_version(MODEL, version)
    assert (found.tags["gate"], found.description) == (other, "the new table")
    assert "approved" not in aliases(client)
    assert not {"reviewer", "approved"} & found.tags.keys(), "another may read the new one"
