"""What a person sees of a rollout in Prefect's UI: each look's decision, evidence and counts."""

from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from perennial.verbs.rolling.look import Look
from tasks.artifacts import as_markdown


def show_look(seen: Look) -> None:
    """Under one key per stage, so that the history of a step stands in one place."""
    candidate = seen.channel.candidate
    where = candidate.stage if candidate is not None else "ended"
    state = "nothing rolls out"
    if candidate is not None:
        state = (
            f"{candidate.release_id}, {candidate.stage}, {candidate.share:.0%} of sessions, until "
            f"{candidate.deadline}"
        )
    about = f"{as_markdown(seen.decision)}\n{seen.channel.name}: {state}\n"
    create_markdown_artifact(about, key=f"rollout-{where}", description="rollout")
    if seen.decision.evidence:
        rows = seen.decision.to_dict()["evidence"]
        create_table_artifact(rows, key="rollout-evidence", description="What the tests say")
    if seen.strata:
        create_table_artifact(_rows(seen), key="rollout-sessions", description="Sessions so far")


def _rows(seen: Look) -> list[dict[str, Any]]:
    return [
        {
            "step": each.step + 1,
            "day": each.day,
            "stage": each.stage,
            "share": each.share,
            "candidate": each.candidate.settled,
            "candidate success": each.candidate.successes,
            "stable": each.stable.settled,
            "stable success": each.stable.successes,
            "won": each.wins,
            "lost": each.losses,
            "tied": each.ties,
        }
        for each in seen.strata
    ]
