"""The first queries of a release, asked before it serves: they touch what later ones need."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from perennial.errors import IntegrityError


def first_queries(directory: Path, *, otherwise: Sequence[str], count: int) -> list[str]:
    """Some real queries: of the release's own references, or those that were asked last."""
    path = directory / "references" / "queries.parquet"
    if not path.is_file():
        return list(otherwise)[:count]
    try:
        with pq.ParquetFile(path) as stream:
            batch = next(stream.iter_batches(batch_size=count, columns=["query"]), None)
    except (pa.ArrowException, OSError) as error:
        raise IntegrityError(
            f"{path} cannot be read ({error}); run `perennial verify`, then `perennial rollback`"
        ) from error
    found = [] if batch is None else batch.column(0).to_pylist()
    return [query for query in found if query and query.strip()]
