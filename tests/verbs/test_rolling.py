"""A rollout from its first look to its end, on a log that people of known rates leave."""

import hashlib
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_release import NOON, publish_folders, write_folders

from perennial.cli import main
from perennial.data.tables import write_table
from perennial.errors import Refused
from perennial.params.reading import load_params
from perennial.quality.decision import Decision
from perennial.release.publishing.publish import promote
from perennial.release.rollouts.moves import begin
from perennial.release.stores.local import LocalStore
from perennial.serving.routing import arm_of, live_share
from perennial.verbs.rolling.forecast import forecast
from perennial.verbs.rolling.look import look
from perennial.verbs.rolling.steps import baseline, measured, planned

CHECKOUT = Path(__file__).parents[2]
STEPS = [
    {"share": 0.1, "margin": 0.3, "min_hours": 1.0, "max_hours": 30.0},
    {"share": 0.5, "margin": 0.1, "min_hours": 1.0, "max_hours": 30.0},
]
DAILY = 8_000


def liked(stable: str, candidate: str) -> Decision:
    return Decision("advance", ("Both answer alike.",), ())


class Town:
    """A store, a log, and people who come through the day and find something at known rates."""

    def __init__(self, root: Path) -> None:
        self.root, self.now = root, NOON
        self.store, self.source = LocalStore(root / "store"), root / "source"
        values = yaml.safe_load((CHECKOUT / "params.yaml").read_text())
        values["canary"] |= {"steps": STEPS, "settle_seconds": 10, "shadow_min_hours": 0.0}
        (root / "params.yaml").write_text(yaml.safe_dump(values))
        self.params = load_params(root / "params.yaml")
        first = publish_folders(self.store, write_folders(root / "a", lineage=1, tag="a"))
        other = publish_folders(self.store, write_folders(root / "b", lineage=2, tag="b", day=1))
        self.stable, self.candidate = first.release_id, other.release_id
        promote(self.store, "production", self.stable, now=NOON, why="first", who="test")
        self.people(DAILY)
        usual = baseline(self.measured(), self.params.canary, channel="production")
        self.usual = usual
        begin(
            self.store, "production", self.candidate,
            steps=planned(self.params.canary), baseline=usual, salt="salt", now=self.now,
            who="test",
        )  # fmt: skip
        assert self.look(shadowing=liked).outcome == "advance"

    def measured(self):
        return measured(self.source, self.params, channel="production", now=self.now)

    def channel(self):
        return self.store.read_channel("production")

    def people(self, count: int, *, candidate: float = 0.6, slow: float = 0.0,
               failed: float = 0.0, biased: float = 1.0) -> None:  # fmt: skip
        """A day of them, each with one request, drawn as the service draws; then it is tomorrow."""
        rolling = self.channel().candidate
        tag = f"{self.now:%m%d%H}"
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(tag.encode()).digest()[:4]))
        sessions = [f"s-{tag}-{n}" for n in range(count)]
        share = live_share(rolling, self.now) * biased
        arms = [
            arm_of(each, salt=rolling.salt, share=share) if rolling else "stable"
            for each in sessions
        ]
        ours = np.array([arm == "candidate" for arm in arms])
        seconds = np.sort(rng.uniform(20, 79_000, count))
        times = pd.DatetimeIndex([self.now + timedelta(seconds=each) for each in seconds])
        fails = ours & (rng.random(count) < failed)
        requests = pd.DataFrame({
            "request_id": [f"q-{each}" for each in sessions],
            "session_id": sessions,
            "ts": times,
            "query": "sort",
            "channel": "production",
            "arm": arms,
            "release_id": np.where(ours & ~fails, self.candidate, self.stable),
            "n_results": 10,
            "latency_ms": rng.lognormal(3, 0.3, count) * np.where(rng.random(count) < slow * ours,
                                                                 10.0, 1.0),
            "explored": False,
        })  # fmt: skip
        happy = rng.random(count) < np.where(ours, candidate, 0.6)
        events = pd.DataFrame({
            "event_id": [f"e-{each}" for each in sessions],
            "request_id": requests["request_id"],
            "doc_id": "d",
            "type": "dwell",
            "value": 60.0,
            "ts": times + pd.Timedelta(seconds=90),
        })[happy]  # fmt: skip
        for name, rows in {"requests": requests, "events": events}.items():
            write_table(rows, self.source / name / f"{tag}.parquet", table=name)
        self.now += timedelta(days=1)

    def look(self, *, shadowing=None, approving=None) -> Decision:
        seen = look(
            self.store, "production",
            params=self.params, source=self.source, now=self.now, who="test", key=None,
            shadowing=shadowing, approving=approving,
        )  # fmt: skip
        return seen.decision

    def outcomes(self, days: int = 6, count: int = DAILY, **rates) -> list[str]:
        """What each day's look said, until the rollout was to be swapped, or had ended."""
        said = []
        for _ in range(days):
            self.people(count, **rates)
            said.append(self.look().outcome)
            if said[-1] in ("promote", "rollback", "inconclusive"):
                break
        return said


@pytest.fixture
def town(tmp_path):
    return Town(tmp_path)


def test_a_better_and_an_equal_candidate_are_promoted_step_by_step(town):
    said = town.outcomes(candidate=0.6)
    assert said[-1] == "promote" and said.count("advance") == 1
    assert town.channel().candidate is not None, "until it is swapped"


