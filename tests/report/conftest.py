"""A retrain to report on: a gain that is small but sure, with every part of the page filled."""

from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest

from perennial.quality.comparison import compare
from perennial.quality.gate import gate
from perennial.quality.metrics import JUDGED, METRICS
from perennial.quality.paired import bootstrap_mean
from perennial.quality.shares import difference_of_shares, wilson
from perennial.report.review_view import Document, Pair, Preferences, ReviewView, Unjudged
from perennial.report.view import ReportView

N = 588
UNKNOWN = {"value": 0.5, "low": None, "high": None}
TITLES = [
    "numpy.linalg.svd",
    "scipy.sparse.linalg.svds",
    "numpy.linalg.eigh",
    "sklearn.decomposition.TruncatedSVD",
    "torch.linalg.svd",
    "numpy.linalg.matrix_rank",
    "scipy.linalg.interpolative.svd",
    "numpy.linalg.pinv",
    "sklearn.utils.extmath.randomized_svd",
    "torch.pca_lowrank",
]


def _scores(rng: np.random.Generator, lift: float) -> dict[str, np.ndarray]:
    hard = np.random.default_rng(1).beta(0.8, 0.6, N)
    base = np.clip(hard + lift + rng.normal(0, 0.12, N) * (rng.random(N) < 0.7), 0, 1)
    scale = dict(zip(METRICS, (0.75, 1.1, 1.3, 0.95, 1.0, 0.9), strict=True))
    columns = {name: np.clip(base * scale[name], 0, 1) for name in METRICS}
    return columns | {JUDGED: rng.choice([0.1, 0.2], N)}


def _example(query: str, before: float, after: float, shift: int) -> dict:
    def titles(start: int, relevant: int) -> list[tuple[str, str, bool]]:
        ordered = TITLES[start:] + TITLES[:start]
        return [(f"doc-{t}", t, i == relevant) for i, t in enumerate(ordered)]

    return {
        "query": query,
        "slice": "numpy",
        "champion": before,
        "candidate": after,
        "before": titles(shift, 6),
        "after": titles(shift + 2, 0),
    }


def _canary() -> dict:
    sessions, successes = {"stable": 1000, "candidate": 1000}, {"stable": 602, "candidate": 631}
    return {
        "sessions": sessions,
        "successes": successes,
        "shares": {
            arm: wilson(successes[arm], 1000, confidence=0.95).as_dict() for arm in sessions
        },
        "difference": difference_of_shares(631, 1000, 602, 1000, confidence=0.95).as_dict(),
        "max_loss": 0.02,
        "confidence": 0.95,
        "decision": {
            "outcome": "advance",
            "reasons": ["Click success rose by 0.029; a loss of more than 0.020 is ruled out."],
            "evidence": [],
        },
    }


@cache
def _compared() -> tuple[dict, dict, list[float]]:
    """The comparison, the gate's decision, and each query's gain."""
    rng = np.random.default_rng(5)
    systems = {
        "lexical": _scores(rng, 0.06),
        "champion": _scores(rng, 0.0),
        "candidate": _scores(rng, 0.065),
    }
    comparison = compare(
        systems,
        slices=[["numpy", "scipy", "pandas", "sklearn", "torch"][i % 5] for i in range(N)],
        health={
            "ann_recall@10": 0.993,
            "coverage": 1.0,
            "effective_rank": 141.2,
            "self_retrieval": 0.98,
            "imbalance": 1.3,
            "variance_mean": 0.0038,
            "mean_similarity": 0.041,
        },
        samples=500,
        confidence=0.95,
        seed=3,
    )
    decision = gate(
        comparison,
        metric="ndcg@10",
        min_gain=0.0,
        max_loss=0.01,
        max_lexical_loss=0.05,
        min_queries=100,
        min_judged=0.05,
        judged_gap=0.05,
        min_ann_recall=0.95,
        min_coverage=1.0,
        min_self_retrieval=0.95,
        max_imbalance=10.0,
        min_effective_rank=16,
        max_mean_similarity=0.9,
        max_latency_ratio=3.0,
        max_slice_loss=0.1,
        min_slice_queries=50,
        rules={},
        floors={},
        smoke={
            "failure": None,
            "queries": 200,
            "latency_ratio": {"value": 1.05, "low": 0.98, "high": 1.12},
        },
    )
    gains = systems["candidate"]["ndcg@10"] - systems["champion"]["ndcg@10"]
    return comparison, decision.to_dict(), gains.tolist()


