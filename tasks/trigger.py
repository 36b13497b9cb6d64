"""What started a run: a webhook or a watch says so in the run's parameter `trigger`."""

from collections.abc import Mapping
from typing import Any

from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger

from perennial.errors import BadInput

Trigger = dict[str, Any] | None


def show_trigger(trigger: Trigger) -> None:
    """Says who asked for this run, why, and shows the evidence; nothing where nobody did."""
    if trigger is None:
        return
    source, reason = trigger.get("source"), trigger.get("reason")
    if not isinstance(source, str) or not isinstance(reason, str):
        raise BadInput("the parameter `trigger` names no `source` and `reason`; name both")
    get_run_logger().info("started by %s: %s", source, reason)
    evidence = trigger.get("evidence") or []
    rows = [dict(each) for each in evidence if isinstance(each, Mapping)]
    create_table_artifact(
        rows or [{"name": reason}], key="trigger", description=f"{source}: {reason}"
    )
