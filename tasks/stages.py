"""The stages of dvc.yaml, one Prefect task each; the work itself is DVC's and the rooms'."""

from collections.abc import Callable

from prefect.logging import get_run_logger

from tasks.artifacts import show_page, show_validation
from tasks.curves import CurveTail
from tasks.repro import StageRun, repro
from tasks.run import Run
from tasks.step import step

MINUTE = 60.0


def _bring_up_to_date(
    run: Run, stage: str, minutes: float, on_tick: Callable[[], None] = lambda: None
) -> StageRun:
    log = get_run_logger()
    done = repro(
        run.workspace, stage, timeout_seconds=minutes * MINUTE, say=log.info, on_tick=on_tick
    )
    log.info("%s %s in %.1f s", stage, "ran" if done.ran else "was up to date", done.seconds)
    return done


@step("validate")
def validate(run: Run) -> StageRun:
    """Great Expectations on every table; a broken promise ends the run."""
    try:
        return _bring_up_to_date(run, "validate", 30)
    finally:
        show_validation(run.workspace)


@step("judge")
def judge(run: Run) -> StageRun:
    """Clicks to judgements."""
    return _bring_up_to_date(run, "judge", 30)


@step("mine")
def mine(run: Run) -> StageRun:
    """Judgements to triplets."""
    return _bring_up_to_date(run, "mine", 120)


@step("audit")
def audit(run: Run) -> StageRun:
    """Great Expectations on the triplets; a broken promise ends the run before it trains."""
    try:
        return _bring_up_to_date(run, "audit", 30)
    finally:
        show_page(
            "audit-page", run.workspace.work("audit") / "report.html", "Audit of the triplets"
        )


@step("train", retries=2)
def train(run: Run) -> StageRun:
    """Triplets to an encoder; its curves appear in the tracker while it trains."""
    follow = CurveTail(
        run.places.tracking_uri,
        run.tracked,
        run.workspace.work("train") / "progress.jsonl",
        warn=get_run_logger().warning,
    )
    return _bring_up_to_date(run, "train", 24 * 60, follow)


@step("index")
def index(run: Run) -> StageRun:
    """The catalogue under the new encoder to an index."""
    return _bring_up_to_date(run, "index", 240)


@step("evaluate")
def evaluate(run: Run) -> StageRun:
    """Lexical baseline, champion and candidate on the held-out queries."""
    return _bring_up_to_date(run, "evaluate", 120)
