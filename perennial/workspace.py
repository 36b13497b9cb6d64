"""Where things are: the folders of one retrain, and the places that the environment names."""

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from perennial.errors import BadInput


@dataclass(frozen=True)
class Workspace:
    """The folder of one retrain; every stage reads and writes below its root only."""

    root: Path

    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    @property
    def snapshot(self) -> Path:
        """The frozen tables, snapshot.json, and the champion's bytes under `champion/`."""
        return self.root / "snapshot"

    @property
    def forgotten(self) -> Path:
        """Written before anything is taken from the snapshot, which then is not what its digest
        says: such a run is neither continued nor reproduced."""
        return self.snapshot / "forgotten.json"

    @property
    def champion(self) -> Path:
        return self.snapshot / "champion"

    @property
    def failed(self) -> Path:
        """There where it ended by a failure that the same input would meet again."""
        return self.work("track") / "failed.json"

    @property
    def owed(self) -> Path:
        """There from before its report until all of it is in DVC's remote, where one is named; it
        is not over before, also where the pushing fails."""
        return self.work("push") / "owed.json"

    @property
    def is_concluded(self) -> bool:
        """Told or failed: what is left to do is what it owes."""
        return (self.work("report") / "summary.json").exists() or self.failed.exists()

    @property
    def is_over(self) -> bool:
        """Concluded, and nothing is owed: nobody goes on with it."""
        return self.is_concluded and not self.owed.exists()

    def table(self, name: str) -> Path:
        return self.snapshot / f"{name}.parquet"

    def log(self, name: str) -> Path:
        """The accepted rows of requests, impressions or events: what every later stage reads."""
        return self.artifacts("validate") / "log" / f"{name}.parquet"

    def artifacts(self, stage: str) -> Path:
        """A stage's outs. DVC deletes them before the stage runs again."""
        return self.root / "artifacts" / stage

    def work(self, stage: str) -> Path:
        """What must survive a re-run or differs between runs: checkpoints, progress, pages."""
        return self.root / "work" / stage


@dataclass(frozen=True)
class Places:
    """What the environment decides: where the store, the source, the runs and the tracker are."""

    home: Path
    store: str  # a folder, or the address of a bucket and a prefix
    source: Path
    runs: Path
    cache: Path
    tracking_uri: str = field(repr=False)  # it may hold a password
    remote: str | None = None  # of DVC: the address of a bucket and a prefix

    @property
    def has_tracking_server(self) -> bool:
        """False where the tracker is a local database, whose artifacts lie at home."""
        return not self.tracking_uri.startswith("sqlite:///")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Places":
        """PERENNIAL_HOME (default `state`) holds the rest, unless a variable of its own says."""
        env = os.environ if environment is None else environment
        home = Path(env.get("PERENNIAL_HOME") or "state").absolute()
        store = env.get("PERENNIAL_STORE") or str(home / "store")
        tracking = home / "mlflow" / "mlflow.db"
        if "://" in (source := env.get("PERENNIAL_SOURCE", "")):
            raise BadInput(
                f"PERENNIAL_SOURCE is {source!r}, but a source is a folder; name one, and fill it "
                f"from the bucket: perennial import parquet --path {source}"
            )
        return cls(
            home=home,
            store=store if "://" in store else str(Path(store).absolute()),
            source=Path(source or home / "source").absolute(),
            runs=Path(env.get("PERENNIAL_RUNS") or home / "runs").absolute(),
            cache=Path(env.get("PERENNIAL_CACHE") or home / "cache").absolute(),
            tracking_uri=env.get("MLFLOW_TRACKING_URI") or f"sqlite:///{tracking}",
            remote=env.get("PERENNIAL_DVC_REMOTE") or None,
        )


def signing_key() -> bytes | None:
    """PERENNIAL_SIGNING_KEY in bytes; None, and no signature is asked for, where it is not set.

    Of several, separated by commas, the first signs, and what any of them signed is believed: so
    keys are rotated.
    """
    return os.environ.get("PERENNIAL_SIGNING_KEY", "").encode() or None


def session_key() -> bytes | None:
    """PERENNIAL_SESSION_KEY in bytes; None, and a snapshot numbers its sessions, where not set."""
    return os.environ.get("PERENNIAL_SESSION_KEY", "").encode() or None


def access_keys() -> tuple[str, ...]:
    """PERENNIAL_ACCESS_KEYS, of which any lets a caller of the service in; separated by commas."""
    keys = os.environ.get("PERENNIAL_ACCESS_KEYS", "").split(",")
    return tuple(key.strip() for key in keys if key.strip())


def hosts() -> tuple[str, ...]:
    """PERENNIAL_HOSTS, names beside this machine's own under which the service may be asked."""
    names = os.environ.get("PERENNIAL_HOSTS", "").split(",")
    return tuple(name.strip() for name in names if name.strip())


def events_key() -> bytes | None:
    """PERENNIAL_EVENTS_KEY in bytes; None, and the service makes one for its life, if not set."""
    return os.environ.get("PERENNIAL_EVENTS_KEY", "").encode() or None


def runtime() -> str:
    """PERENNIAL_RUNTIME, what embeds queries: `torch`, or `onnx` where releases have a graph."""
    return os.environ.get("PERENNIAL_RUNTIME") or "torch"


def ray_address() -> str | None:
    """RAY_ADDRESS, the cluster that compute.backend `ray` joins; None, and it starts its own."""
    return os.environ.get("RAY_ADDRESS") or None


def s3_encryption() -> tuple[str | None, str | None]:
    """PERENNIAL_S3_SSE and PERENNIAL_S3_KMS_KEY_ID, None where they are not set."""
    return os.environ.get("PERENNIAL_S3_SSE") or None, os.environ.get(
        "PERENNIAL_S3_KMS_KEY_ID"
    ) or None


def user() -> str:
    """Who runs this process, for the history of channels and the audit log."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return f"uid {os.getuid()}"