def a_view(**changes) -> ReportView:
    """The retrain, with the named parts replaced."""
    rng = np.random.default_rng(5)
    comparison, decision, gains = _compared()
    steps = np.arange(180)
    recalls = [
        {"system": s, "k": k, "recall": r, "low": r - 0.03, "high": min(1.0, r + 0.03)}
        for s, lift in (("lexical", 0.05), ("champion", 0.0), ("candidate", 0.07))
        for k in (1, 2, 5, 10, 20, 50, 100)
        for r in [0.28 + lift + 0.13 * np.log(k)]
    ]
    overlaps = bootstrap_mean(rng.beta(3, 2, 500), samples=300, confidence=0.95, seed=1).as_dict()
    rounds = [
        {
            system: {"ndcg@10": {"value": v, "low": v - 0.025, "high": v + 0.025}}
            for system, v in zip(("lexical", "champion", "candidate"), values, strict=True)
        }
        for values in ((0.639, 0.581, 0.645), (0.639, 0.645, 0.668), (0.639, 0.668, 0.679))
    ]
    parts = {
        "title": "Retrain of production, week 2",
        "created_at": datetime(2026, 11, 21, 0, 35, tzinfo=UTC),
        "run_id": "retrain-20261121-003500",
        "decision": decision,
        "comparison": comparison,
        "simulated": True,
        "curve": [
            {
                "step": int(i),
                "epoch": int(i // 15),
                "loss": float(0.3 * np.exp(-i / 50) + 0.06 + rng.normal(0, 0.012)),
                "validation": float(0.62 - 0.2 * np.exp(-i / 40) - (i > 150) * 0.01)
                if i % 15 == 14
                else None,
                "active": float(0.2 + 0.6 * np.exp(-i / 60)),
                "gradient_norm": float(0.5 + np.exp(-i / 30)),
                "effective_rank": 20.0 - i / 30 if i % 10 == 0 else None,
                "similarity": 0.1 + i / 2000 if i % 10 == 0 else None,
            }
            for i in steps
        ],
        "recall_by_k": recalls,
        "gains": gains,
        "best": [
            _example("compute the singular value decomposition of a matrix", 0.0, 1.0, 0),
            _example("mirror a tensor along an axis", 0.12, 0.63, 3),
            _example("draw samples from a multivariate normal distribution", 0.2, 0.7, 5),
        ],
        "worst": [_example("pad an array with zeros", 1.0, 0.31, 4)],
        "shadow": {
            "queries": 500,
            "overlap@10": overlaps,
            "rank_biased_overlap": overlaps,
            "latency_ms": {"champion": 0.41, "candidate": 0.43},
            "groups": [
                {"group": "logged queries", "queries": 500, "overlap@10": overlaps},
                {"group": "asked once", "queries": 3, "overlap@10": UNKNOWN},
            ],
            "clicks": [
                {"method": "by place", "silent": "Clicks by place tell too little: 40 are needed."},
                {
                    "method": "by position",
                    "silent": None,
                    "normalised": {"champion": overlaps, "candidate": overlaps},
                    "change": {"value": -0.02, "low": -0.05, "high": 0.01},
                    "effective": 812.4,
                    "pages": 10_000,
                    "seen": overlaps,
                },
            ],
            "most_different": [
                {
                    "query": "reverse the order of rows",
                    "overlap": 0.1,
                    "rank_biased_overlap": 0.08,
                    "before": [("d1", "numpy.flipud"), ("d2", "numpy.flip")],
                    "after": [("d3", "pandas.DataFrame.sort_index"), ("d4", "torch.flip")],
                }
            ],
        },
        "canary": _canary(),
        "validate": {
            "format_version": 1,
            "success": True,
            "tables": {
                "catalogue": {"rows": 13702, "promises": 14, "broken": 0, "unchecked": 0},
                "impressions": {"rows": 61240, "promises": 16, "broken": 0, "unchecked": 0},
            },
            "broken": [],
        },
        "rounds": rounds,
        "releases": {"champion": "rel-0a1b2c3d4e5f", "candidate": "rel-5f4e3d2c1b0a"},
        "lineage": {
            "snapshot_digest": "sha256:" + "ab" * 32,
            "params_digest": "sha256:" + "cd" * 32,
            "git_commit": "1768239",
            "mlflow_run_id": None,
        },
        "seconds": {"snapshot": 1.2, "validate": 5.1, "train": 14.2, "index": 3.0, "evaluate": 4.4},
        "rooms_seconds": {"snapshot": 0.9, "validate": 2.1, "train": 12.0, "index": 2.4},
        "links": [("Experiments", "mlflow ui"), ("Broken data", "work/validate/report.html")],
    }
    return ReportView(**(parts | changes))


@pytest.fixture(scope="session")
def view() -> ReportView:
    return a_view()


@pytest.fixture(scope="session")
def a_view_with():
    return a_view


def _found(titles: list[str], relevant: int | None) -> list[Document]:
    return [
        Document(f"doc-{t}", t, f"What {t} does, in a few words.", 3 if i == relevant else grade)
        for i, t in enumerate(titles)
        for grade in (0 if t == "numpy.linalg.pinv" else None,)
    ]


def a_review(**changes) -> ReviewView:
    """The retrain in review: three queries side by side, with the named parts replaced."""
    shown = [
        ("compute the singular value decomposition of a matrix", "gained", "won", 0.0, 1.0, 0),
        ("pad an array with zeros", "lost", "lost", 1.0, 0.31, 4),
        ("mirror a tensor along an axis", "ordinary", "tied", 0.5, 0.5, 3),
    ]
    pairs = [
        Pair(
            query=query,
            slice="numpy",
            group=group,
            outcome=outcome,
            champion=before,
            candidate=after,
            before=_found(TITLES[shift:] + TITLES[:shift], 6),
            after=_found(TITLES[shift + 2 :] + TITLES[: shift + 2], 0),
        )
        for query, group, outcome, before, after, shift in shown
    ]
    parts = {
        "report": a_view(best=(), worst=(), shadow=None, canary=None, seconds={}),
        "release": "rel-5f4e3d2c1b0a",
        "gate": "sha256:" + "0123456789abcdef" * 4,
        "pairs": pairs,
        "unjudged": [Unjudged("sum over an axis", _found(["torch.sum", "numpy.sum"], None))],
        "earlier": [
            Preferences(
                "rel-0a1b2c3d4e5f",
                "Grace",
                "2026-11-14T09:00:00Z",
                {"better": 7, "same": 20, "worse": 3},
                15,
            )
        ],
    }
    return ReviewView(**{**parts, **changes})


@pytest.fixture(scope="session")
def make_review():
    """The factory."""
    return a_review
