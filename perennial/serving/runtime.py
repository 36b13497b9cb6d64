"""What embeds the queries of a release: torch, or the ONNX graph that was proven equal to it."""

from pathlib import Path
from typing import Literal

from perennial.errors import BadInput
from perennial.model.encoder import Encoder, load_encoder
from perennial.model.layout import is_static
from perennial.release.manifests.manifest import Manifest

Runtime = Literal["torch", "onnx"]
_RUNTIMES: dict[str, Runtime] = {"torch": "torch", "onnx": "onnx"}


def check_runtime(name: str) -> Runtime:
    """The runtime of that name; raises BadInput for any other."""
    if name not in _RUNTIMES:
        raise BadInput(
            f"the runtime {name!r} is unknown; set PERENNIAL_RUNTIME to {' or '.join(_RUNTIMES)}"
        )
    return _RUNTIMES[name]


def open_encoder(manifest: Manifest, directory: Path, *, runtime: Runtime) -> Encoder:
    """The encoder of a release's folder, whose every byte was verified; numpy reads static ones.

    Raises BadInput where the release has no graph: queries are then not embedded otherwise.
    """
    folder = directory / "encoder"
    if runtime == "torch" or is_static(folder):
        return load_encoder(folder)
    if manifest.onnx is None:
        raise BadInput(
            f"release {manifest.release_id} has no ONNX graph of its encoder "
            f"{manifest.encoder.digest}; run `perennial export onnx` where torch is installed, or "
            "set PERENNIAL_RUNTIME=torch"
        )
    from perennial.model.onnx.encoder import OnnxEncoder

    # The digest of its directory: the cache has just verified each file that the manifest names.
    return OnnxEncoder(directory / "onnx", digest=manifest.encoder.digest)


def answers_alike(old: Manifest, new: Manifest, *, runtime: Runtime) -> bool:
    """True where what embeds the queries of `old` embeds those of `new` too."""
    same = old.encoder.digest == new.encoder.digest
    return same and (runtime == "torch" or old.onnx == new.onnx)
