"""train: triplets to an encoder, starting from the champion's."""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
from scipy.sparse import csr_array

from perennial.data.documents import indexed_texts
from perennial.data.negatives import ORIGINS
from perennial.data.pairs import teachable_pairs
from perennial.data.split import content_key, is_held_out
from perennial.data.tables import read_table
from perennial.errors import TableInvalid
from perennial.model.curriculum import Lesson
from perennial.model.digest import directory_digest, file_digest
from perennial.model.examples import Examples, pairs
from perennial.model.health import Spread
from perennial.model.loss import BatchHardTriplet
from perennial.model.remining import Remining
from perennial.model.train import Pace, Step, Trained, fine_tune, pick_device
from perennial.model.trainable import load_trainable
from perennial.params import Params
from perennial.stages.remine import remining
from perennial.stages.shell import main, write_json
from perennial.workspace import Workspace


def run(workspace: Workspace, params: Params) -> None:
    """Write artifacts/train: encoder/, summary.json, curve.csv; the checkpoint stays in work/."""
    section, split = params.train, params.split
    catalogue = read_table(workspace.table("catalogue"))
    triplets = pq.read_table(workspace.artifacts("mine") / "triplets.parquet").to_pandas()
    leaked = is_held_out(triplets["query"].tolist(), share=split.held_out_share, salt=split.salt)
    if leaked.any():
        first = triplets["query"][int(np.flatnonzero(leaked)[0])]
        raise TableInvalid(
            f"{int(leaked.sum())} triplets are of held-out queries (first: {first!r}); run judge "
            "and mine again with this split: dvc repro"
        )
    examples = make_examples(triplets, catalogue)
    validation = is_held_out(
        triplets["query"].tolist(), share=section.validation_share, salt=f"{split.salt}/validation"
    )
    model = load_trainable(
        workspace.champion / "encoder", max_tokens=section.max_tokens, device=pick_device()
    )
    replayed = section.replay_share / (1 - section.replay_share) * section.batch_queries
    sentences, rests = teachable_pairs(
        catalogue, held_out_share=split.held_out_share, salt=split.salt
    )
    work = workspace.work("train")
    checkpoint = work / fingerprint(workspace, params) / "checkpoint.safetensors"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    with (work / "progress.jsonl").open("w", encoding="utf-8") as stream:
        trained = fine_tune(
            model,
            examples,
            held_triplets=np.flatnonzero(validation),
            replay=pairs(sentences, rests) if sentences else None,
            replay_size=round(replayed),
            loss=BatchHardTriplet(section.margin),
            epochs=section.epochs,
            batch_size=section.batch_queries,
            hard_negatives=section.hard_negatives,
            learning_rate=section.learning_rate,
            warmup_share=section.warmup_share,
            weight_decay=section.weight_decay,
            patience=section.patience,
            checkpoint_steps=section.checkpoint_steps,
            seed=section.seed,
            checkpoint=checkpoint,
            curriculum=[
                Lesson(
                    from_epoch=row.from_epoch,
                    weights=(row.log, row.ann, row.random),
                    easiest=row.easiest,
                    hardest=row.hardest,
                )
                for row in section.curriculum
            ],
            remining=_remining(workspace, params, triplets, catalogue),
            report=_reporter(stream),
        )
    out = workspace.artifacts("train")
    model.save(out / "encoder")
    write_curve(out / "curve.csv", trained)
    write_json(
        out / "summary.json",
        {
            "encoder": directory_digest(out / "encoder"),
            "base": directory_digest(workspace.champion / "encoder"),
            "triplets": len(triplets),
            "validation_triplets": int(validation.sum()),
            "steps": len(trained.history),
            "epochs": trained.history[-1].epoch + 1,
            "best_epoch": trained.best_epoch + 1,
            "validation_mrr@10": trained.best_validation,
            "loss": trained.history[-1].loss,
            "active": trained.history[-1].active,
            # Before which epochs negatives were mined anew, and the share that was not there yet.
            "remined": {str(epoch + 1): share for epoch, share in trained.remined},
        },
    )
    # It has served its purpose; kept, a forced run would only read it and prove nothing.
    shutil.rmtree(checkpoint.parent)


