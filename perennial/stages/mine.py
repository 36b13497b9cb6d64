"""mine: judgements to triplets, with hard negatives by a teacher's own neighbourhoods."""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import csr_array

from perennial.data.audit import audit_triplets, breaches
from perennial.data.documents import indexed_texts
from perennial.data.mine import forbidden_pairs, make_triplets, surest
from perennial.data.negatives import ORIGINS, Pairs, Search, dot_scores, mine_negatives
from perennial.data.split import content_key
from perennial.data.tables import read_table
from perennial.data.twins import near_duplicates
from perennial.errors import BadInput, Refused
from perennial.index.exact import chunks_of, exact_search
from perennial.index.index import Index
from perennial.index.narrow import narrow_search
from perennial.model.digest import directory_digest, text_digest
from perennial.model.encoder import Encoder, load_encoder
from perennial.model.teacher import is_cross_encoder, load_cross_encoder
from perennial.model.vectors import VectorCache
from perennial.params import Params
from perennial.stages.shell import main, write_json
from perennial.workspace import Workspace


def run(workspace: Workspace, params: Params) -> None:
    """Write artifacts/mine: triplets.parquet, audit.json and summary.json; Refused by the audit."""
    section = params.mine
    catalogue = read_table(workspace.table("catalogue"))
    judged = read_table(workspace.artifacts("judge") / "judgements.parquet")
    doc_ids, texts = catalogue["doc_id"].to_numpy(dtype=object), indexed_texts(catalogue)
    judged = judged.assign(row=pd.Index(doc_ids).get_indexer(judged["doc_id"]))
    judged = judged[judged["row"] >= 0]  # the others are gone since
    positive = surest(judged[judged["label"] == "positive"], section.max_positives)
    if not len(positive):
        raise BadInput("no judged document is in the catalogue any more; take a new snapshot")
    queries, every = sorted(positive["query"].unique()), sorted(judged["query"].unique())
    place, at = pd.Index(queries), pd.Index(every)
    passed = judged[(judged["label"] == "negative") & judged["query"].isin(place)]
    maybe = judged[judged["label"] != "negative"]

    teacher = None if section.teacher == "champion" else Path(section.teacher)
    crossing = teacher is not None and is_cross_encoder(teacher)
    champion = workspace.champion / "encoder"
    encoder = load_encoder(
        champion if teacher is None or crossing else teacher, batch_size=params.index.batch_size
    )
    documents = _embed(encoder, texts, workspace.work("mine") / "vectors")
    asked = encoder.encode(every)
    own = at.get_indexer(place)
    if section.search == "index":
        if encoder.digest != directory_digest(champion):
            raise BadInput(
                f"mine.search is index, but the champion's index does not hold the vectors of "
                f"mine.teacher {section.teacher}; set mine.search to exact"
            )
        search = _in_index(
            Index.open(workspace.champion / "index", encoder_digest=encoder.digest), doc_ids
        )
    else:
        search = _in_all(documents, section.precision)
    wanted = np.unique(maybe["row"].to_numpy())
    twins = near_duplicates(texts, wanted, min_resemblance=section.min_resemblance)
    known = csr_array(
        (np.ones(len(maybe), dtype=np.int64), (at.get_indexer(maybe["query"]), maybe["row"])),
        shape=(len(every), len(doc_ids)),
    )
    positives = _pairs(positive, place)
    score = dot_scores(asked[own], documents)
    if teacher is not None and crossing:
        score = load_cross_encoder(
            teacher, queries=queries, documents=texts, batch_size=params.index.batch_size
        )
    mined = mine_negatives(
        asked=asked[own],
        documents=documents,
        positives=positives,
        never=forbidden_pairs(
            known,
            [content_key(query) for query in every],
            asked,
            queries=own,
            twins=twins,
            similar_query=section.similar_query,
            search=_in_all(asked, "float32"),
        ),
        passed=_pairs(passed, place),
        search=search,
        count=section.negatives,
        look_at=section.neighbours,
        skip=section.skip_neighbours,
        max_log=section.log_negatives,
        max_random=section.random_negatives,
        max_positive_share=section.max_positive_share,
        absolute_margin=section.absolute_margin,
        seed=section.seed,
        score=score if crossing or section.search == "index" else None,
    )
    scores = score(positives.query, positives.document)
    triplets = make_triplets(
        queries, doc_ids, positives=positives, positive_scores=scores, mined=mined
    )
    audit = audit_triplets(
        triplets,
        labels=judged[judged["source"] == "label"],
        twins=pd.DataFrame({"positive": doc_ids[twins[0]], "doc_id": doc_ids[twins[1]]}),
        negatives=min(section.negatives, len(doc_ids) - 1),  # a tiny catalogue has no more
        limits={
            "duplicates_of_positives": 0,
            "short_share": section.max_short_share,
            "relevant_share": section.max_relevant_share,
        },
        examples=section.examples,
    )
    write_json(workspace.work("mine") / "audit.json", audit)
    if broken := breaches(audit):
        raise Refused(
            f"the audit of the negatives fails: {'; '.join(broken)}; look at "
            f"{workspace.work('mine') / 'audit.json'}, then mend the data or the section mine"
        )
    out = workspace.artifacts("mine")
    pq.write_table(triplets, out / "triplets.parquet")
    write_json(out / "audit.json", audit)
    write_json(out / "summary.json", _summary(triplets, audit))


def _pairs(rows: pd.DataFrame, queries: pd.Index) -> Pairs:
    return Pairs(queries.get_indexer(pd.Index(rows["query"])), rows["row"].to_numpy(dtype=np.int64))


def _embed(encoder: Encoder, texts: list[str], folder: Path) -> np.ndarray:
    digests = [text_digest(text) for text in texts]
    with VectorCache.open(
        folder, encoder_digest=encoder.digest, dimension=encoder.dimension, say=_tell
    ) as cache:
        return cache.embed(encoder, texts, digests)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _in_all(vectors: np.ndarray, precision: str) -> Search:
    if precision == "bf16":
        return lambda queries, k: narrow_search(queries, vectors, k)
    return lambda queries, k: exact_search(queries, chunks_of(vectors), k)


def _in_index(index: Index, doc_ids: np.ndarray) -> Search:
    rows = pd.Index(doc_ids)

    def search(queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        scores, names = index.search(queries, k)
        found = rows.get_indexer(names.ravel()).reshape(names.shape)  # -1: deleted since, or absent
        return scores, found.astype(np.int64)

    return search


def _summary(triplets: pa.Table, audit: Mapping[str, object]) -> Mapping[str, object]:
    listed = triplets["negatives"].combine_chunks()
    lengths = listed.value_lengths().to_numpy()
    origins = listed.flatten().field("origin").to_pandas()
    return {
        "queries": audit["queries"],
        "triplets": triplets.num_rows,
        "negatives_per_triplet": round(float(lengths.mean()), 4),
        "negatives": {name: int((origins == name).sum()) for name in ORIGINS},
        "queries_short": audit["queries_short"],
        "relevant_share": audit["relevant_share"],
    }


if __name__ == "__main__":
    main("mine", run)
