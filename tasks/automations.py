"""What Prefect's server does about runs that died: it calls them dead, and then they go on.

A run whose process is gone says nothing more, and would be Running for ever, and the one that
should continue it would wait for its place. So runs say every half minute that they live, as
infra/prefect.yaml asks of them, and whoever is silent for long is Crashed; the retrain's own
trigger there starts it again, and it continues where it stopped.
"""

from datetime import timedelta

from prefect.automations import Automation
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

NAME = "perennial: runs that went silent"
SILENT = timedelta(minutes=5)  # what a server that is started anew needs to hear them again
_BEATS = "prefect.flow-run.heartbeat"
_ENDS = {f"prefect.flow-run.{end}" for end in ("Completed", "Failed", "Cancelled", "Crashed")}


def call_silent_runs_dead(*, within: timedelta = SILENT) -> None:
    """Make the automation, or bring the one of that name up to date."""
    wanted = Automation(
        name=NAME,
        description="Perennial's runs beat every half minute; one that went silent is Crashed.",
        enabled=True,
        trigger=EventTrigger(
            after={_BEATS},
            expect={_BEATS, *_ENDS},
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=within,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message=f"silent for {within.total_seconds():.0f} s: its process is gone",
            )
        ],
    )
    try:
        found = Automation.read(name=NAME)
    except ValueError:  # there is none
        wanted.create()
    else:
        wanted.id = found.id
        wanted.update()