def _remining(
    workspace: Workspace, params: Params, triplets: pd.DataFrame, catalogue: pd.DataFrame
) -> Remining | None:
    if not params.train.remine_every:
        return None
    doc_ids = catalogue["doc_id"].tolist()
    return remining(
        workspace,
        params.mine,
        every=params.train.remine_every,
        examples=make_examples(triplets, catalogue, doc_ids=doc_ids),
        doc_ids=doc_ids,
        batch_size=params.index.batch_size,
    )


def make_examples(
    triplets: pd.DataFrame, catalogue: pd.DataFrame, *, doc_ids: Sequence[str] | None = None
) -> Examples:
    """Triplets of ids to row numbers: of distinct queries, and of the documents they name or of
    `doc_ids`."""
    named = [[n["doc_id"] for n in row] for row in triplets["negatives"]]
    if doc_ids is None:
        doc_ids = sorted({*triplets["positive"], *(d for row in named for d in row)})
    places = pd.Index(doc_ids)
    texts = dict(zip(catalogue["doc_id"], indexed_texts(catalogue), strict=True))
    queries = pd.Index(sorted(triplets["query"].unique()))
    widest = max((len(row) for row in named), default=0)
    negatives = np.full((len(triplets), widest), -1, dtype=np.int64)
    for number, row in enumerate(named):
        negatives[number, : len(row)] = places.get_indexer(pd.Index(row))
    origins = np.full(negatives.shape, -1, dtype=np.int8)
    for number, listed in enumerate(triplets["negatives"]):
        origins[number, : len(listed)] = [ORIGINS.index(n["origin"]) for n in listed]
    query, positive = (
        queries.get_indexer(triplets["query"]),
        places.get_indexer(pd.Index(triplets["positive"])),
    )
    # Queries that ask the same share their answers: none of them is a negative of the others.
    keys, key_of = np.unique([content_key(text) for text in queries], return_inverse=True)
    answers = csr_array(
        (np.ones(len(query), dtype=np.int8), (key_of[query], positive)),
        shape=(len(keys), len(places)),
    )
    known = csr_array(answers[key_of])
    return Examples(
        queries=list(queries),
        documents=[texts[d] for d in places],
        query=query,
        positive=positive,
        negatives=negatives,
        known=known,
        origins=origins,
    )


def fingerprint(workspace: Workspace, params: Params) -> str:
    """12 hex digits of all that the result depends on: no checkpoint of anything else is used."""
    parts = [
        file_digest(workspace.artifacts("mine") / "triplets.parquet"),
        file_digest(workspace.table("catalogue")),
        directory_digest(workspace.champion / "encoder"),
        params.train.model_dump_json(),
        params.split.model_dump_json(),
        f"torch {torch.__version__} on {pick_device()}",
    ]
    if params.train.remine_every:
        parts += [
            file_digest(workspace.artifacts("mine") / "rules.parquet"),
            params.mine.model_dump_json(),
            directory_digest(workspace.root / params.mine.teacher),
        ]
    package = Path(__file__).parents[1]
    rooms = ("model", "data", "index", "stages")
    code = sorted(path for room in rooms for path in package.glob(f"{room}/*.py"))
    parts += [file_digest(path) for path in code]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def write_curve(path: Path, trained: Trained) -> None:
    """One row per step, for `dvc plots show` and the report."""
    frame = pd.DataFrame([_flat(step) for step in trained.history])
    frame.to_csv(path, index=False, float_format="%.8g", lineterminator="\n")


def _flat(step: Step) -> dict[str, Any]:
    """A step as one row, the spread's numbers among the others; None where nobody looked."""
    row = asdict(step)
    seen = row.pop("spread")
    return row | (seen or dict.fromkeys(f.name for f in fields(Spread)))


def _reporter(stream: TextIO) -> Callable[[Step, int, Pace | None], None]:
    """Append each step to the progress file, and draw a bar where somebody looks."""

    def report(step: Step, total: int, pace: Pace | None) -> None:
        row = {**_flat(step), **(asdict(pace) if pace else {}), "total": total}
        stream.write(json.dumps(row) + "\n")
        stream.flush()
        if sys.stderr.isatty() or step.validation is not None:
            done = "#" * (24 * (step.step + 1) // total)
            shown = "" if step.validation is None else f"  validation MRR@10 {step.validation:.4f}"
            print(
                f"train [{done:<24}] step {step.step + 1}/{total}  loss {step.loss:.4f}{shown}",
                file=sys.stderr,
                end="\n" if step.validation is not None or not sys.stderr.isatty() else "\r",
                flush=True,
            )

    return report


if __name__ == "__main__":
    main("train", run)
