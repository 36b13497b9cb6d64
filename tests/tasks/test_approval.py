"""An approval: by a named person, of one release and one table, and void once either changes."""

import base64
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from small import NOON, write_params

from perennial.data.tables import read_table
from perennial.errors import Refused
from perennial.release.stores.local import LocalStore
from perennial.report.review_view import approval_of
from perennial.verbs.bootstrap import bootstrap
from tasks.approval import (
    Answer,
    answer_of_review,
    answers_strangers,
    approved_by,
    check_reviewers,
    holds_for,
    is_beyond_loopback,
    standing,
)
from tasks.registry import MODEL, register_version, tag_version
from tasks.rollout import begun
from tasks.tracking import start_run, tracker

GATE, OTHER = "sha256:" + "ab" * 32, "sha256:" + "cd" * 32
NAMES = {"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": "secret"}


@pytest.fixture
def client(tracking_uri: str):
    return tracker(tracking_uri)


@pytest.fixture
def register(client, tracking_uri: str, tracking_home: Path, tmp_path: Path):
    run_id = start_run(
        tracking_uri, home=tracking_home, note=tmp_path / "run.json", name="a run", tags={}
    )

    def register(release_id: str, gate: str = GATE) -> str:
        tags = {"gate": gate}
        return register_version(client, run_id=run_id, release_id=release_id, tags=tags, page="#")

    return register


@pytest.mark.slow
def test_a_tag_approves_the_release_and_the_table_that_it_names_and_no_other(client, register):
    release = "rel-a00000000001"
    version = register(release)

    def answer(release_id: str = release, gate: str = GATE) -> Answer | None:
        return answer_of_review(client, version, release_id=release_id, gate=gate)

    for word in ("yes", GATE, "ab" * 6, release, approval_of(release, OTHER)):
        tag_version(client, version, {"reviewer": "Ada", "approved": word})
        assert answer() is None, word
    for word in (approval_of(release, GATE), f"{release}@{GATE}"):
        tag_version(client, version, {"approved": word})
        assert answer() == Answer(True, "Ada", "tag")
        assert answer(gate=OTHER) is None, "another table voids it"
        assert answer(release_id="rel-b00000000001") is None, "another release voids it"


@pytest.mark.slow
def test_the_alias_approves_what_the_tags_of_its_version_name(client, register):
    release = "rel-a00000000002"
    version = register(release)
    tag_version(client, version, {"reviewer": "Ada"})
    client.set_registered_model_alias(MODEL, "approved", version)
    ours = {"release_id": release, "gate": GATE}
    assert answer_of_review(client, version, **ours) == Answer(True, "Ada", "alias")
    assert answer_of_review(client, version, **{**ours, "gate": OTHER}) is None
    assert answer_of_review(client, version, **{**ours, "release_id": "rel-b00000000002"}) is None
    register(release, OTHER)  # the gate looked again: the page that Ada read is gone
    assert answer_of_review(client, version, **{**ours, "gate": OTHER}) is None


@pytest.mark.slow
def test_an_approval_without_a_name_waits_for_one_and_a_rejection_wins_without(client, register):
    release = "rel-a00000000003"
    version, ours = register(release), {"release_id": release, "gate": GATE}
    tag_version(client, version, {"approved": approval_of(release, GATE)})
    assert answer_of_review(client, version, **ours) is None
    tag_version(client, version, {"reviewer": " Ada  L. "})
    answer = answer_of_review(client, version, **ours)
    assert answer is not None and answer.reviewer == "Ada L."
    tag_version(client, version, {"rejected": "not on a Friday"})
    assert answer_of_review(client, version, **ours) == Answer(
        False, "Ada L.", "tag", "not on a Friday"
    )


@pytest.mark.slow
def test_a_rollout_begins_with_what_a_person_approved_or_a_reindex_of_it(
    client, register, tracking_uri
):
    release, lineage = "rel-a00000000005", "sha256:" + "05" * 32

    def ask(release_id: str = release) -> str:
        return approved_by(tracking_uri, release_id=release_id, lineage=lineage)

    with pytest.raises(Refused, match="not in the registry"):
        ask()
    version = register(release)
    tag_version(client, version, {"lineage": lineage})
    with pytest.raises(Refused, match="nobody approved"):
        ask()
    tag_version(client, version, {"reviewer": "Ada", "approved": approval_of(release, GATE)})
    assert ask() == ask("rel-b00000000005") == "Ada"
    register(release, OTHER)
    with pytest.raises(Refused, match="nobody approved"):
        ask()
    tag_version(client, version, {"reviewer": "Ada", "approved": approval_of(release, OTHER)})
    assert ask() == "Ada"
    tag_version(client, version, {"rejected": "it lost all German"})
    with pytest.raises(Refused, match=r"Ada rejected .*German"):
        ask()


@pytest.mark.slow
def test_a_rollout_ends_with_the_word_that_was_taken_back_and_holds_where_nobody_can_ask(
    client, register, tracking_uri
):
    release = "rel-a00000000006"
    about = {"release_id": release, "lineage": "sha256:" + "06" * 32}

    def outcome(uri: str = tracking_uri, **changes: str) -> str:
        return standing(uri, **about | changes).outcome

    version = register(release)
    tag_version(client, version, {"reviewer": "Ada", "approved": approval_of(release, GATE)})
    assert outcome() == "advance"
    assert outcome(release_id="rel-b00000000006") == "inconclusive", "it is in no registry"
    assert outcome("https://mlflow.invalid") == "inconclusive", "we have no name there"
    client.delete_model_version_tag(MODEL, version, "approved")
    assert outcome() == "rollback"
    tag_version(client, version, {"approved": approval_of(release, GATE)})
    assert outcome() == "advance"
    tag_version(client, version, {"rejected": "it lost all German"})
    assert outcome() == "rollback"


