"""A worker: one process on some machine of a cluster, which does one kind of work."""

import importlib.metadata
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from perennial.compute.work import Work
from perennial.errors import BadInput

# FAISS is not among them: its builds for CPU and GPU have names of their own.
_LIBRARIES = ("numpy", "sentence-transformers", "tokenizers", "torch", "transformers")


class Worker:
    """Starts empty, is made ready once, and then answers shards one after another."""

    def __init__(self, work: Work, names: Sequence[str], *contents: bytes) -> None:
        self._work, self._files = work, dict(zip(names, contents, strict=True))
        self._do: Callable[..., Any] | None = None

    def ready(self, asked_with: Mapping[str, str]) -> None:
        """Load what the work needs; raises BadInput where a library differs from the asker's."""
        if differ := [
            f"{name} {version} instead of {asked_with.get(name, 'none')}"
            for name, version in versions().items()
            if asked_with.get(name) != version
        ]:
            raise BadInput(
                f"the worker on {platform.node()} has {', '.join(differ)}, so that its results "
                "would differ; install the same versions on all machines (-c constraints.txt)"
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


def versions() -> dict[str, str]:
    """Of Python and the libraries whose rounding is in a result's last bits."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in _LIBRARIES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
