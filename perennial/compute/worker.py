"""A worker: one process on some machine of a cluster, which does one kind of work."""

import ctypes
import importlib.metadata
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import faiss

from perennial.compute.work import Work
from perennial.errors import BadInput

# FAISS says its own version: its builds for CPU and GPU have names of their own.
_LIBRARIES = ("numpy", "sentence-transformers", "tokenizers", "torch", "transformers")


class Worker:
    """Starts empty, is made ready once, and then answers shards one after another."""

    def __init__(self, work: Work, names: Sequence[str], *contents: bytes) -> None:
        self._work, self._files = work, dict(zip(names, contents, strict=True))
        self._do: Callable[..., Any] | None = None

    def ready(self, asked_with: Mapping[str, str]) -> None:
        """Load what the work needs; raises BadInput where a library, or the kind of device, is not
        the asker's."""
        if differ := differences(versions(), asked_with):
            raise BadInput(
                f"the worker on {platform.node()} has {', '.join(differ)}, so that its results "
                "would differ; install the same versions on all machines (-c constraints.txt), and "
                "ask on one that computes on the same device"
            )
        with tempfile.TemporaryDirectory(prefix="perennial-") as place:
            for name, content in self._files.items():
                path = Path(place) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self._files = {}
            self._do = self._work.ready(Path(place))

    def do(self, *parts: Any) -> Any:
        """What the work makes of a shard's parts."""
        assert self._do is not None
        return self._do(*parts)


def differences(found: Mapping[str, str], asked_with: Mapping[str, str]) -> list[str]:
    """What a worker has instead of the asker's, by name."""
    names = sorted({*found, *asked_with})
    pairs = {name: (found.get(name, "none"), asked_with.get(name, "none")) for name in names}
    return [
        f"{name} {own} instead of {other}" for name, (own, other) in pairs.items() if own != other
    ]


@cache
def versions() -> dict[str, str]:
    """Of Python and the libraries whose rounding is in a result's last bits, and their device."""
    found = {
        "python": ".".join(platform.python_version_tuple()[:2]),
        "faiss": str(faiss.__version__),
        "device": _device(),
    }
    for name in _LIBRARIES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _device() -> str:
    """The kind that torch or FAISS would take: cuda or cpu."""
    if faiss.get_num_gpus() > 0:
        return "cuda"
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "cpu"  # without a driver: seconds of torch's import would say no more
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
