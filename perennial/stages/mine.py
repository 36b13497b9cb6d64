"""mine: judgements to triplets, with hard negatives by a teacher's own neighbourhoods."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from perennial.data.audit import audit_triplets, breaches
from perennial.data.documents import indexed_texts
from perennial.data.negatives import ORIGINS
from perennial.data.questions import hidden_answers, questions_of
from perennial.data.rules import rules_table
from perennial.data.tables import read_table
from perennial.data.twins import near_duplicates
from perennial.errors import BadInput, Refused
from perennial.index.index import Index
from perennial.params.whole import Params
from perennial.stages.computing import computing
from perennial.stages.miner import Miner
from perennial.stages.shell import main, write_json
from perennial.stages.teacher import Teacher, embed_catalogue, open_teacher
from perennial.workspace import Workspace

_HIDDEN = 1000  # queries mined for again, at the most, to see what hidden answers become


def run(workspace: Workspace, params: Params) -> None:
    """Write artifacts/mine: triplets.parquet, rules.parquet (for later minings), audit.json and
    summary.json; Refused by the audit."""
    section = params.mine
    catalogue = read_table(workspace.table("catalogue"))
    doc_ids, texts = catalogue["doc_id"].to_numpy(dtype=object), indexed_texts(catalogue)
    judged = _in_catalogue(read_table(workspace.artifacts("judge") / "judgements.parquet"), doc_ids)
    questions = questions_of(judged, documents=len(doc_ids), max_positives=section.max_positives)
    teacher = open_teacher(workspace, section.teacher, batch_size=params.index.batch_size)
    wanted = np.unique(judged["row"].to_numpy()[judged["label"] != "negative"])
    with computing(params.compute) as place:
        miner = Miner(
            section=section,
            teacher=teacher,
            doc_ids=doc_ids,
            texts=texts,
            asked=teacher.encoder.encode(questions.every),
            documents=embed_catalogue(teacher, texts, workspace, place=place),
            twins=near_duplicates(texts, wanted, min_resemblance=section.min_resemblance),
            index=_champions_index(workspace, teacher) if section.search == "index" else None,
            place=place,
        )
        never = miner.never(questions)
        triplets = miner.triplets(questions, never)
        audit = _audit(triplets, miner, judged)
    write_json(workspace.work("mine") / "audit.json", audit)
    if broken := breaches(audit):
        raise Refused(
            f"the audit of the negatives fails: {'; '.join(broken)}; look at "
            f"{workspace.work('mine') / 'audit.json'}, then mend the data or the section mine"
        )
    out = workspace.artifacts("mine")
    pq.write_table(triplets, out / "triplets.parquet")
    rules = rules_table(questions.asked, doc_ids, never=never, passed=questions.passed)
    pq.write_table(rules, out / "rules.parquet")
    write_json(out / "audit.json", audit)
    write_json(out / "summary.json", _summary(triplets, audit))


def _in_catalogue(judged: pd.DataFrame, doc_ids: np.ndarray) -> pd.DataFrame:
    """The judgements of documents that are not gone since, each with its `row`."""
    judged = judged.assign(row=pd.Index(doc_ids).get_indexer(pd.Index(judged["doc_id"])))
    judged = judged[judged["row"] >= 0]
    if not (judged["label"] == "positive").any():
        raise BadInput("no judged document is in the catalogue any more; take a new snapshot")
    return judged


def _champions_index(workspace: Workspace, teacher: Teacher) -> Index:
    if not teacher.is_champion:
        raise BadInput(
            "mine.search is index, but the champion's index does not hold the vectors of "
            "mine.teacher; set mine.search to exact"
        )
    return Index.open(workspace.champion / "index", encoder_digest=teacher.encoder.digest)


def _audit(triplets: pa.Table, miner: Miner, judged: pd.DataFrame) -> dict[str, Any]:
    """What was mined, counted; and mined again with answers hidden, to see what they become."""
    section, doc_ids = miner.section, miner.doc_ids
    hidden = hidden_answers(judged, most_queries=_HIDDEN, seed=section.seed)
    blind = triplets.slice(0, 0)
    if len(hidden):
        questions = questions_of(
            judged.drop(hidden.index),
            documents=len(doc_ids),
            max_positives=section.max_positives,
            only=hidden["query"],
        )
        blind = miner.triplets(questions, miner.never(questions))
    return audit_triplets(
        triplets,
        labels=judged[judged["source"] == "label"],
        twins=pd.DataFrame(
            {"positive": doc_ids[miner.twins[0]], "doc_id": doc_ids[miner.twins[1]]}
        ),
        negatives=min(section.negatives, len(doc_ids) - 1),  # a tiny catalogue has no more
        blind=blind,
        hidden=hidden,
        limits={
            "duplicates_of_positives": 0,
            "relevant_by_label": 0,
            "short_share": section.max_short_share,
            "relevant_share": section.max_relevant_share,
        },
        examples=section.examples,
    )


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
        "hidden_answers": audit["hidden_answers"],
        "relevant_share": audit["relevant_share"],
    }


if __name__ == "__main__":
    main("mine", run)
