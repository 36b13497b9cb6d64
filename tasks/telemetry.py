"""The telemetry of every library, switched off in this one place."""

import os
from collections.abc import MutableMapping

OFF = {
    "DO_NOT_TRACK": "true",  # MLflow takes only the word true
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def switch_off(environment: MutableMapping[str, str] = os.environ) -> None:
    """Sets every switch, for this process and for those that it starts."""
    environment.update(OFF)
