"""Asks the gate about the comparison that evaluate wrote, and puts its answer where people look."""

from perennial.quality.decision import Decision
from perennial.quality.gate import gate as decide
from tasks.artifacts import show_decision
from tasks.run import Run
from tasks.seconds import rooms
from tasks.step import step
from tasks.tracking import log_metrics, tracker


@step("gate")
def gate(run: Run) -> Decision:
    """promote, reject or inconclusive, by the rule of perennial/quality/gate.py."""
    comparison = run.read("artifacts/evaluate/comparison.json")
    bounds = run.params.gate.model_dump(exclude={"review"})
    with rooms(run.workspace, "gate"):
        decision = decide(comparison, **bounds)
    run.note("gate", "decision", decision.to_dict())
    show_decision("gate", decision)
    uri, client = run.places.tracking_uri, tracker(run.places.tracking_uri)
    for part in ("systems", "differences", "health"):
        log_metrics(uri, run.tracked, comparison[part])
    table = [item for item in decision.to_dict()["evidence"]]
    if table:
        columns = {name: [row[name] for row in table] for name in table[0]}
        client.log_table(run.tracked, columns, "gate.json")
    client.set_tag(run.tracked, "gate", decision.outcome)
    return decision
