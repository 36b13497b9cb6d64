"""The only module that knows Ray: a cluster's actors as workers, one for each GPU, or else for so
many CPUs.

Machines share no folder: files go to the workers through Ray's object store and are checked there,
results come back through it, and only the process that asked writes anything. Whoever may speak to
a Ray cluster may run code on it; Ray's own token keeps others out, and keeps nothing secret on the
way.
"""

import os
import secrets
import socket
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from perennial.compute.crew import WorkerLost
from perennial.compute.work import Work
from perennial.compute.worker import Worker, versions
from perennial.errors import BadInput

_STORE_BYTES = 512 * 2**20  # of a cluster that is started here
_NOBODY_SECONDS, _KNOCK_SECONDS = 1.0, 30.0
_TRIES = 3  # of a start here: a busy machine needs more than the 30 s that Ray gives each


class RayCluster:
    """One kind of work's workers; `files` are what it needs of them, by name."""

    def __init__(self, work: Work, files: Mapping[str, Path], *, cpus: int) -> None:
        import ray

        self._ray, self._work, self._cpus = ray, work, cpus
        self._names = sorted(files)
        self._contents = [ray.put(files[name].read_bytes()) for name in self._names]

    def room(self) -> int:
        """Its GPUs, or so many times the CPUs of a worker."""
        has = self._ray.cluster_resources()
        return int(has.get("GPU", 0)) or int(has.get("CPU", 0)) // self._cpus

    def hire(self) -> tuple[Any, Any]:
        """An actor that waits for a free place, and its word that it is ready."""
        has_gpu = self._ray.cluster_resources().get("GPU", 0) >= 1
        needs = {"num_gpus": 1} if has_gpu else {"num_cpus": self._cpus}
        actor = self._ray.remote(max_restarts=0, max_task_retries=0, **needs)(Worker)
        worker = actor.remote(self._work, self._names, *self._contents)
        return worker, worker.ready.remote(versions())

    def share(self, value: Any) -> Any:
        """A part of many shards, kept in the object store for as long as what this gives lives."""
        return self._ray.put(value)

    def ask(self, worker: Any, given: Sequence[Any]) -> Any:
        """A promise of the worker's answer to a shard's parts."""
        return worker.do.remote(*given)

    def wait(self, promises: Sequence[Any], *, seconds: float) -> Sequence[Any]:
        """Promises that are kept or broken."""
        if not promises:  # nobody is there, and nobody can come
            time.sleep(min(seconds, _NOBODY_SECONDS))
            return []
        done, _ = self._ray.wait(promises, num_returns=1, timeout=seconds)
        return list(done)

    def result(self, promise: Any) -> Any:
        """What was promised; raises WorkerLost, and what the work raised."""
        from ray.exceptions import RayError, RayTaskError

        try:
            return self._ray.get(promise)
        except RayTaskError as error:
            raise (error.cause or error) from None
        except RayError as error:
            raise WorkerLost(" ".join(str(error).split())[:200]) from error

    def dismiss(self, worker: Any) -> None:
        """End a worker."""
        self._ray.kill(worker)


@contextmanager
def joined(address: str | None) -> Iterator[None]:
    """Be part of the cluster at an address, or of one that is started on this machine's loopback
    for as long as the body runs; raises BadInput where there is neither it nor Ray."""
    if address is None:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # it speaks on loopback alone
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = token_here()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ImportError as error:
        raise BadInput(
            f"compute.backend is ray, but Ray is not installed here ({error}); run "
            "pip install 'perennial[ray]', or set it to local"
        ) from error
    if ray.is_initialized():
        raise BadInput(
            "this process is part of a Ray cluster already, and can be of no other; end that with "
            "ray.shutdown(), or set compute.backend to local"
        )
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as place:
        _enter(address, place=place)
        try:
            yield
        finally:
            ray.shutdown()


def token_here() -> str:
    """What this process's own clusters are entered with: always the first, which Ray never reads
    again, whatever the environment says later."""
    return os.environ.get("RAY_AUTH_TOKEN") or secrets.token_hex(32)


def _enter(address: str | None, *, place: str) -> None:
    """Join, or start with its files in a place; raises BadInput, and leaves nothing running."""
    import ray

    here = {"_temp_dir": place, "object_store_memory": _STORE_BYTES}
    for left in reversed(range(_TRIES if address is None else 1)):
        try:
            _knock(address)
            ray.init(
                address=address or "local",
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level="error",
                runtime_env={"py_modules": [str(Path(__file__).parents[1])]},  # this very code
                **({} if address else here),
            )
            return
        except Exception as error:  # what takes too long Ray tells by no narrower one
            _abandon(error)
            if left:
                continue
            said = " ".join(str(error).split())[:200]
            raise BadInput(
                f"RAY_ADDRESS is {address}, where no Ray cluster takes this process in ({said}); "
                "start it with `ray start`, and run this on one of its machines"
                if address
                else f"Ray cannot start on this machine, tried {_TRIES} times ({said}); run again "
                "when it is less busy, or set compute.backend to local"
            ) from error


def _abandon(error: Exception) -> None:
    """End what was started before an error: of a node that did not come up Ray keeps nothing, and
    only the error's own frames still hold it."""
    import ray
    from ray._private.node import Node

    ray.shutdown()
    for frame, _ in traceback.walk_tb(error.__traceback__):
        node = frame.f_locals.get("self")
        if isinstance(node, Node) and hasattr(node, "all_processes"):
            node.kill_all_processes(check_alive=False, allow_graceful=True, wait=True)


def _knock(address: str | None) -> None:
    """Raises OSError where nobody listens: Ray itself would ask for minutes."""
    host, _, port = (address or "").rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()
