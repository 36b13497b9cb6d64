"""Publishes the candidate into the store and registers its encoder for people to review."""

from datetime import UTC, datetime
from typing import Any

from prefect.logging import get_run_logger

from perennial.model.digest import file_digest
from perennial.quality.decision import Decision
from perennial.release.publishing.publish import publish
from perennial.workspace import signing_key
from tasks.artifacts import show_release
from tasks.graph import candidate_graph
from tasks.provenance import provenance
from tasks.registry import MODEL, register_version
from tasks.review_page import write_review
from tasks.run import Run
from tasks.seconds import rooms
from tasks.step import step
from tasks.tracking import tracker


@step("register", retries=3)
def register(run: Run, decision: Decision) -> str:
    """The candidate's release id. A continued run publishes the same release again: the same id."""
    workspace, summary = run.workspace, run.read("artifacts/index/summary.json")
    first = _origin(run)
    origin = first["provenance"]
    with rooms(workspace, "register"):
        manifest = publish(
            run.store,
            encoder=workspace.artifacts("train") / "encoder",
            index=workspace.artifacts("index") / "index",
            references=workspace.artifacts("index") / "references",
            catalogue=summary["catalogue"],
            health=summary["health"],
            provenance=origin,
            parent=run.champion_id,
            created_at=datetime.fromisoformat(first["published_at"]),
            key=signing_key(),
            exported=candidate_graph(run),
        )
    client, release_id = tracker(run.places.tracking_uri), manifest.release_id
    client.log_artifacts(run.tracked, str(workspace.artifacts("train") / "encoder"), "encoder")
    client.set_tag(run.tracked, "release_id", release_id)
    gate_digest = file_digest(workspace.work("gate") / "decision.json")
    version = register_version(
        client,
        run_id=run.tracked,
        release_id=release_id,
        tags={
            "decision": decision.outcome,
            "snapshot": str(origin["snapshot_digest"]),
            "lineage": manifest.lineage,
            "gate": gate_digest,
        },
        page=write_review(run, decision, release_id=release_id),
    )
    about = {
        "release_id": release_id,
        "lineage": manifest.lineage,
        "version": version,
        "gate": gate_digest,
    }
    run.note("register", "candidate", about)
    show_release(release_id, {**about, "model": MODEL, **origin})
    get_run_logger().info("published %s, registered as %s version %s", release_id, MODEL, version)
    return release_id


def _origin(run: Run) -> dict[str, Any]:
    """The provenance and time of the first attempt: a release's id must not change because its run
    was continued, maybe after a commit that left the code as it was."""
    now, path = provenance(run), run.workspace.work("register") / "origin.json"
    if path.exists():
        kept = run.read("work/register/origin.json")
        decides = [name for name in now if name.endswith("_digest") or name == "forced"]
        if all(kept["provenance"].get(name) == now[name] for name in decides):
            return kept
    origin = {"published_at": datetime.now(UTC).isoformat(timespec="seconds"), "provenance": now}
    run.note("register", "origin", origin)
    return origin
