"""What a report shows of a rollout: sessions, successes and shares of both arms, and the change."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from perennial.quality.decision import Decision
from perennial.quality.shares import wilson
from perennial.quality.traffic import Stratum


def arms_of(strata: Sequence[Stratum], decision: Decision, *, alpha: float) -> dict[str, Any]:
    """Plain values for JSON; the change is relative, in shares of stable's success."""
    arms = {
        "stable": [each.stable for each in strata],
        "candidate": [each.candidate for each in strata],
    }
    sessions = {name: sum(each.settled for each in found) for name, found in arms.items()}
    happy = {name: sum(each.successes for each in found) for name, found in arms.items()}
    compared = next(
        (each for each in decision.evidence if each.name in ("click success", "sessions won")), None
    )
    change: dict[str, Any] = {"value": None, "low": None, "high": None, "n": 0}
    if compared is not None:
        change = {
            name: None if bound is None else bound - 1
            for name, bound in (
                ("value", compared.value),
                ("low", compared.low),
                ("high", compared.high),
            )
        } | {"n": compared.n}
    return {
        "sessions": sessions,
        "successes": happy,
        "shares": {
            name: asdict(wilson(happy[name], sessions[name], confidence=1 - alpha)) for name in arms
        },
        "difference": change,
        "max_loss": 1 - compared.bound if compared is not None else None,
        "confidence": 1 - alpha,
        "steps": [asdict(each) for each in strata],
    }
