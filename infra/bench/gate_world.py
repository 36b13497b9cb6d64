"""Two encoders that really differ on apidocs, query by query: what the gate's noise is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from perennial.data.documents import indexed_texts
from perennial.data.sources.apidocs import read_apidocs
from perennial.data.split import is_held_out
from perennial.index.exact import chunks_of, exact_search
from perennial.model.encoder import load_encoder
from perennial.params.whole import Params
from perennial.quality.metrics import DEPTH, METRICS, per_query_metrics
from perennial.verbs.bootstrap import first_encoder


@dataclass(frozen=True)
class Population:
    """(q, m) differences per query and metric, and each query's slice; where they come from."""

    differences: np.ndarray
    slices: list[str | None]
    origin: str

    @property
    def spread(self) -> np.ndarray:
        """(m,) standard deviations."""
        return np.asarray(self.differences.std(axis=0))

    def centred(self) -> np.ndarray:
        """The same differences with no difference on average."""
        return np.asarray(self.differences - self.differences.mean(axis=0))


def of_a_run(scores: Path) -> Population:
    """Candidate - champion of a retrain's artifacts/evaluate/per_query.parquet."""
    frame = pd.read_parquet(scores)
    sides = {s: frame[frame["system"] == s].sort_values("query") for s in ("champion", "candidate")}
    ours, theirs = (sides[s][list(METRICS)].to_numpy() for s in ("candidate", "champion"))
    slices = [None if pd.isna(name) else str(name) for name in sides["champion"]["slice"]]
    return Population(ours - theirs, slices, str(scores))


def of_two_seeds(params: Params, place: Path) -> Population:
    """Two first encoders of one catalogue from two seeds, on the held-out See Also queries.

    They share no direction of their spaces: what separates them is more noise than a retrain's.
    """
    catalogue, truth = read_apidocs(updated_at=datetime.fromisoformat(params.simulate.start))
    held = is_held_out(
        truth["query"].tolist(), share=params.split.held_out_share, salt=params.split.salt
    )
    judgements: dict[str, dict[str, int]] = {}
    for query, doc_id, grade in truth[held & (truth["grade"].to_numpy() > 0)][
        ["query", "doc_id", "grade"]
    ].itertuples(index=False):
        judgements.setdefault(query, {})[doc_id] = int(grade)
    queries = sorted(judgements)
    scores = [
        _scores(params, place / str(seed), catalogue, queries, judgements, seed=seed)
        for seed in (params.bootstrap.seed, params.bootstrap.seed + 1)
    ]
    slice_of = catalogue.set_index("doc_id")["slice"].to_dict()
    slices = [str(slice_of[next(iter(judgements[query]))]) for query in queries]
    return Population(scores[1] - scores[0], slices, "two first encoders of apidocs")


def _scores(
    params: Params,
    place: Path,
    catalogue: pd.DataFrame,
    queries: Sequence[str],
    judgements: dict[str, dict[str, int]],
    *,
    seed: int,
) -> np.ndarray:
    first_encoder(place, catalogue, params, seed=seed)
    encoder = load_encoder(place)
    documents = encoder.encode(indexed_texts(catalogue))
    _, rows = exact_search(encoder.encode(queries), chunks_of(documents), DEPTH)
    found = per_query_metrics(queries, catalogue["doc_id"].to_numpy(dtype=object)[rows], judgements)
    return np.stack([found[name] for name in METRICS], axis=1)
