"""The tested FAISS index types: their names, what a row of them costs, and which one fits."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from perennial.errors import BadInput

AUTO = "auto"
# Below 39 rows a list k-means is ill-fed (FAISS warns), and 256 codes need 39 rows each too.
ROWS_PER_CENTROID = 39
FEW_HNSW_ROWS = 5000
_LINKS = 32
_NAME = re.compile(
    r"Flat|IVF(?P<lists>[1-9]\d*),(?P<codes>Flat|SQ8|PQ(?P<parts>[1-9]\d*)(x8)?)"
    r"|HNSW(?P<links>[1-9]\d*)(,Flat)?"
)
_REFUSED = (
    (
        r"x4fs|PQ\d+x4|FastScan|Refine",
        "fast-scan codes cannot filter out dead rows",
    ),
    (r"^(PCA|OPQ|ITQ|RR|Pad|L2norm)", "a rotation before the lists cannot be merged in place"),
    (r"NSG|NNDescent", "a neighbour graph of its kind can neither filter nor grow"),
    (r"^IMI", "a multi-index has more lists than increments have rows, and merges none"),
    (r"^IDMap", "ids are kept beside the vectors, row by row"),
    (r"LSH|BIVF|^B[A-Z]", "binary codes cannot filter and do not score by cosine"),
    (r"^HNSW\d+,", "a graph over codes was not tested"),
    (r"_HNSW|\(", "a graph over the lists does not merge the same way twice"),
)
Codes = Literal["Flat", "SQ8", "PQ"]
TESTED = "auto, Flat, IVFn,Flat, IVFn,SQ8, IVFn,PQm, HNSWm"


@dataclass(frozen=True)
class Factory:
    """A tested type: `lists` of an IVF, `parts` of its PQ (bytes a row), `links` of an HNSW."""

    kind: Literal["Flat", "IVF", "HNSW"]
    lists: int = 0
    codes: Codes = "Flat"
    parts: int = 0
    links: int = 0

    @property
    def name(self) -> str:
        """The name that FAISS's index_factory knows."""
        if self.kind == "IVF":
            return f"IVF{self.lists},{self.codes}{self.parts or ''}"
        return f"HNSW{self.links}" if self.kind == "HNSW" else "Flat"

    @property
    def is_lossless(self) -> bool:
        """True where the index keeps the vectors as they are."""
        return self.codes == "Flat"

    @property
    def least_rows(self) -> int:
        """Fewer rows are indexed Flat: they cannot train it, or a scan of them costs nothing."""
        if self.kind == "IVF":
            return ROWS_PER_CENTROID * max(self.lists, 256 if self.codes == "PQ" else 0)
        return FEW_HNSW_ROWS if self.kind == "HNSW" else 0

    def bytes_per_row(self, dimension: int) -> int:
        """Memory of one row while it is searched: codes, FAISS's 64-bit ids, links."""
        width = {"Flat": 4 * dimension, "SQ8": dimension, "PQ": self.parts}[self.codes]
        return width + {"Flat": 0, "IVF": 8, "HNSW": 8 * self.links + 20}[self.kind]


def parse(name: str, *, dimension: int) -> Factory:
    """The factory of a name; raises BadInput with the reason for every type that is not tested."""
    match = _NAME.fullmatch(name)
    if match is None:
        reason = next((why for what, why in _REFUSED if re.search(what, name)), "it was not tested")
        raise BadInput(f"index.factory {name!r} is refused: {reason}; choose one of {TESTED}")
    if match["links"]:
        links = int(match["links"])
        if not 4 <= links <= 64:
            raise BadInput(f"index.factory {name!r} has {links} links a row; choose 4 to 64")
        return Factory("HNSW", links=links)
    if not match["lists"]:
        return Factory("Flat")
    lists, parts = int(match["lists"]), int(match["parts"] or 0)
    codes: Codes = "PQ" if parts else "SQ8" if match["codes"] == "SQ8" else "Flat"
    if parts and dimension % parts:
        raise BadInput(
            f"index.factory {name!r} cuts {dimension} dimensions into {parts} parts of unequal "
            f"size; choose a divisor of {dimension}"
        )
    return Factory("IVF", lists=lists, codes=codes, parts=parts)


def choose(*, rows: int, dimension: int, memory_mb: int, recall_target: float) -> Factory:
    """The type that answers fastest among those that fit the memory and can reach the recall.

    1. Flat while all vectors are at most 32 MB, or where the target is 1 and they fit: a scan of
       32 MB takes about a millisecond on one core, is exact, and needs no training.
    2. HNSW32 for a target above 0.98 where two copies fit (a compaction rebuilds it beside the
       old one) and there are at most a million rows: the last hundredths of recall cost it less.
       Below, it answers only 1.7 times as fast fresh, is built 8 times slower, and never merged.
    3. IVF,Flat where it fits: built and merged fastest, and its recall has no ceiling.
    4. IVF,SQ8, a quarter of the memory and as fast, whose codes alone cap the recall at 0.99.
    5. IVF,PQ with 8, then 16 dimensions a byte, whose codes cap it far lower: the index's health
       says how low, and the gate refuses it where that is too low.

    Measured on 200,000 x 384, one thread, milliseconds a query at recall 0.98: IVF1024,Flat 1.2,
    IVF1024,SQ8 1.0, HNSW32 0.7; IVF1024,PQ48 0.25 at its best recall of 0.54.
    """
    budget = memory_mb * 2**20
    lists = usual_lists(rows)
    flat = Factory("Flat")
    size = rows * flat.bytes_per_row(dimension)
    if size <= min(32 * 2**20, budget) or (recall_target >= 1 and size <= budget):
        return flat
    graph = Factory("HNSW", links=_LINKS)
    parts = [p for p in (dimension // 8, dimension // 16) if p and dimension % p == 0] or [1]
    candidates = [
        *([graph] if recall_target > 0.98 and rows <= 1_000_000 else []),
        Factory("IVF", lists=lists),
        Factory("IVF", lists=lists, codes="SQ8"),
        *(Factory("IVF", lists=lists, codes="PQ", parts=p) for p in parts),
    ]
    # What so few rows cannot train would be built Flat after all, and not fit.
    candidates = [f for f in candidates if rows >= f.least_rows] or [flat]
    for factory in candidates:
        copies = 2 if factory.kind == "HNSW" else 1
        if copies * rows * factory.bytes_per_row(dimension) <= budget:
            return factory
    least = math.ceil(rows * candidates[-1].bytes_per_row(dimension) / 2**20)
    raise BadInput(
        f"{rows} vectors of {dimension} dimensions need {least} MB even as {candidates[-1].name}, "
        f"but index.memory_mb is {memory_mb}; raise it"
    )


def usual_lists(rows: int) -> int:
    """The lists of an IVF of so many rows: about twice their root, none of them ill-fed."""
    lists: int = 2 ** round(math.log2(max(2 * math.sqrt(rows), 16)))
    return min(lists, max(rows // ROWS_PER_CENTROID, 1))
