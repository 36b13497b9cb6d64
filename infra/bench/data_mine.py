"""Mining after embedding, beside sentence-transformers' mine_hard_negatives with FAISS."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from infra.bench.apart import apart
from infra.bench.measured import Cost, watched
from infra.bench.row import Row, row
from perennial.stages.mining import is_narrow

NEGATIVES, MARGIN = 8, 0.05
LOOK_AT = 10 * NEGATIVES + 1  # ranks: what mine_hard_negatives takes by itself
DIMENSION, CENTRES = 384, 500
SEED = 47


def rows(home: Path, *, queries: int, documents: int) -> list[Row]:
    """Theirs, and ours with products in either precision; the bounds are on what `auto` takes.

    Memory is bounded in what mining itself takes: the vectors and torch are there on both sides.
    """
    write_vectors(home, queries=queries, documents=documents)
    theirs = apart(mine_theirs, home)
    their_cost, their_choice = theirs.answer
    many = float(queries) * documents * DIMENSION
    chosen_here = "bf16" if is_narrow("auto", multiplications=many) else "float32"
    found = []
    for precision in ("float32", "bf16"):
        ours = apart(mine_ours, home, precision)
        cost, chosen = ours.answer
        judged = precision == chosen_here
        what = f"mine {queries:,} queries x {documents:,}, {precision}"
        beside = "mine_hard_negatives with FAISS"
        found += [
            row(what, cost.seconds, "s", against=beside, base=their_cost.seconds,
                at_most=0.5 if judged else None, of_ratio=judged),
            row(f"{what}: peak memory beyond vectors and imports", cost.peak_mb, "MB",
                against=beside, base=their_cost.peak_mb,
                at_most=1 / 3 if judged else None, of_ratio=judged),
            row(f"{what}: peak memory of the process", ours.peak_mb, "MB", against=beside,
                base=theirs.peak_mb),
            row(f"{what}: their negatives among ours", agreement(chosen, their_choice), "share",
                at_least=0.999),
        ]  # fmt: skip
    floor = apart(multiply, home).answer
    found.append(
        row("their products alone, float32", floor, "s", against="mine_hard_negatives with FAISS",
            base=their_cost.seconds)
    )  # fmt: skip
    return found


def write_vectors(home: Path, *, queries: int, documents: int) -> None:
    """Unit documents about some centres, and queries near one document each, their positive."""
    home.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(SEED)
    centres = _unit(generator.standard_normal((CENTRES, DIMENSION), dtype=np.float32))
    about = centres[generator.integers(0, CENTRES, documents)]
    noise = _unit(generator.standard_normal((documents, DIMENSION), dtype=np.float32))
    given = _unit(about + noise)
    positives = generator.choice(documents, queries, replace=False)
    noise = _unit(generator.standard_normal((queries, DIMENSION), dtype=np.float32))
    np.save(home / "documents.npy", given)
    np.save(home / "positives.npy", positives)
    np.save(home / "queries.npy", _unit(given[positives] + noise))


def mine_ours(home: Path, precision: str) -> tuple[Cost, np.ndarray]:
    """(cost, (q, 8) rows): from vectors and pairs to the table of triplets."""
    from perennial.data.mine import make_triplets
    from perennial.data.negatives import Pairs, dot_scores, mine_negatives
    from perennial.index.exact import chunks_of, exact_search
    from perennial.index.narrow import narrow_search

    asked, documents, answers = _read(home)
    ids = np.array([f"doc-{n}" for n in range(len(documents))], dtype=object)
    names = [f"query-{n}" for n in range(len(asked))]
    none = Pairs(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))

    def search(queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        if precision == "bf16":
            return narrow_search(queries, documents, k)
        return exact_search(queries, chunks_of(documents), k)

    if precision == "bf16":
        import torch  # noqa: F401  the first search would import it
    with watched() as cost:
        positives = Pairs(np.arange(len(asked)), answers)
        mined = mine_negatives(
            asked=asked,
            documents=documents,
            positives=positives,
            never=none,
            passed=none,
            search=search,
            count=NEGATIVES,
            look_at=LOOK_AT + 1,  # they look one further for each positive
            max_random=0,
            max_positive_share=1.0 - MARGIN,
        )
        scores = dot_scores(asked, documents)(positives.query, positives.document)
        make_triplets(names, ids, positives=positives, positive_scores=scores, mined=mined)
    return cost, mined.rows


def multiply(home: Path) -> float:
    """Seconds for all products in float32 and nothing else: no search by them can be quicker."""
    asked, documents, _ = _read(home)
    out = np.empty((1024, 8192), dtype=np.float32)
    began = time.perf_counter()
    for start in range(0, len(asked), len(out)):
        for first in range(0, len(documents), out.shape[1]):
            one, other = asked[start : start + len(out)], documents[first : first + out.shape[1]]
            np.matmul(one, other.T, out=out[: len(one), : len(other)])
    return time.perf_counter() - began


def mine_theirs(home: Path) -> tuple[Cost, np.ndarray]:
    """(cost, (q, 8) rows), by a model that knows all vectors already."""
    import faiss  # noqa: F401  mine_hard_negatives would import it
    from datasets import Dataset, disable_progress_bars
    from sentence_transformers.util import mine_hard_negatives

    disable_progress_bars()
    asked, documents, answers = _read(home)
    pairs = Dataset.from_dict(
        {"query": [f"query-{n}" for n in range(len(asked))], "answer": [f"{n}" for n in answers]}
    )
    corpus = [f"{n}" for n in range(len(documents))]
    model: Any = _Given(asked, documents)
    with watched() as cost:
        mined = mine_hard_negatives(
            pairs,
            model,
            corpus=corpus,
            num_negatives=NEGATIVES,
            relative_margin=MARGIN,
            output_format="labeled-list",
            use_faiss=True,
            verbose=False,
        )
    found = np.full((len(asked), NEGATIVES), -1, dtype=np.int64)
    for name, chosen in zip(mined["query"], mined["answer"], strict=True):
        found[int(name.removeprefix("query-")), : len(chosen) - 1] = [int(n) for n in chosen[1:]]
    return cost, found


def agreement(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The share of all their negatives that are among ours for the same query."""
    known = theirs >= 0
    both = (theirs[:, :, None] == ours[:, None, :]).any(axis=2) & known
    return float(both.sum() / max(known.sum(), 1))


class _Given:
    """What mine_hard_negatives asks of a model, without a model."""

    def __init__(self, queries: np.ndarray, documents: np.ndarray) -> None:
        import torch
        from sentence_transformers.util import dot_score, pairwise_dot_score

        self.device = torch.device("cpu")
        self.similarity: Callable[..., Any] = dot_score
        self.similarity_pairwise: Callable[..., Any] = pairwise_dot_score
        self._queries, self._documents = queries, documents

    def get_embedding_dimension(self) -> int:
        return self._documents.shape[1]

    def encode_document(self, texts: list[str], **more: object) -> np.ndarray:
        assert texts == [f"{n}" for n in range(len(self._documents))]
        return self._documents

    def encode_query(self, texts: list[str], **more: object) -> np.ndarray:
        assert len(texts) == len(self._queries)
        return self._queries


def _read(home: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tuple(np.load(home / f"{name}.npy") for name in ("queries", "documents", "positives"))


def _unit(rows: np.ndarray) -> np.ndarray:
    out: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return out
