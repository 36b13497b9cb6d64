"""train: triplets to an encoder, starting from the champion's or another."""

import math
import os
import shutil
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from perennial.data.pairs import teachable_pairs
from perennial.data.split import is_held_out
from perennial.data.tables import read_table
from perennial.errors import BadInput, PerennialError, TableInvalid
from perennial.model.curriculum import Lesson
from perennial.model.digest import directory_digest, file_digest
from perennial.model.examples import pairs
from perennial.model.history import Trained
from perennial.model.remining import Remining
from perennial.model.team import Team, join_team, leave_team
from perennial.model.train import fine_tune, pick_device
from perennial.model.trainable import Trainable
from perennial.params.reading import load_params
from perennial.params.whole import Params
from perennial.stages.base import load_base, taught_widths, width_of
from perennial.stages.examples import make_examples
from perennial.stages.fingerprint import claim, made_of
from perennial.stages.followers import followers, is_follower, stop_signals
from perennial.stages.loss import loss_of
from perennial.stages.progress import reporter, write_curve
from perennial.stages.remine import remining
from perennial.stages.shell import main, write_json
from perennial.workspace import Workspace

_MODULE = "perennial.stages.train"


@dataclass(frozen=True)
class Taught:
    """What one training gave, and the folder of its checkpoint."""

    model: Trainable
    trained: Trained
    triplets: int
    held: int
    checkpoint: Path


def run(workspace: Workspace, params: Params) -> None:
    """Write artifacts/train: encoder/, summary.json, curve.csv; the checkpoint stays in work/.

    PERENNIAL_PROCESSES of them share the work; only the first writes.
    """
    work = workspace.work("train")
    work.mkdir(parents=True, exist_ok=True)
    with followers(_MODULE, work):
        taught = teach(workspace, params)
    out, trained = workspace.artifacts("train"), taught.trained
    taught.model.save(out / "encoder", width=params.train.dimension)
    write_curve(out / "curve.csv", trained)
    write_json(
        out / "summary.json",
        {
            "encoder": directory_digest(out / "encoder"),
            "base": directory_digest(workspace.root / params.train.base),
            "triplets": taught.triplets,
            "validation_triplets": taught.held,
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
    shutil.rmtree(taught.checkpoint)


def follow() -> None:
    """Take part in the training that another process began, and write nothing."""
    workspace = Workspace(Path.cwd())
    try:
        teach(workspace, load_params(workspace.params))
    except PerennialError as error:  # the first says it
        raise SystemExit(error.exit_code) from None


def teach(workspace: Workspace, params: Params) -> Taught:
    """Read triplets and catalogue, and fine-tune; raises TableInvalid for held-out queries."""
    section, split, device = params.train, params.split, pick_device()
    catalogue = read_table(workspace.table("catalogue"))
    triplets = pq.read_table(workspace.artifacts("mine") / "triplets.parquet").to_pandas()
    queries = triplets["query"].tolist()
    _refuse_leak(queries, is_held_out(queries, share=split.held_out_share, salt=split.salt))
    held = is_held_out(queries, share=section.validation_share, salt=f"{split.salt}/validation")
    model = load_base(workspace.root, section, device=device)
    replayed = section.replay_share / (1 - section.replay_share) * section.batch_queries
    sentences, rests = teachable_pairs(
        catalogue, held_out_share=split.held_out_share, salt=split.salt
    )
    examples = make_examples(triplets, catalogue)
    replay = pairs(sentences, rests) if sentences else None
    anew = _remining(workspace, params, triplets, catalogue)
    sets = [examples, replay, anew.examples if anew else None]
    work = workspace.work("train")
    own, others = claim(work, made_of(workspace, params, device=device))
    for sentence in () if is_follower() else others:
        print(f"train: {sentence}", file=sys.stderr)
    with ExitStack() as stack:
        should_stop = stack.enter_context(stop_signals())
        team = join_team(device)
        stack.callback(leave_team)
        _refuse_unlike(team, own)
        progress = work / "progress.jsonl" if team.is_first else Path(os.devnull)
        stream = stack.enter_context(progress.open("w", encoding="utf-8"))
        trained = fine_tune(
            model,
            examples,
            held_triplets=np.flatnonzero(held),
            replay=replay,
            replay_size=round(replayed),
            loss=loss_of(section, model=model, sets=sets),
            epochs=section.epochs,
            batch_size=section.batch_queries,
            hard_negatives=section.hard_negatives,
            learning_rate=section.learning_rate,
            warmup_share=section.warmup_share,
            weight_decay=section.weight_decay,
            patience=section.patience,
            checkpoint_steps=section.checkpoint_steps,
            seed=section.seed,
            checkpoint=own / "checkpoint.safetensors",
            curriculum=_lessons(params),
            remining=anew,
            dimensions=taught_widths(section, full=width_of(model)),
            width=section.dimension,
            is_cached=section.gradient_caching,
            clip_norm=section.clip_norm or math.inf,
            min_rank_share=section.min_rank_share,
            max_norm_growth=section.max_norm_growth,
            team=team,
            should_stop=should_stop,
            report=reporter(stream, is_heard=team.is_first),
        )
    return Taught(model, trained, len(triplets), int(held.sum()), own)


def _refuse_unlike(team: Team, own: Path) -> None:
    """Raises BadInput where processes have other inputs, or another checkpoint: each would go on
    from a place of its own, and no message between them would show it."""
    checkpoint = own / "checkpoint.safetensors"
    digest = file_digest(checkpoint) if checkpoint.exists() else "none"
    if not team.agrees(f"{own.name} {digest}"):
        raise BadInput(
            f"the processes of this training do not have the same inputs and checkpoint in {own}; "
            "give all machines one shared folder as the workspace, and the same versions"
        )


def _refuse_leak(queries: list[str], leaked: np.ndarray) -> None:
    if leaked.any():
        raise TableInvalid(
            f"{int(leaked.sum())} triplets are of held-out queries (first: "
            f"{queries[int(np.flatnonzero(leaked)[0])]!r}); run judge and mine again with this "
            "split: dvc repro"
        )


def _lessons(params: Params) -> list[Lesson]:
    return [
        Lesson(
            from_epoch=row.from_epoch,
            weights=(row.log, row.ann, row.random),
            easiest=row.easiest,
            hardest=row.hardest,
        )
        for row in params.train.curriculum
    ]


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


if __name__ == "__main__":
    if is_follower():
        follow()
    else:
        main("train", run)
