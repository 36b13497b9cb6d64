"""Loads the candidate in a fresh process beside the champion, and asks both, before it is judged.

A time differs from run to run, so that it is no out of DVC's. It is measured once per candidate: an
approval names the digest of the gate's table, which a continued run must not change.
"""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd

from perennial.model.digest import file_digest
from perennial.quality.latency import latency_ratio
from tasks.repro import StageBroke
from tasks.run import Run

DEPTH = 10
MOST_SECONDS = 1800.0


def smoke_test(run: Run, *, queries: int) -> dict[str, Any]:
    """failure (a sentence, or None), queries, load_seconds, milliseconds (medians), latency_ratio.

    Asked are held-out queries; a result of this very candidate and champion is read, not repeated.
    """
    of = _of(run)
    path = run.workspace.work("gate") / "smoke.json"
    if path.exists() and (known := json.loads(path.read_text())).get("of") == of:
        return dict(known)
    asked = pd.read_parquet(
        run.workspace.artifacts("evaluate") / "per_query.parquet", columns=["query"]
    )["query"].drop_duplicates()
    found = _ask(run, asked.sort_values().head(queries).tolist())
    if found["failure"] is None:  # whatever failed may have been mended by the next time
        run.note("gate", "smoke", {**found, "of": of})
    return found


def _ask(run: Run, queries: list[str]) -> dict[str, Any]:
    folders = {
        "champion": run.workspace.champion,
        "candidate": run.workspace.artifacts("train"),
    }
    sides = {
        side: {"encoder": str(folder / "encoder"), "index": str(folder / "index")}
        for side, folder in folders.items()
    }
    sides["candidate"]["index"] = str(run.workspace.artifacts("index") / "index")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "perennial.serving.smoke"],
            cwd=run.workspace.root,  # the code that made the candidate lies there
            input=json.dumps({**sides, "queries": queries, "k": DEPTH}),
            capture_output=True,
            text=True,
            timeout=MOST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _failed(f"{len(queries)} queries took more than {MOST_SECONDS:.0f} s", queries)
    if done.returncode < 0:
        raise StageBroke(
            f"the smoke test was killed by signal {-done.returncode}; free some memory, then start "
            "the flow again to continue."
        )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        return _failed(f"{said[-1]} (exit {done.returncode})", queries)
    found = json.loads(done.stdout)
    milliseconds = {side: np.array(each) for side, each in found["milliseconds"].items()}
    section = run.params.evaluate
    ratio = latency_ratio(
        milliseconds["candidate"],
        milliseconds["champion"],
        samples=section.bootstrap_samples,
        confidence=section.confidence,
        seed=section.seed,
    )
    return {
        "failure": None,
        "queries": len(queries),
        "answered": found["answered"],
        "load_seconds": found["load_seconds"],
        "milliseconds": {side: float(np.median(each)) for side, each in milliseconds.items()},
        "latency_ratio": ratio.as_dict(),
    }


def _failed(why: str, queries: list[str]) -> dict[str, Any]:
    return {"failure": why, "queries": len(queries), "latency_ratio": None}


def _of(run: Run) -> dict[str, str]:
    """What the result depends on: champion, candidate, and the queries."""
    files = {
        "candidate": run.workspace.artifacts("train") / "summary.json",
        "index": run.workspace.artifacts("index") / "summary.json",
        "queries": run.workspace.artifacts("evaluate") / "per_query.parquet",
    }
    return {"champion": run.champion_id} | {n: file_digest(path) for n, path in files.items()}
