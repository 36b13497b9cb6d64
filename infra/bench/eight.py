"""Eight stages that do nothing but wait, as a flow of Prefect or as plain calls: a process each.

`python -m infra.bench.eight flow` is what `python -m flows.retrain` does around its stages.
"""

import sys
import time

STAGES = ("validate", "judge", "mine", "audit", "train", "index", "evaluate", "gate")
WORK_SECONDS = 0.05


def work(stage: str) -> str:
    """The stage itself."""
    time.sleep(WORK_SECONDS)
    return stage


def plainly() -> None:
    """One call after the other."""
    for stage in STAGES:
        work(stage)


def as_a_flow() -> None:
    """The same as tasks of a flow, with what our own flows ask of Prefect."""
    import tasks  # noqa: F401, I001  first: it sets what Prefect reads when it is imported
    from prefect import flow, task
    from prefect.artifacts import create_markdown_artifact
    from prefect.cache_policies import NO_CACHE

    from tasks.outcome import as_a_command

    @flow(name="eight", persist_result=False)
    def eight() -> None:
        for stage in STAGES:
            task(name=stage, cache_policy=NO_CACHE, persist_result=False, retries=1)(work)(stage)
        create_markdown_artifact("done", key="eight")

    with as_a_command():
        eight()


if __name__ == "__main__":
    as_a_flow() if sys.argv[1:] == ["flow"] else plainly()
