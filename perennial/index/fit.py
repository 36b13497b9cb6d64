"""Whether the files of an index are what its description says, asked before they are published."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import faiss
import pyarrow.parquet as pq

from perennial.errors import IntegrityError
from perennial.index.lexical.file import check_postings
from perennial.index.segment import damaged, read_names


def check_segment_files(
    directory: Path, segments: Iterable[Mapping[str, Any]], *, dimension: int
) -> None:
    """Raise IntegrityError where a segment that lies in the folder has another dimension, metric or
    number of rows than its row of index.json; those that do not lie there are not looked at.

    The vectors are mapped, not read: a millisecond a segment, whatever its size.
    """
    for row in segments:
        name = row["vectors"]
        if not (directory / name).is_file():
            continue
        try:
            index = faiss.read_index(str(directory / name), faiss.IO_FLAG_MMAP_IFC)
            with pq.ParquetFile(directory / row["ids"]) as ids:
                named = ids.metadata.num_rows
        except (RuntimeError, OSError, ValueError) as error:
            raise damaged(directory, name, error) from error
        if index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise IntegrityError(
                f"{name} compares by FAISS's metric {index.metric_type}, not by inner product; "
                "build it again"
            )
        # The box of a PQ's lists has the width of its codes: its template tells the dimension.
        if index.d != dimension and not _is_box_of_codes(index):
            raise IntegrityError(
                f"{name} holds vectors of {index.d} dimensions, its index.json says {dimension}; "
                "build it again"
            )
        if not index.ntotal == named == row["rows"]:
            raise IntegrityError(
                f"{name} holds {index.ntotal} vectors, {row['ids']} names {named} documents and "
                f"index.json says {row['rows']}; build it again"
            )


def check_words(directory: Path, about: Mapping[str, Any]) -> None:
    """Raise IntegrityError where the postings of an index.json are not those of the documents; of
    those that lie in the folder every number is read."""
    for row in (*about["segments"], *about.get("waiting", ())):
        if row.get("lexical") is None or not (directory / row["lexical"]).is_file():
            continue
        try:
            doc_ids, _, _ = read_names(directory / row["ids"])
        except (OSError, KeyError, ValueError) as error:
            raise damaged(directory, row["ids"], error) from error
        check_postings(directory / row["lexical"], doc_ids=doc_ids.to_pylist())
        if len(doc_ids) != row["rows"]:
            raise IntegrityError(
                f"{row['ids']} names {len(doc_ids)} documents, its index.json says {row['rows']}; "
                "build it again"
            )


def _is_box_of_codes(index: faiss.Index) -> bool:
    kind = faiss.ScalarQuantizer.QT_8bit_direct
    return isinstance(index, faiss.IndexIVFScalarQuantizer) and index.sq.qtype == kind
