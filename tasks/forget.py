"""Takes a session out of the artifacts that the tracker keeps, wherever it keeps them."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.environment_variables import MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from perennial.verbs.forgetting.journal import read_journal
from perennial.verbs.forgetting.pages import names_it
from perennial.verbs.forgetting.session import Session
from perennial.verbs.forgetting.tables import count_rows, frozen_rows
from perennial.workspace import Places
from tasks.step import can_pass
from tasks.tracking import EXPERIMENT, tracker
from tasks.world import in_words

_TAGS = {"snapshot", "workspace", "champion"}  # tasks/run.py sets them when a run begins
_WEIGHTS = "encoder"  # an encoder's files: numbers, and words of the catalogue


@task(name="forget-artifacts", cache_policy=NO_CACHE, persist_result=False,
      retries=3, retry_delay_seconds=2.0, retry_condition_fn=can_pass)  # fmt: skip
def forget_artifacts(journal: Path) -> int:
    """Delete every artifact of a retrain that names the session of the journal: how many. Runs that
    were deleted in the tracker count too: it keeps them. Nothing of the session is logged."""
    deleted = 0
    for kept, path in artifacts_of(read_journal(journal)):
        kept.delete_artifacts(path)
        deleted += 1
    get_run_logger().info("%d artifacts were deleted", deleted)
    return deleted


def artifacts_of(session: Session) -> Iterator[tuple[ArtifactRepository, str]]:
    """What retrains logged and names the session; what others keep on the server is not opened."""
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)  # a bar for each file
    places = Places.from_environment()
    names, hidden = names_it(session), frozen_rows(session)

    def has_it(path: Path) -> bool:
        try:
            return count_rows(path, hidden) > 0
        except (pa.ArrowException, OSError):
            return names(path)  # no table

    with in_words(places.home, places.tracking_uri), tempfile.TemporaryDirectory() as folder:
        for run in _retrains(tracker(places.tracking_uri)):
            kept = get_artifact_repository(run.info.artifact_uri, places.tracking_uri)
            for path in list(_files(kept, None)):
                local = Path(kept.download_artifacts(path, folder))
                is_found = has_it(local)
                local.unlink(missing_ok=True)
                if is_found:
                    yield kept, path


def _retrains(client: MlflowClient) -> Iterator[Run]:
    """The runs that carry a retrain's tags; others may have an experiment of the same name."""
    experiment = client.get_experiment_by_name(EXPERIMENT)  # also one that was deleted
    token = None
    while experiment is not None:
        page = client.search_runs(
            [experiment.experiment_id], run_view_type=ViewType.ALL, page_token=token
        )
        yield from (run for run in page if run.data.tags.keys() >= _TAGS)
        if not (token := page.token):
            return


def _files(kept: ArtifactRepository, folder: str | None) -> Iterator[str]:
    for each in kept.list_artifacts(folder):
        if not each.is_dir:
            yield each.path
        elif each.path.rpartition("/")[2] != _WEIGHTS:
            yield from _files(kept, each.path)