def test_a_worse_one_goes_back_at_the_first_step(town):
    said = town.outcomes(candidate=0.45)
    assert said[-1] == "rollback" and "advance" not in said
    assert town.channel().candidate is None and town.channel().stable == town.stable
    assert town.look().outcome == "none", "however often one looks"


def test_too_few_people_end_it_inconclusive_at_the_deadline(town):
    assert town.outcomes(count=60)[-1] == "inconclusive"
    assert town.channel().candidate is None


@pytest.mark.parametrize(
    ("wrong", "test"),
    [
        ({"slow": 0.5}, "slow first answers"),
        ({"failed": 0.1}, "failed first answers"),
        ({"biased": 0.6}, "sample ratio"),
    ],
)
def test_the_guardrails_stop_it_whatever_people_find(town, wrong, test):
    town.people(DAILY, candidate=0.7, **wrong)
    decision = town.look()
    assert decision.outcome == "rollback"
    assert [each.name for each in decision.evidence if each.holds is False] == [test]


def test_a_reindex_in_the_middle_loses_no_session(town):
    town.people(3_000)
    before = town.look()
    later = publish_folders(
        town.store, write_folders(town.root / "c", lineage=2, tag="c", day=2, documents=41)
    )
    from dataclasses import replace

    seen = town.channel()
    moved = replace(seen, generation=seen.generation + 1, write_id="reindex", signature=None,
                    candidate=replace(seen.candidate, release_id=later.release_id))  # fmt: skip
    town.store.compare_and_swap("production", seen, moved.signed(None))
    after = town.look()
    assert [each.n for each in after.evidence] == [each.n for each in before.evidence]
    assert not any(each.holds is False for each in after.evidence), "nothing counts as failed"


def test_a_rollout_waits_for_a_word_that_nobody_can_ask_for_and_ends_where_it_is_taken_back(town):
    town.people(DAILY)
    away = Decision("inconclusive", ("the registry does not answer.",), ())
    held = town.look(approving=lambda release_id: away)
    assert held.outcome == "none" and "the registry does not answer" in held.reasons[0]
    assert len(town.channel().candidate.steps) == 2, "though it was proven"
    gone = Decision("rollback", ("Ada took her word back.",), ())
    assert town.look(approving=lambda release_id: gone).outcome == "rollback"
    assert town.channel().candidate is None
    assert town.channel().history[-1].why.endswith("ended: Ada took her word back.")


def test_another_method_in_params_is_the_next_rollouts(town):
    town.params = town.params.model_copy(
        update={"canary": town.params.canary.model_copy(update={"method": "interleaving"})}
    )
    town.people(DAILY)
    decision = town.look()
    assert decision.outcome == "advance"
    assert [step.stage for step in town.channel().candidate.steps] == ["shadow", "canary", "canary"]
    assert "this rollout began with sessions and keeps it" in decision.reasons[-1]
    assert planned(town.params.canary)[1].stage == "interleave"


def test_without_people_before_nothing_is_laid_out(town):
    section = town.params.canary
    found = measured(town.root / "nowhere", town.params, channel="production", now=NOON)
    with pytest.raises(Refused, match="let people search first"):
        baseline(found, section, channel="production")


def test_the_plan_says_what_each_step_needs(town, monkeypatch, capsys):
    found = town.measured()
    assert found.success == pytest.approx(0.6, abs=0.02)
    assert found.sessions_per_day == pytest.approx(DAILY, rel=0.15)
    rows = forecast(found, town.params.canary)
    assert [row.share for row in rows] == [0.1, 0.5]
    for row in rows:
        assert 500 < row.sessions < 20_000 and row.suffices
        assert row.days == pytest.approx(row.sessions / found.sessions_per_day)
    interleaved = town.params.canary.model_copy(update={"method": "interleaving"})
    other = forecast(found, interleaved)[1]  # of half of all people, 60 % decide
    at_once = (2.05 + 0.84) ** 2 * 0.25 / 0.05**2  # a z-test of 0.5 against 0.45 that looks once
    assert 1 < other.sessions * 0.5 * found.success / at_once < 1.5
    monkeypatch.chdir(town.root)
    monkeypatch.setenv("PERENNIAL_SOURCE", str(town.source))
    assert main(["rollout", "plan", "--json"]) == 1, "no log of these last days"
    assert "let people search first" in capsys.readouterr().err


def test_the_plan_is_printed_as_a_table_and_as_json(town, monkeypatch, capsys):
    shifted = datetime.now(tz=NOON.tzinfo).replace(microsecond=0) - timedelta(days=1)
    town.now = shifted
    values = yaml.safe_load((town.root / "params.yaml").read_text())
    town.store = LocalStore(town.root / "empty")
    monkeypatch.setattr(town, "channel", lambda: type("Nobody", (), {"candidate": None})())
    town.people(4_000)
    monkeypatch.chdir(town.root)
    monkeypatch.setenv("PERENNIAL_SOURCE", str(town.source))
    assert main(["rollout", "plan", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert [step["margin"] for step in value["steps"]] == [
        step["margin"] for step in values["canary"]["steps"]
    ]
    assert main(["rollout", "plan"]) == 0
    assert "10%" in capsys.readouterr().out