@pytest.mark.slow
def test_approving_the_next_by_the_alias_pauses_what_the_alias_approved(
    client, register, tracking_uri
):
    release = "rel-a00000000008"
    version, another = register(release), register("rel-b00000000008")
    about = {"release_id": release, "lineage": "sha256:" + "08" * 32}
    tag_version(client, version, {"reviewer": "Ada"})
    client.set_registered_model_alias(MODEL, "approved", version)
    assert standing(tracking_uri, **about).outcome == "advance"
    client.set_registered_model_alias(MODEL, "approved", another)
    paused = standing(tracking_uri, **about)
    assert paused.outcome == "inconclusive" and f"version {another} now" in paused.reasons[0]
    tag_version(client, version, {"rejected": "it lost all German"})
    assert standing(tracking_uri, **about).outcome == "rollback"
    client.delete_model_version_tag(MODEL, version, "rejected")
    client.delete_registered_model_alias(MODEL, "approved")
    assert standing(tracking_uri, **about).outcome == "rollback"


@pytest.mark.slow
def test_a_release_that_nobody_approved_does_not_roll_out(company, tmp_path, monkeypatch):
    home = tmp_path / "home"
    shutil.copytree(company, home)
    params = write_params(
        home / "params.yaml", {"gate": {"review": "required"}, "bootstrap": {"seed": 2}}
    )
    for name in ("STORE", "SOURCE", "RUNS", "CACHE", "SIGNING_KEY"):
        monkeypatch.delenv(f"PERENNIAL_{name}", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("PERENNIAL_HOME", str(home))
    store = LocalStore(home / "store")
    before = store.read_channel("production")
    candidate = bootstrap(
        catalogue=read_table(home / "source" / "catalogue.parquet"),
        params=params,
        store=store,
        channel="next",
        encoder=None,
        now=NOON,
        who="a test",
        key=None,
    ).release_id
    with pytest.raises(Refused, match="not in the registry"):
        begun.fn(home / "params.yaml", "production", candidate)
    assert store.read_channel("production") == before


def test_a_kept_approval_holds_for_its_release_and_table_only():
    kept = {"release_id": "rel-a00000000004", "gate": GATE, "reviewer": "Ada"}
    assert holds_for(kept, release_id="rel-a00000000004", gate=GATE)
    assert not holds_for(kept, release_id="rel-a00000000004", gate=OTHER)
    assert not holds_for(kept, release_id="rel-b00000000004", gate=GATE)
    assert not holds_for({}, release_id="rel-a00000000004", gate=GATE)


@pytest.mark.parametrize(
    ("uri", "beyond"),
    [
        ("sqlite:////data/mlflow.db", False),
        ("http://127.0.0.1:5000", False),
        ("http://[::1]:5000", False),
        ("http://localhost:5000", False),
        ("http://ada:secret@127.8.0.1:5000/prefix", False),
        ("https://mlflow.example", True),
        ("http://10.0.0.7:5000", True),
        ("http://127.0.0.1.example", True),
    ],
)
def test_what_others_can_reach_is_beyond_loopback(uri, beyond):
    assert is_beyond_loopback(uri) is beyond


@pytest.mark.parametrize(
    "env",
    [{}, {"MLFLOW_TRACKING_USERNAME": "ada"}, {"MLFLOW_TRACKING_PASSWORD": "x"}],
)
def test_a_tracker_beyond_this_machine_needs_our_name_and_password(env):
    with pytest.raises(Refused, match="MLFLOW_TRACKING_USERNAME") as caught:
        check_reviewers("https://mlflow.invalid", env)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "env"),
    [
        ("http://127.0.0.1:5000", {}),
        ("sqlite:////data/mlflow.db", {}),
        ("https://mlflow.invalid", NAMES),  # away: the tracker's own error says so
        ("https://mlflow.invalid", {"MLFLOW_TRACKING_TOKEN": "token"}),
        ("https://ada:secret@mlflow.invalid", {}),
    ],
)
def test_a_tracker_on_this_machine_or_with_a_name_may_be_asked_for_a_review(uri, env):
    check_reviewers(uri, env)


class Registry(BaseHTTPRequestHandler):
    """Shows its models to everybody, or to Ada alone."""

    is_open = True

    def do_GET(self) -> None:
        ada = "Basic " + base64.b64encode(b"ada:secret").decode()
        known = self.is_open or self.headers.get("Authorization") == ada
        self.send_response(200 if known else 401)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_) -> None:
        pass


@pytest.mark.parametrize("is_open", [True, False])
def test_a_server_that_answers_strangers_is_told_from_one_that_asks_who_they_are(is_open):
    handler = type("Registry", (Registry,), {"is_open": is_open})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            uri = f"http://127.0.0.1:{server.server_port}"
            assert answers_strangers(uri) is is_open
        finally:
            server.shutdown()
            thread.join()
    assert not answers_strangers(uri), "a server that is away answers nobody"
