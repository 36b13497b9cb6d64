"""Asks the gate about the comparison that evaluate wrote, and puts its answer where people look."""

from dataclasses import replace

from perennial.errors import BadInput
from perennial.quality.decision import Decision
from perennial.quality.gate import gate as decide
from tasks.artifacts import show_decision
from tasks.run import Run
from tasks.seconds import rooms
from tasks.smoke import smoke_test
from tasks.step import step
from tasks.tracking import log_metrics, tracker

LONGEST_REASON = 500


@step("gate")
def gate(run: Run, force: str | None = None) -> Decision:
    """promote, reject or inconclusive, by the rule of perennial/quality/gate.py.

    With `force`, a person's reason, anything but promote becomes a promotion that says so, here and
    wherever the release is shown from now on.
    """
    comparison = run.read("artifacts/evaluate/comparison.json")
    bounds = run.params.gate.model_dump(exclude={"review", "smoke_queries"}, exclude_none=True)
    with rooms(run.workspace, "gate"):
        smoke = smoke_test(run, queries=run.params.gate.smoke_queries)
        decision = decide(comparison, **bounds, smoke=smoke)
    if force is not None and decision.outcome != "promote":
        decision = forced(decision, force)
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
    if decision.forced is not None:
        client.set_tag(run.tracked, "forced", decision.forced)
    return decision


def forced_because(force: bool, reason: str) -> str | None:
    """The reason that a person gave, None where nothing is forced; BadInput for one without other.

    It is a line of a page, a tag and a log: so it is held short.
    """
    said = " ".join(reason.split())
    if bool(said) != force:
        raise BadInput(
            "--force needs --reason 'why the gate is overruled', and --reason needs --force"
        )
    if len(said) > LONGEST_REASON:
        raise BadInput(
            f"the reason has {len(said)} characters; say it in {LONGEST_REASON}, more belongs on a "
            "page of its own"
        )
    return said or None


def forced(decision: Decision, reason: str) -> Decision:
    """The promotion that a person took upon themselves; what the gate had said follows."""
    first = f"Forced past the gate, which said {decision.outcome}: {reason}"
    return replace(decision, outcome="promote", reasons=(first, *decision.reasons), forced=reason)
