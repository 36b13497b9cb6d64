"""index: the candidate's encoder and the catalogue to the candidate's index."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from perennial.compute.place import HERE, Compute
from perennial.data.documents import indexed_texts
from perennial.data.references import REFERENCES, sample_references
from perennial.data.tables import read_table
from perennial.index.build import build_index
from perennial.index.health import index_health
from perennial.model.digest import text_digest
from perennial.model.encoder import Encoder, load_encoder
from perennial.model.vectors import Encoding, VectorCache
from perennial.params.index import Index as IndexParams
from perennial.params.whole import Params
from perennial.quality.spread import effective_rank, spread
from perennial.stages.computing import computing
from perennial.stages.shell import main, write_json
from perennial.workspace import Workspace

_SECONDS_BETWEEN_LINES = 5.0


@dataclass(frozen=True)
class Indexed:
    """What was built, as a manifest tells it."""

    rows: int
    factory: str
    catalogue: dict[str, Any]
    health: dict[str, float]


def run(workspace: Workspace, params: Params) -> None:
    """Write artifacts/index: index/, references/, variance.csv and summary.json."""
    section = params.index
    about = json.loads((workspace.snapshot / "snapshot.json").read_text(encoding="utf-8"))
    channel = str(about["channel"])
    with computing(params.compute) as place:
        indexed = index_catalogue(
            read_table(workspace.table("catalogue")),
            encoder=workspace.artifacts("train") / "encoder",
            asked=_asked(workspace, section, channel),
            to=workspace.artifacts("index"),
            vectors=workspace.work("index") / "vectors",
            section=section,
            place=place,
        )
    write_json(
        workspace.artifacts("index") / "summary.json",
        {
            "rows": indexed.rows,
            "live": indexed.rows,
            "factory": indexed.factory,
            "catalogue": indexed.catalogue,
            "health": indexed.health,
        },
    )


def _asked(workspace: Workspace, section: IndexParams, channel: str) -> pa.Table:
    found = sample_references(
        workspace.log("requests"),
        channel=channel,
        days=section.reference_days,
        most=section.reference_queries,
        seed=section.seed,
    )
    if not len(found):
        said = f"index: no request of the log is of channel {channel}: whether its queries drift"
        print(f"{said} from the champion's will not be seen", file=sys.stderr)
    return found


def index_catalogue(
    catalogue: pd.DataFrame,
    *,
    encoder: Path,
    asked: pa.Table | None,
    to: Path,
    vectors: Path,
    section: IndexParams,
    place: Compute = HERE,
) -> Indexed:
    """Embed and index a whole catalogue into `to`/index, with `to`/references for later drift.

    What was `asked` is None before the first log. The folder `vectors` keeps what was embedded, so
    that a run which was killed goes on there.
    """
    catalogue = catalogue.sort_values("doc_id").reset_index(drop=True)
    texts, doc_ids = indexed_texts(catalogue), catalogue["doc_id"].tolist()
    loaded = load_encoder(encoder, batch_size=section.batch_size)
    digests = [text_digest(text) for text in texts]
    encode = place.encoding(loaded.digest, encoder, batch_size=section.batch_size)
    embedded = _embed(loaded, texts, digests, folder=vectors, encode=encode)
    generator = np.random.default_rng(section.seed)
    asked = REFERENCES.empty_table() if asked is None else asked
    kept = _sample(list(range(len(embedded))), section.reference_vectors, generator)
    references = to / "references"
    references.mkdir(parents=True, exist_ok=True)
    pq.write_table(asked, references / "queries.parquet")
    np.save(references / "vectors.npy", embedded[kept], allow_pickle=False)

    # Before the first log the documents' own titles stand in for queries.
    probes = loaded.encode(
        asked["query"].to_pylist() or [texts[row][:80] for row in kept[: section.reference_queries]]
    )
    index = build_index(
        to / "index",
        vectors=embedded,
        doc_ids=doc_ids,
        text_digests=digests,
        slices=catalogue["slice"].astype(object).where(catalogue["slice"].notna(), None).tolist(),
        encoder_digest=loaded.digest,
        factory=section.factory,
        recall_target=section.recall_target,
        memory_mb=section.memory_mb,
        probes=probes,
        seed=section.seed,
        texts=texts if section.lexical else None,
        row_codes=place.row_codes(),
    )
    health = index_health(
        index, vectors=embedded, doc_ids=doc_ids, probes=probes, seed=section.seed
    )
    variance: Sequence[float] = [0.0] * embedded.shape[1]
    if len(embedded) < 2:  # a single document has no stranger to be near to
        health["effective_rank"] = effective_rank(embedded)
    else:
        space = spread(embedded, pairs=2000, seed=section.seed)
        variance = space.variance
        health |= {
            "effective_rank": space.effective_rank,
            "variance_mean": space.variance_mean,
            "variance_min": space.variance_min,
            "mean_similarity": space.mean_similarity,
        }
    pd.DataFrame({"dimension": np.arange(len(variance)), "variance": variance}).to_csv(
        to / "variance.csv", index=False, float_format="%.8g", lineterminator="\n"
    )
    updated = pd.to_datetime(catalogue["updated_at"], utc=True).max()
    return Indexed(
        rows=len(doc_ids),
        factory=index.factory,
        catalogue={
            "digest": text_digest(
                "\n".join(f"{d}\t{t}" for d, t in zip(doc_ids, digests, strict=True))
            ),
            "watermark": updated.isoformat().replace("+00:00", "Z"),
            "documents": len(doc_ids),
        },
        health={name: round(float(value), 6) for name, value in health.items()},
    )


def _embed(
    encoder: Encoder,
    texts: Sequence[str],
    digests: Sequence[str],
    *,
    folder: Path,
    encode: Encoding | None,
) -> np.ndarray:
    """(n, d) vectors of the texts; every few seconds a line says how many there are."""
    done, said = 0, time.monotonic()

    def tell(more: int) -> None:
        nonlocal done, said
        done += more
        if time.monotonic() - said > _SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            _tell(f"{done:,} of {len(texts):,} texts have their vector")

    with VectorCache.open(
        folder, encoder_digest=encoder.digest, dimension=encoder.dimension, say=_tell
    ) as cache:
        return cache.embed(encoder, texts, digests, encode=encode, progress=tell)


def _tell(line: str) -> None:
    print(f"index: {line}", file=sys.stderr, flush=True)  # stdout may be read by a program


def _sample(items: list[Any], count: int, generator: np.random.Generator) -> list[Any]:
    if len(items) <= count:
        return items
    return [items[i] for i in np.sort(generator.choice(len(items), count, replace=False))]


if __name__ == "__main__":
    main("index", run)
