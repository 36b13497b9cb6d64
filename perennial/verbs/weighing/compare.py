"""The vectors of a release under every tested index and width: the rows of the page."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from perennial.data.catalogue import Documents, read_documents, read_texts
from perennial.errors import BadInput
from perennial.index.factory import Factory, parse
from perennial.index.variants import Variant, variants
from perennial.model.digest import text_digests
from perennial.model.encoder import Encoder
from perennial.params.whole import Params
from perennial.quality.frontier import cost_of_queries, undominated
from perennial.release.manifests.manifest import Manifest
from perennial.release.publishing.bridged import refuse_bridged
from perennial.release.stores.store import Store
from perennial.report.pareto_view import ParetoRow, ParetoView, Prices
from perennial.serving.loaded import load_release
from perennial.verbs.bridging.sample import Progress, common_rows, embed, logged_queries
from perennial.verbs.weighing.measure import Exam, Weighed, weigh

_TITLE = 80  # characters of a document that stand in for a query
_LEAST_QUERIES = 20


def compare_indexes(
    release_id: str,
    *,
    source: Path,
    params: Params,
    store: Store,
    cache: Path,
    queries: int,
    widths: Sequence[int],
    prices: Prices,
    now: datetime,
    key: bytes | None,
    say: Callable[[str], None],
    progress: Progress,
    clock: Callable[[], float] = time.perf_counter,
    busy: Callable[[], float] = time.thread_time,
) -> ParetoView:
    """Embed what the release holds, once, and measure each index of it; raises BadInput."""
    release = load_release(store, release_id, cache, key=key)
    manifest = release.manifest
    refuse_bridged(manifest, to="compared with other indexes")
    documents = read_documents(source / "catalogue.parquet", digests_of=text_digests)
    rows = common_rows(store, manifest, documents)
    vectors = embed(
        documents,
        rows,
        encoder=release.encoder,
        vectors=cache / "vectors",
        what="the release's",
        progress=progress,
    )
    exam = Exam.of(
        vectors, _asked(store, manifest, release.encoder, documents, rows, queries, params)
    )
    serving = parse(manifest.index.factory, dimension=manifest.encoder.dimension)
    tried, left_out = variants(
        rows=len(rows), dimension=manifest.encoder.dimension, widths=widths, serving=serving
    )
    weighed = []
    for number, variant in enumerate(tried, 1):
        say(f"{number} of {len(tried)}: {variant.factory.name} of {variant.dimension} dimensions")
        weighed.append(
            weigh(
                variant,
                exam,
                recall_target=params.index.recall_target,
                memory_mb=params.index.memory_mb,
                samples=params.evaluate.bootstrap_samples,
                confidence=params.evaluate.confidence,
                seed=params.index.seed,
                clock=clock,
                busy=busy,
            )
        )
    return ParetoView(
        release_id=release_id,
        at=now,
        documents=len(rows),
        queries=len(exam.queries),
        recall_target=params.index.recall_target,
        confidence=params.evaluate.confidence,
        prices=prices,
        rows=_rows(weighed, Variant(manifest.encoder.dimension, serving), prices),
        left_out=left_out,
    )


def _asked(
    store: Store,
    manifest: Manifest,
    encoder: Encoder,
    documents: Documents,
    rows: np.ndarray,
    count: int,
    params: Params,
) -> np.ndarray:
    """(q, d) queries of the log that made the release; before the first one documents' beginnings
    stand in for them."""
    generator = np.random.default_rng(params.index.seed)
    logged = logged_queries(store, manifest)
    if logged:
        asked = [logged[row] for row in np.sort(generator.permutation(len(logged))[:count])]
    else:
        drawn = np.sort(generator.permutation(rows)[:count])
        asked = [text[:_TITLE] for text in read_texts(documents, drawn)]
    found = encoder.encode(asked)
    found = found[np.any(found != 0, axis=1)]
    if len(found) < _LEAST_QUERIES:
        raise BadInput(
            f"{manifest.release_id} carries {len(found)} queries that its encoder knows a word of, "
            f"and fewer than {_LEAST_QUERIES} measure nothing; retrain on a longer log first"
        )
    return found


def _rows(weighed: Sequence[Weighed], serving: Variant, prices: Prices) -> list[ParetoRow]:
    costs = [
        cost_of_queries(
            seconds=each.busy_ms / 1000,
            memory=each.bytes,
            rate=prices.rate,
            per_core_hour=prices.per_core_hour,
            per_gigabyte_hour=prices.per_gigabyte_hour,
        )
        for each in weighed
    ]
    front = undominated(
        np.array(
            [
                (-(each.recall.value or 0.0), each.p50_ms, each.bytes, cost)
                for each, cost in zip(weighed, costs, strict=True)
            ]
        )
    )
    return [
        ParetoRow(
            dimension=each.variant.dimension,
            kind=each.variant.factory.kind,
            factory=each.variant.factory.name,
            codes=_codes(each.variant.factory),
            settings=", ".join(f"{name} {value}" for name, value in each.settings.items()) or "all",
            recall=each.recall,
            p50_ms=each.p50_ms,
            p95_ms=each.p95_ms,
            bytes=each.bytes,
            build_seconds=each.build_seconds,
            cost=cost,
            on_front=bool(on_front),
            serves=each.variant == serving,
        )
        for each, cost, on_front in zip(weighed, costs, front, strict=True)
    ]


def _codes(factory: Factory) -> str:
    return "float32" if factory.is_lossless else f"{factory.codes}{factory.parts or ''}"
