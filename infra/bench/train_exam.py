"""Held-out queries that judge what was trained."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from perennial.index.exact import chunks_of, exact_search
from perennial.quality.metrics import grade, ndcg


@dataclass(frozen=True)
class Exam:
    """Held-out queries with known answers, and the documents among which they are to be found;
    `apart` are those of the queries whose answers no training query has, where that was looked at.
    """

    queries: list[str]
    apart: list[bool]
    documents: list[str]
    judgements: dict[str, dict[str, int]]


def read_exam(place: Path) -> Exam:
    """What write_world wrote."""
    return Exam(**json.loads((place / "exam.json").read_text(encoding="utf-8")))


def examined(encoder: Path, place: Path, *, max_tokens: int = 128) -> np.ndarray:
    """(q,) nDCG@10 of an encoder's directory, per held-out query; computed in bfloat16."""
    import torch

    from perennial.model.passes import forward
    from perennial.model.team import ALONE
    from perennial.model.train import pick_device
    from perennial.model.trainable import load_trainable

    exam = read_exam(place)
    model = load_trainable(
        encoder, max_tokens=max_tokens, device=pick_device(), precision=torch.bfloat16
    )
    model.module.eval()

    @torch.no_grad()
    def vectors(texts: list[str]) -> np.ndarray:
        tokens, rows = model.prepare(texts), np.arange(len(texts))
        found, _ = forward(model, tokens, rows, team=ALONE, is_cached=True, seed=[0])
        return np.asarray(found.detach().cpu().numpy())

    _, rows = exact_search(vectors(exam.queries), chunks_of(vectors(exam.documents)), 10)
    ranked = [[str(n) for n in row] for row in rows]
    return np.asarray(ndcg(grade(exam.queries, ranked, exam.judgements), 10))
