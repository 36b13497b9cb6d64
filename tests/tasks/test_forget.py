"""Artifacts of retrains that name a forgotten session go; whatever else a server keeps stays."""

import json

import pytest
from prefect.logging import disable_run_logger

from flows.forget import main
from perennial.release.audit import read_deeds
from perennial.release.stores.local import LocalStore
from perennial.verbs.forgetting.forget import seek_session
from perennial.verbs.forgetting.journal import journal_of
from perennial.workspace import Places
from tasks.forget import forget_artifacts
from tasks.tracking import EXPERIMENT, tracker

TAGS = {"snapshot": "sha256:1", "workspace": "/runs/1", "champion": "rel-1"}
OWN = "where does Jörg keep his notes"


@pytest.mark.slow
def test_pages_and_tables_go_and_weights_are_not_looked_at(
    tmp_path, make_world, monkeypatch, capsys
):
    home = tmp_path / "home"
    tracking_uri = (
        f"sqlite:///{tmp_path / 'tracking.db'}"  # its own: it makes the experiment itself
    )
    world = make_world()
    world.frame("requests").loc[3, "query"] = OWN
    session = world.frame("requests").loc[3, "session_id"]
    world.write_source(home / "source")
    monkeypatch.setenv("PERENNIAL_HOME", str(home))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
    client = tracker(tracking_uri)
    kept = (tmp_path / "a server's").as_uri()
    experiment = client.create_experiment(EXPERIMENT, artifact_location=kept)
    of_run = client.create_run(experiment, tags=TAGS).info.run_id
    others = client.create_experiment("elsewhere", artifact_location=(tmp_path / "theirs").as_uri())
    theirs = [client.create_run(others, tags=TAGS), client.create_run(experiment)]
    made = tmp_path / "made"
    for name, said in {
        "review.html": f"<td>{OWN}</td>",
        "gate.json": json.dumps({"query": "another"}),
        "encoder/tokenizer.json": json.dumps([OWN]),
    }.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(said)
    client.log_artifacts(of_run, str(made), "pages")
    client.log_artifact(of_run, str(home / "source" / "requests" / "part-0000.parquet"))
    for each in theirs:
        client.log_artifact(each.info.run_id, str(made / "review.html"), "theirs")
    client.delete_run(of_run)  # kept by the tracker all the same
    places = Places.from_environment()
    store = LocalStore(home / "store")
    monkeypatch.chdir(tmp_path)
    assert main(["--session", session, "--dry-run", "--json"]) == 0
    shown = capsys.readouterr()
    assert shown.err.count("of the tracker would go") == 2 and json.loads(shown.out)["plan"]
    assert len(_left(tmp_path)) == 6 and not (home / "forgetting").exists()
    seek_session(session, places=places, store=store, here=home, session_key=None, key=None)
    with disable_run_logger():
        assert forget_artifacts.fn(journal_of(home, session)) == 2
    assert _left(tmp_path) == ["gate.json", "review.html", "review.html", "tokenizer.json"]
    assert read_deeds(store, key=None) == []


def _left(folder):
    kept = (path for name in ("a server's", "theirs") for path in (folder / name).rglob("*"))
    return sorted(path.name for path in kept if path.is_file())
