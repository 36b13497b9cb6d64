"""Where the libraries keep their own state: below Places.home, so that nothing lands in `~`."""

import contextlib
import os
from collections.abc import MutableMapping
from pathlib import Path

from perennial.workspace import Places


def keep_at_home(environment: MutableMapping[str, str] = os.environ) -> None:
    """Gives every library a folder below PERENNIAL_HOME, where the caller has not chosen one."""
    home = Places.from_environment({"PERENNIAL_HOME": environment.get("PERENNIAL_HOME", "")}).home
    defaults = {
        "PREFECT_HOME": str(home / "prefect"),
        "MPLCONFIGDIR": str(home / "cache" / "matplotlib"),
        # The first start creates the database: 4 s alone, over the default 20 s on a busy machine.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "GIT_PYTHON_REFRESH": "quiet",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
    }
    for name, value in defaults.items():
        environment.setdefault(name, value)
    # Prefect makes its folder when it is imported, and complains where there is nothing above it.
    with contextlib.suppress(OSError):  # whoever writes there says what is wrong with the place
        Path(environment["PREFECT_HOME"]).parent.mkdir(parents=True, exist_ok=True)
