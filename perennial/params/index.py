"""The index: made anew, grown by each reindex, bridged to a new encoder."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from perennial.params.section import Count, NotNegative, Rate, Section, Seed, Share


def _tested_factory(name: str) -> str:
    codes = r"(Flat|SQ8|PQ[1-9]\d*(x8)?)"
    if not re.fullmatch(rf"auto|Flat|IVF[1-9]\d*,{codes}|HNSW[1-9]\d*(,Flat)?", name):
        raise ValueError(
            "not a tested index (others cannot filter dead rows, or not be merged); choose one of "
            "auto, Flat, IVFn,Flat, IVFn,SQ8, IVFn,PQm, HNSWm"
        )
    return name


class Index(Section):
    factory: Annotated[str, AfterValidator(_tested_factory)]
    memory_mb: Count
    recall_target: Rate
    lexical: bool
    reference_queries: Count
    reference_days: Count
    reference_vectors: Count
    batch_size: Count
    seed: Seed


class Reindex(Section):
    max_removed_share: Share
    lexical_first: Annotated[int, Field(ge=0)]
    fanout: Annotated[int, Field(ge=2)]
    max_segments: Count
    max_dead_share: Annotated[float, Field(gt=0, le=1)]
    probes: Count
    min_ann_recall: Share
    min_coverage: Share
    min_self_retrieval: Share
    max_imbalance: Annotated[float, Field(ge=1)]
    max_imbalance_growth: Annotated[float, Field(ge=1)]
    max_recall_loss: Share
    max_codes_loss: Share
    confidence: Annotated[float, Field(gt=0, lt=1)]
    cache_mb: Count
    seed: Seed


class Bridge(Section):
    sample: Count
    held_out_share: Annotated[float, Field(gt=0, lt=1)]
    queries: Count
    ridge: NotNegative
    rank: Count | None
    min_recall: Share
    seed: Seed
