"""A bridge: the linear map that brings a new encoder's queries into the space of an old index.

It serves a new encoder while the catalogue is still being embedded again. Its file is safetensors.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from perennial.errors import BadInput, IntegrityError

_PARTS = {"matrix": 2, "offset": 1}


@dataclass(frozen=True)
class Bridge:
    """A query q of the new encoder is searched as q `matrix` + `offset`, scaled to length one."""

    matrix: np.ndarray  # (new dimension, old dimension) float32
    offset: np.ndarray  # (old dimension,) float32

    @property
    def dimensions(self) -> tuple[int, int]:
        """(the new encoder's, the old index's)."""
        return int(self.matrix.shape[0]), int(self.matrix.shape[1])

    def apply(self, queries: np.ndarray) -> np.ndarray:
        """(q, new) rows to (q, old) float32 unit rows; a zero row stays one; raises BadInput."""
        if queries.ndim != 2 or queries.shape[1] != self.dimensions[0]:
            raise BadInput(
                f"queries have shape {queries.shape}, the bridge takes {self.dimensions[0]} "
                "dimensions; embed them with the encoder that it was fitted for"
            )
        mapped = np.asarray(queries, dtype=np.float32) @ self.matrix + self.offset
        mapped[~queries.any(axis=1)] = 0.0  # no known token, no direction: the offset is no answer
        norms = np.linalg.norm(mapped, axis=1, keepdims=True)
        return np.asarray(np.divide(mapped, norms, out=np.zeros_like(mapped), where=norms > 0))


def write_bridge(path: Path, bridge: Bridge) -> None:
    """Write the file; same bridge, same bytes."""
    tensors = {name: np.ascontiguousarray(getattr(bridge, name), np.float32) for name in _PARTS}
    path.write_bytes(save(tensors))


def read_bridge(path: Path) -> Bridge:
    """The bridge of a file; raises IntegrityError where it is missing, torn, or holds no numbers.

    A bridge whose two parts do not fit each other is no bridge either.
    """
    try:
        tensors = load(path.read_bytes())
        parts = {name: tensors[name] for name in _PARTS}
    except (OSError, KeyError, ValueError, TypeError, SafetensorError) as error:
        raise IntegrityError(
            f"the bridge {path} is missing or damaged: {error}; {_REMEDY}"
        ) from error
    is_sound = tensors.keys() == _PARTS.keys() and all(
        part.ndim == _PARTS[name] and part.dtype == np.float32 and np.isfinite(part).all()
        for name, part in parts.items()
    )
    if not is_sound or parts["matrix"].shape[1] != len(parts["offset"]):
        shapes = {name: tuple(part.shape) for name, part in tensors.items()}
        raise IntegrityError(f"the bridge {path} holds {shapes}, or what is no number; {_REMEDY}")
    return Bridge(**parts)


_REMEDY = "run `perennial verify`, then `perennial rollback`"
