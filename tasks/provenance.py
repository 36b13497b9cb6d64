"""Where a release comes from, as its manifest and the report say it."""

from perennial.model.digest import file_digest
from tasks.run import Run
from tasks.workspace import code_commit


def provenance(run: Run) -> dict[str, str | None]:
    """The code's commit, the digests of params, dvc.lock and snapshot, and the tracked run; and why
    a person forced it past the gate, where one did."""
    return {
        "git_commit": code_commit(),
        "params_digest": file_digest(run.workspace.params),
        "dvc_lock_digest": file_digest(run.workspace.root / "dvc.lock"),
        "snapshot_digest": str(run.read("snapshot/snapshot.json")["digest"]),
        "mlflow_run_id": run.tracked,
        "forced": run.read("work/gate/decision.json").get("forced"),
    }
