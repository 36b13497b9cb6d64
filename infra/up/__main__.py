"""`make up`: all of it on a laptop without a container engine, until Ctrl-C; what it keeps stays.

PostgreSQL's programs come from the system (Debian's `postgresql`), all else from Python packages.
"""

import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

from infra.up.ports import Ports, refuse_taken
from infra.up.process import run
from infra.up.processes import as_postgres, environment, processes
from perennial.errors import BadInput, PerennialError, PlaceUnusable
from tasks.telemetry import OFF

SHIFT = "PERENNIAL_PORTS"  # added to every port, where one of them is somebody else's
_SECRETS = (
    "store", "signing", "session", "events", "webhook", "encryption", "mlflow", "hooks",
)  # fmt: skip


def main() -> int:
    """0 after Ctrl-C, SIGTERM or a closed terminal; else as errors.py says."""
    home = Path(os.environ.get("PERENNIAL_HOME") or "state").absolute() / "up"
    stopped = when_to_stop()
    try:
        ports = Ports.shifted(shift_of(os.environ.get(SHIFT, "0")))
        refuse_taken(ports.names())
        programs = postgres_programs()
        kept = keys(home / "secrets.json")
        prepare_postgres(home / "postgres", programs, port=ports.postgres)
        (home / "seaweedfs").mkdir(parents=True, exist_ok=True)
        ours = environment(home, kept, ports)
        os.environ.update(ours | OFF)
        exported = "".join(f"export {n}={shlex.quote(v)}\n" for n, v in (ours | OFF).items())
        write_private(home / "environment.sh", exported)
        print(
            f"Prefect http://127.0.0.1:{ports.prefect}   MLflow http://127.0.0.1:{ports.mlflow}   "
            f"search http://127.0.0.1:{ports.search}   webhooks http://127.0.0.1:{ports.receiver}\n"
            f"In another terminal: . {home / 'environment.sh'}; then perennial import apidocs, "
            "perennial bootstrap, and the search service begins",
            flush=True,
        )
        run(
            processes(home, kept, postgres=programs, ports=ports),
            home / "log",
            is_stopped=stopped.is_set,
            say=lambda line: print(line, flush=True),
        )
    except PerennialError as error:
        print(f"perennial: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def shift_of(given: str) -> int:
    """The number that is added to every port; raises BadInput."""
    if not (given.isascii() and given.isdigit()):
        raise BadInput(f"{SHIFT} is `{given}`; let it be a number that is added to every port")
    return int(given)


def when_to_stop() -> threading.Event:
    """Set by Ctrl-C, by SIGTERM, and where the terminal is closed."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopped.set())
    return stopped


def keys(path: Path) -> dict[str, str]:
    """The secrets of this laptop, made once: 32 random bytes each, for its owner alone."""
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept = {name: secrets.token_hex(32) for name in _SECRETS} | found
    if kept != found:  # an older one lacks what came later
        write_private(path, json.dumps(kept, indent=2) + "\n")
    return kept


def write_private(path: Path, text: str) -> None:
    """The file, readable by its owner alone, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.tmp")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
    new.replace(path)


def postgres_programs() -> Path:
    """The folder of PostgreSQL's programs, the newest there is; raises PlaceUnusable."""
    there = [Path(found).parent] if (found := shutil.which("postgres")) else []
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    for folder in [*there, *reversed(debian)]:
        if (folder / "initdb").exists():
            return folder
    raise PlaceUnusable("PostgreSQL is missing; install Debian's package `postgresql`")


def prepare_postgres(folder: Path, programs: Path, *, port: int) -> None:
    """A cluster of our own with both databases, made once; raises PlaceUnusable."""
    if (folder / "perennial.ready").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)  # a first start that was interrupted
    folder.mkdir(parents=True)
    if os.getuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        folder.chmod(0o700)
    make = [str(programs / "initdb"), "-D", str(folder), "-U", "postgres", "-A", "trust", "-E"]
    sql = "CREATE DATABASE prefect;\nCREATE DATABASE mlflow;\n"
    alone = [str(programs / "postgres"), "--single", "-D", str(folder), "postgres"]
    for command, text in (([*make, "UTF8"], ""), (alone, sql)):
        done = subprocess.run(
            as_postgres(command), input=text, capture_output=True, text=True, check=False, cwd="/"
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise PlaceUnusable(
                f"PostgreSQL cannot keep its data in {folder} ({' '.join(said)}); the user that "
                f"runs it must reach that folder, and port {port} be free"
            )
    (folder / "perennial.ready").touch()


if __name__ == "__main__":
    sys.exit(main())
