"""A tracker of its own per session: a real MLflow on sqlite; making its database takes seconds."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tracking_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tracking")


@pytest.fixture(scope="session")
def tracking_uri(tracking_home: Path) -> str:
    return f"sqlite:///{tracking_home / 'mlflow' / 'mlflow.db'}"
