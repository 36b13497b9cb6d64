"""The deployment: the work pools and all that infra/prefect.yaml deploys, by one command.

As often as one likes: what is there is brought up to date.
"""

import tasks  # noqa: F401  first: the libraries below read their environment when imported

# isort: split
import argparse
import os
import subprocess
import sys
from pathlib import Path

import yaml

from perennial.errors import BadInput, PerennialError, PlaceUnusable


def deploy(prefect_file: Path) -> None:
    """All of it, on the server of PREFECT_API_URL; raises BadInput, PlaceUnusable."""
    if not os.environ.get("PREFECT_API_URL"):
        raise BadInput(
            "PREFECT_API_URL names no server to deploy to; set it, such as "
            "http://127.0.0.1:4200/api"
        )
    for pool in pools_of(prefect_file):
        _prefect("work-pool", "create", pool, "--type", "process", "--overwrite")
    _prefect("--no-prompt", "deploy", "--all", "--prefect-file", str(prefect_file))


def pools_of(prefect_file: Path) -> list[str]:
    """The work pools that its deployments name; raises BadInput."""
    try:
        found = yaml.safe_load(prefect_file.read_text(encoding="utf-8"))
        return sorted({each["work_pool"]["name"] for each in found["deployments"]})
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise BadInput(
            f"{prefect_file} names no deployments with their pools ({error}); start in the "
            "checkout, or name the file"
        ) from error


def _prefect(*arguments: str) -> None:
    # prefect.yaml takes the checkout from PWD, which `make -C` and services leave as it was.
    done = subprocess.run(
        [sys.executable, "-m", "prefect", *arguments],
        env=os.environ | {"PWD": str(Path.cwd())},
        check=False,
    )
    if done.returncode != 0:
        raise PlaceUnusable(
            f"`prefect {' '.join(arguments)}` ended with {done.returncode}; what it said stands "
            "above, and the same command goes on"
        )


def main(arguments: list[str] | None = None) -> int:
    """0 where all of it is there; else as errors.py says."""
    parser = argparse.ArgumentParser(prog="python -m flows.deploy", description=__doc__)
    parser.add_argument("--prefect-file", type=Path, default=Path("infra/prefect.yaml"))
    try:
        deploy(parser.parse_args(arguments).prefect_file)
    except PerennialError as error:
        print(f"perennial: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
