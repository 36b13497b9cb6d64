"""The MLflow run of a retrain: its parameters, metrics with intervals, live curves and pages."""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

from tasks.notes import write_json
from tasks.world import without_password

EXPERIMENT = "retrain"
MAX_METRICS, MAX_PARAMS, MAX_CHARACTERS = 1000, 100, 500  # of one batch; of one value


@cache
def tracker(uri: str) -> MlflowClient:
    """The client of a tracking server or of a local database, made where it is missing."""
    if _is_local(uri):
        path = Path(uri.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()  # MLflow would try for two minutes to open what it cannot
    return MlflowClient(uri)


def where_to_look(uri: str) -> str:
    """What a person opens: the address without its password, or a command for a local database."""
    return f"mlflow ui --backend-store-uri {uri}" if _is_local(uri) else without_password(uri)


def start_run(uri: str, *, home: Path, note: Path, name: str, tags: Mapping[str, str]) -> str:
    """The run's id: a new run, or the one that `note` remembers from before an interruption."""
    client = tracker(uri)
    if note.exists():
        remembered = json.loads(note.read_text())
        if remembered.get("tracker") == _name(uri) and _exists(client, remembered["run_id"]):
            client.update_run(remembered["run_id"], status="RUNNING")
            return str(remembered["run_id"])
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        # A server keeps its artifacts where it was told to.
        artifacts = (home / "mlflow" / "artifacts").as_uri() if _is_local(uri) else None
        experiment_id = client.create_experiment(EXPERIMENT, artifact_location=artifacts)
    else:
        experiment_id = experiment.experiment_id
    run_id = str(client.create_run(experiment_id, run_name=name, tags=dict(tags)).info.run_id)
    write_json(note, {"format_version": 1, "tracker": _name(uri), "run_id": run_id})
    return run_id


def log_params(uri: str, run_id: str, sections: Mapping[str, Any]) -> None:
    """params.yaml, flattened to dotted names."""
    pairs = [
        Param(_allowed(key), str(value)[:MAX_CHARACTERS]) for key, value in flattened(sections)
    ]
    for start in range(0, len(pairs), MAX_PARAMS):
        tracker(uri).log_batch(run_id, params=pairs[start : start + MAX_PARAMS])


def log_metrics(uri: str, run_id: str, values: Mapping[str, Any]) -> None:
    """Every number of a nested mapping, such as comparison.json; `/` joins the names."""
    now = int(time.time() * 1000)
    metrics = [
        Metric(_allowed(key), float(value), now, 0)
        for key, value in flattened(values, "/")
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    for start in range(0, len(metrics), MAX_METRICS):
        tracker(uri).log_batch(run_id, metrics=metrics[start : start + MAX_METRICS])


def flattened(
    value: Mapping[str, Any], separator: str = ".", prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """(joined name, leaf) of a nested mapping; an empty mapping is a leaf."""
    for key, item in value.items():
        name = f"{prefix}{separator}{key}" if prefix else str(key)
        if isinstance(item, Mapping) and item:
            yield from flattened(item, separator, name)
        else:
            yield name, item


def _allowed(name: str) -> str:
    """MLflow takes no name with an @ in it: ndcg@10, as a metric or in a param's dotted name."""
    return name.replace("@", "_at_")


def _is_local(uri: str) -> bool:
    return uri.startswith("sqlite:///")


def _name(uri: str) -> str:
    """Tells trackers apart in a file that anybody may read; a new password is no new tracker."""
    return "sha256:" + hashlib.sha256(without_password(uri).encode()).hexdigest()


def _exists(client: MlflowClient, run_id: str) -> bool:
    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "active")
    except MlflowException:
        return False
