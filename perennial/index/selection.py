"""Which rows of a segment a search may answer with: the living ones, all or of one slice."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import faiss
import numpy as np
import pyarrow as pa

_KEPT_SLICES = 32  # bitmaps, of a bit a row each


@dataclass(frozen=True)
class SliceCodes:
    """(rows,) small integers into `names`; None where no row has a slice."""

    codes: np.ndarray | None
    names: dict[str, int]


@dataclass(frozen=True)
class Selected:
    """`count` rows; `selector` is None where that is all of them."""

    count: int
    selector: faiss.IDSelector | None
    _settings: dict[int, faiss.SearchParametersIVF] = field(default_factory=dict)

    def in_lists(self, nprobe: int) -> faiss.SearchParametersIVF:
        """FAISS's settings for so many lists, kept: making them costs 9 of a segment's 15 us."""
        if (settings := self._settings.get(nprobe)) is None:
            settings = faiss.SearchParametersIVF(nprobe=nprobe, sel=self.selector)
            self._settings[nprobe] = settings
        return settings


def slice_codes(column: pa.ChunkedArray | None) -> SliceCodes:
    """A nullable column of strings to codes; null is -1."""
    if column is None or column.null_count == len(column):
        return SliceCodes(None, {})
    encoded = column.combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    smallest = np.min_scalar_type(-len(names) - 1)
    return SliceCodes(codes.astype(smallest), {name: code for code, name in enumerate(names)})


def joined_codes(each: Sequence[SliceCodes], rows: Sequence[int]) -> SliceCodes:
    """The codes of segments of so many rows, one after the other, with names in common."""
    names: dict[str, int] = {}
    for one in each:
        for name in one.names:
            names.setdefault(name, len(names))
    if not names:
        return SliceCodes(None, {})
    smallest, parts = np.min_scalar_type(-len(names) - 1), []
    for one, count in zip(each, rows, strict=True):
        if one.codes is None:
            parts.append(np.full(count, -1, dtype=smallest))
        else:  # the last stands for -1
            new = np.array([*(names[name] for name in one.names), -1], dtype=smallest)
            parts.append(new[one.codes])
    return SliceCodes(np.concatenate(parts), names)


class Selection:
    """Bitmaps that FAISS tests row by row; safe for many threads."""

    def __init__(self, dead: np.ndarray, slices: SliceCodes) -> None:
        self._dead, self._slices = dead, slices
        self._all = _selected(~dead)
        self._kept: OrderedDict[int, Selected] = OrderedDict()
        self._changing = threading.Lock()

    def of(self, slice: str | None) -> Selected:
        """The living rows; of one slice where it is named."""
        if slice is None:
            return self._all
        code = self._slices.names.get(slice)
        if code is None or self._slices.codes is None:
            return Selected(0, None)
        with self._changing:
            if (found := self._kept.get(code)) is None:
                found = self._kept[code] = _selected((self._slices.codes == code) & ~self._dead)
                if len(self._kept) > _KEPT_SLICES:
                    self._kept.popitem(last=False)
            else:
                self._kept.move_to_end(code)
            return found


def _selected(wanted: np.ndarray) -> Selected:
    count = int(np.count_nonzero(wanted))
    if count == len(wanted):
        return Selected(count, None)
    return Selected(count, faiss.IDSelectorBitmap(np.packbits(wanted, bitorder="little")))
