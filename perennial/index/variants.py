"""The indexes that the same vectors could have: by width, by codes, by factory."""

from collections.abc import Sequence
from dataclasses import dataclass

from perennial.errors import BadInput
from perennial.index.factory import Factory, usual_lists

_HALVINGS = 4
_NARROWEST = 16
_DIMENSIONS_PER_BYTE = (4, 8)  # of PQ
_LINKS = 32


@dataclass(frozen=True)
class Variant:
    """One index: of vectors cut to so many coordinates, and of a tested type."""

    dimension: int
    factory: Factory


def variants(
    *, rows: int, dimension: int, widths: Sequence[int], serving: Factory
) -> tuple[list[Variant], list[str]]:
    """Every tested type at every width, and why others are left out; raises BadInput.

    Without `widths` the whole one, a half, a quarter and so on. The type that serves is among them
    at the whole width, whatever its lists.
    """
    for width in widths:
        if not 1 <= width <= dimension:
            raise BadInput(f"--dimension is {width}; the vectors have 1 to {dimension}")
    halves = [dimension >> step for step in range(_HALVINGS)]
    chosen = sorted(set(widths) or {w for w in halves if w >= _NARROWEST or w == dimension})
    lists = usual_lists(rows)
    found, left_out = list[Variant](), dict[str, str]()
    for width in reversed(chosen):
        types = _types(width, lists) + ([serving] if width == dimension else [])
        for factory in dict.fromkeys(types):
            if rows < factory.least_rows:
                left_out.setdefault(factory.name, f"needs {factory.least_rows:,} documents")
            else:
                found.append(Variant(width, factory))
    return found, [f"{name} {why}" for name, why in left_out.items()]


def _types(width: int, lists: int) -> list[Factory]:
    parts = [width // each for each in _DIMENSIONS_PER_BYTE if width % each == 0]
    return [
        Factory("Flat"),
        Factory("IVF", lists=lists),
        Factory("IVF", lists=lists, codes="SQ8"),
        *(Factory("IVF", lists=lists, codes="PQ", parts=each) for each in parts),
        Factory("HNSW", links=_LINKS),
    ]
