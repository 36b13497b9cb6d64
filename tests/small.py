"""A small company for every room's tests: params.yaml made quick, a first champion, and stages."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from perennial.data.split import is_held_out
from perennial.data.tables import read_table
from perennial.params.reading import load_params
from perennial.params.whole import Params
from perennial.release.stores.local import LocalStore
from perennial.verbs.bootstrap import bootstrap
from perennial.verbs.snapshot import SnapshotInfo, take_snapshot
from perennial.workspace import Workspace

CHECKOUT = Path(__file__).parents[1]
NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)
STAGES = ("validate", "judge", "mine", "audit", "train", "index", "evaluate")
Sections = Mapping[str, Mapping[str, Any]]
SMALL: Sections = {
    "validate": {"min_requests": 10, "min_clicks": 10},
    "bootstrap": {"dimension": 16, "vocabulary": 600, "epochs": 1, "batch_queries": 32},
    "train": {"epochs": 2, "batch_queries": 16, "checkpoint_steps": 1},
    "evaluate": {"bootstrap_samples": 200, "randomisations": 199},
    "shadow": {
        "queries": 40,
        "min_overlap": 0.0,
        "max_latency_ratio": 1000.0,
        "max_zero_results": 1.0,
        "max_click_loss": 1.0,
    },
    "canary": {
        "sessions": 600,
        "steps": [{"share": 0.5, "margin": 0.9, "min_hours": 0.0, "max_hours": 1000.0}],
        "max_loss": 0.9,
        "min_baseline_sessions": 1,
    },
    "simulate": {"sessions": 100},
}
# A gate that lets everything pass.
LENIENT: Sections = {
    "gate": {
        "min_gain": -1.0,
        "max_loss": 1.0,
        "max_lexical_loss": 1.0,
        "min_queries": 5,
        "min_judged": 0.0,
        "judged_gap": 1.0,
        "min_ann_recall": 0.0,
        "min_coverage": 0.0,
        "min_self_retrieval": 0.0,
        "max_imbalance": 1000.0,
        "min_effective_rank": 0.001,
        "max_mean_similarity": 1.0,
        "max_latency_ratio": 1000.0,
        "max_slice_loss": 1.0,
        "floors": {},
    }
}


def write_params(path: Path, *overrides: Sections) -> Params:
    """The checkout's params.yaml, made small and then overwritten; written to `path`."""
    sections = yaml.safe_load((CHECKOUT / "params.yaml").read_text(encoding="utf-8"))
    for change in (SMALL, *overrides):
        for section, values in change.items():
            sections[section].update(values)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(sections), encoding="utf-8")
    return load_params(path)


def fill_home(home: Path, world: Any, *overrides: Sections) -> Path:
    """A home with params.yaml, the world as source/ and, in store/, a first champion.

    As after `perennial import`, only the labels of held-out queries are handed out.
    """
    params = write_params(home / "params.yaml", *overrides)
    world.write_source(home / "source")
    path = home / "source" / "judgements.parquet"
    labels = pq.read_table(path)
    held = is_held_out(
        labels["query"].to_pylist(), share=params.split.held_out_share, salt=params.split.salt
    )
    pq.write_table(labels.filter(held), path)
    make_champion(home, params)
    return home


def make_champion(home: Path, params: Params) -> str:
    """Bootstrap `home`/store from `home`/source; the release id."""
    return bootstrap(
        catalogue=read_table(home / "source" / "catalogue.parquet"),
        params=params,
        store=LocalStore(home / "store"),
        channel="production",
        encoder=None,
        now=NOON,
        who="a test",
        key=None,
    ).release_id


def snapshot_into(home: Path, to: Path, params: Params) -> SnapshotInfo:
    """Freeze `home`'s source and champion into `to`."""
    return take_snapshot(
        home / "source",
        LocalStore(home / "store"),
        "production",
        to,
        params=params.snapshot,
        key=None,
        session_key=None,
    )


def module_of(stage: str) -> str:
    """What `python -m` is given for a stage."""
    outside = {"validate": "expectations", "audit": "expectations.audit"}
    return outside.get(stage, f"perennial.stages.{stage}")


def digest_of(workspace: Workspace, params: Params) -> str:
    """The name of the folder of this training's checkpoint."""
    import torch

    from perennial.stages.fingerprint import fingerprint, made_of

    return fingerprint(made_of(workspace, params, device=torch.device("cpu")))
