"""Triplets on real text that either trainer learns from, and the held-out queries that judge it."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from infra.bench.train_exam import Exam
from perennial.data.documents import indexed_texts
from perennial.data.negatives import Pairs, mine_negatives
from perennial.data.sources.apidocs import read_apidocs
from perennial.data.sources.beir import read_beir
from perennial.data.split import is_held_out
from perennial.index.exact import chunks_of, exact_search
from perennial.model.encoder import load_encoder
from perennial.params.whole import Params
from perennial.verbs.bootstrap import first_encoder

NEGATIVES, LOOK_AT = 4, 30
MAX_ANSWERS = 3  # per query
UNSEEN = "test_unseen_docs.tsv"  # SciFact's: its other test queries share answers with the training


@dataclass(frozen=True)
class Triplets:
    """t triplets of texts: (t,) queries and positives, (t, 4) negatives, hardest first."""

    queries: list[str]
    positives: list[str]
    negatives: list[list[str]]

    def __len__(self) -> int:
        return len(self.queries)

    def first(self, count: int) -> "Triplets":
        """The first ones."""
        return Triplets(self.queries[:count], self.positives[:count], self.negatives[:count])


def write_world(
    place: Path,
    *,
    params: Params,
    folder: Path | None = None,
    most_triplets: int = 10**9,
    most_queries: int = 10**9,
    most_documents: int = 10**9,
) -> None:
    """Write triplets.json, exam.json and the static first encoder of apidocs, or of a folder in
    BEIR's layout, which is taught by qrels/train.tsv and examined by test.tsv.

    The negatives are the nearest documents under a static encoder that knows the catalogue alone;
    the exam has all answers and other documents up to `most_documents`.
    """
    place.mkdir(parents=True, exist_ok=True)
    catalogue, taught, asked, unseen = _texts(place, params, folder)
    texts = indexed_texts(catalogue)
    drawn = np.random.default_rng(params.bootstrap.seed)
    names = drawn.permutation(np.unique(asked["query"].to_numpy(dtype=str)))[:most_queries]
    asked = asked[asked["query"].isin(names)]
    first_encoder(place / "static", catalogue, params)
    place_of = pd.Index(catalogue["doc_id"])
    mined = _mined(taught, texts, place_of, place / "static")
    _write(place / "triplets.json", vars(mined.first(most_triplets)))
    answers = np.unique(place_of.get_indexer(pd.Index(asked["doc_id"])))
    others = np.setdiff1d(np.arange(len(texts)), answers)
    others = drawn.permutation(others)[: max(0, most_documents - len(answers))]
    chosen = np.sort(np.concatenate([answers, others]))
    number = {doc_id: str(n) for n, doc_id in enumerate(catalogue["doc_id"].iloc[chosen])}
    judgements: dict[str, dict[str, int]] = {}
    for query, doc_id, given in zip(asked["query"], asked["doc_id"], asked["grade"], strict=True):
        judgements.setdefault(query, {})[number[doc_id]] = int(given)
    queries = sorted(judgements)
    paper = Exam(queries, [q in unseen for q in queries], [texts[n] for n in chosen], judgements)
    _write(place / "exam.json", vars(paper))


def read_triplets(place: Path) -> Triplets:
    """What write_world wrote."""
    return Triplets(**json.loads((place / "triplets.json").read_text(encoding="utf-8")))


def as_examples(given: Triplets) -> Any:
    """The same for our loop: rows of distinct texts."""
    from scipy.sparse import csr_array

    from perennial.model.examples import Examples

    queries, query = np.unique(np.array(given.queries, dtype=object), return_inverse=True)
    named = np.array([[p, *n] for p, n in zip(given.positives, given.negatives, strict=True)])
    documents, row = np.unique(named.astype(object), return_inverse=True)
    row = row.reshape(named.shape)
    known = csr_array(
        (np.ones(len(query), dtype=np.int8), (query, row[:, 0])),
        shape=(len(queries), len(documents)),
    )
    return Examples(
        list(queries), list(documents), query, row[:, 0], row[:, 1:], csr_array(known != 0)
    )


def _texts(
    place: Path, params: Params, folder: Path | None
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, set[str]]:
    """The catalogue, the answers that teach, those of the exam, and its queries whose answers do
    not teach, where the folder has a file of them."""
    start = datetime.fromisoformat(params.simulate.start)
    if folder is None:
        catalogue, truth = read_apidocs(updated_at=start)
        held = is_held_out(
            truth["query"].tolist(), share=params.split.held_out_share, salt=params.split.salt
        )
        return catalogue, truth[~held], truth[held], set()
    views = []
    names = [n for n in ("train.tsv", "test.tsv", UNSEEN) if (folder / "qrels" / n).exists()]
    for name in names:
        view = place / "views" / name
        (view / "qrels").mkdir(parents=True)
        for path in [*folder.glob("corpus.*"), *folder.glob("queries.*")]:
            (view / path.name).symlink_to(path.absolute())
        (view / "qrels" / name).symlink_to((folder / "qrels" / name).absolute())
        views.append(read_beir(view, updated_at=start))
    unseen = set(views[2][1]["query"]) if len(views) > 2 else set()
    return views[0][0], views[0][1], views[1][1], unseen


def _mined(truth: pd.DataFrame, texts: list[str], place_of: pd.Index, static: Path) -> Triplets:
    truth = truth[truth.groupby("query").cumcount() < MAX_ANSWERS]
    names, query = np.unique(truth["query"].to_numpy(dtype=str), return_inverse=True)
    answer = place_of.get_indexer(pd.Index(truth["doc_id"]))
    encoder = load_encoder(static)
    asked, documents = encoder.encode(names.tolist()), encoder.encode(texts)
    none = Pairs(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
    mined = mine_negatives(
        asked=asked,
        documents=documents,
        positives=Pairs(query, answer),
        never=none,
        passed=none,
        search=lambda queries, k: exact_search(queries, chunks_of(documents), k),
        count=NEGATIVES,
        look_at=LOOK_AT,
        max_positive_share=1.0,
    )
    full = (mined.rows >= 0).all(axis=1)[query]
    order = np.random.default_rng(0).permutation(np.flatnonzero(full))
    return Triplets(
        [str(names[query[n]]) for n in order],
        [texts[answer[n]] for n in order],
        [[texts[row] for row in mined.rows[query[n]]] for n in order],
    )


def _write(path: Path, value: dict[str, object]) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")
