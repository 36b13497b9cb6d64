"""The best bridge that can be fitted on a sample, and what it finds."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from perennial.data.catalogue import Documents
from perennial.index.agreement import fit_each
from perennial.index.bridge import Bridge
from perennial.index.linear import KINDS
from perennial.model.encoder import Encoder
from perennial.params.gate import Evaluate
from perennial.params.index import Bridge as BridgeParams
from perennial.quality.bridged import judge_bridge
from perennial.quality.decision import Decision
from perennial.serving.loaded import LoadedRelease
from perennial.verbs.bridging.measure import K, Measured, measure_full, measure_sampled
from perennial.verbs.bridging.sample import Progress, Sample, embed, embed_sample


@dataclass(frozen=True)
class Fitted:
    """The bridge of the best kind; `tried` is {kind: recall@10} by other queries.

    `full` is None where the catalogue was not embedded as a whole.
    """

    kind: str
    bridge: Bridge
    tried: dict[str, float]
    sample: Sample
    sampled: Measured
    full: Measured | None
    decision: Decision

    @property
    def fitted_on(self) -> int:
        return int((~self.sample.held).sum())

    @property
    def found(self) -> Measured:
        """What the decision rests on: the full measure where there is one."""
        return self.full or self.sampled


def fit_and_measure(
    documents: Documents,
    rows: np.ndarray,
    *,
    new: Encoder,
    champion: LoadedRelease,
    logged: list[str],
    section: BridgeParams,
    evaluate: Evaluate,
    vectors: Path,
    full: bool,
    progress: Progress,
) -> Fitted:
    """Fit every kind on some of the rows, choose and measure on others.

    The `rows` are those that the champion's index holds; raises BadInput.
    """
    sample = embed_sample(
        documents,
        rows,
        new=new,
        old=champion.encoder,
        logged=logged,
        count=section.sample,
        held_out_share=section.held_out_share,
        queries=section.queries,
        vectors=vectors,
        seed=section.seed,
        progress=progress,
    )
    # Half of the queries choose the kind, and the other half tell what it finds.
    choosing, sample = sample.asked_new[::2], sample.measuring(slice(1, None, 2))
    tried = fit_each(
        KINDS,
        new=sample.new,
        old=sample.old,
        held=sample.held,
        asked=choosing,
        ridge=section.ridge,
        rank=section.rank,
        k=K,
    )
    kind, (bridge, _) = next(iter(tried.items()))
    samples, confidence, seed = evaluate.bootstrap_samples, evaluate.confidence, evaluate.seed
    sampled = measure_sampled(bridge, sample, samples=samples, confidence=confidence, seed=seed)
    whole = None
    if full:
        whole = measure_full(
            bridge,
            sample,
            index=champion.index,
            doc_ids=documents.doc_ids.take(pa.array(rows)).to_pylist(),
            vectors=embed(
                documents, rows, encoder=new, vectors=vectors, what="new", progress=progress
            ),
            samples=samples,
            confidence=confidence,
            seed=seed,
        )
    found = whole or sampled
    decision = judge_bridge(recall=found.bridged, gain=found.gain, min_recall=section.min_recall)
    recalls = {name: recall for name, (_, recall) in tried.items()}
    return Fitted(kind, bridge, recalls, sample, sampled, whole, decision)
