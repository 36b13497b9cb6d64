"""Of all that is delivered exactly what is allowed starts a run, and each refusal says why."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pytest

from infra.bench.deliveries import BAD, FRESH_SECONDS, SECRETS, deliveries, signed
from tasks.receiving.decide import Receiver, Rule, StarterAway
from tasks.receiving.ledger import Ledger
from tasks.receiving.secrets import Secrets

NOON = 1_795_262_400.0
GIVEN = ",".join(f"{source}={secret}" for source, secret in SECRETS.items())
HOUR = 3600.0


@dataclass
class Recorder:
    """Starts nothing, and remembers what it was asked for."""

    going_on: int = 0
    waiting: int = 0
    is_away: bool = False
    runs: list[tuple[str, dict, str]] = field(default_factory=list)

    def busy(self, deployment):
        if self.is_away:
            raise StarterAway("Prefect does not answer; send it again later")
        return self.going_on, self.waiting

    def start(self, deployment, trigger, key):
        self.runs.append((deployment, trigger, key))
        return f"run-{len(self.runs)}"


@pytest.fixture
def make(tmp_path):
    opened = []

    def one(*, starter=None, cooldown=0.0, min_evidence=1, clock=None):
        ledger = Ledger(tmp_path / "ledger.db", remember_seconds=720 * HOUR)
        opened.append(ledger)
        clock = clock or [NOON]
        rules = {name: Rule(min_evidence, cooldown) for name in ("retrain", "reindex")}
        return Receiver(
            secrets=Secrets(GIVEN, None),
            ledger=ledger,
            starter=starter or Recorder(),
            rules=rules,
            fresh_seconds=FRESH_SECONDS,
            min_observations=200,
            now=lambda: clock[0],
        )

    yield one
    for ledger in opened:
        ledger.close()


def take(receiver, said, *, source="alertmanager", deployment="retrain", delivery="d", at=NOON):
    headers = signed(source, said, delivery=delivery, at=at, secret=SECRETS[source])
    return receiver.take(deployment, headers, said)


def said(reason="drift", **evidence):
    import json

    return json.dumps({"reason": reason, "evidence": [{"name": "psi", **evidence}]}).encode()


def test_of_a_thousand_deliveries_exactly_the_hundred_that_are_allowed_start_a_run(make):
    clock, starter = [NOON], Recorder()
    receiver, outcomes, allowed = make(starter=starter, clock=clock), Counter(), []
    for each in deliveries(allowed=100, bad=900, seed=1, begin=NOON):
        clock[0] = each.at
        answer = receiver.take(each.deployment, each.headers, each.body)
        outcomes[each.kind, answer.outcome] += 1
        assert answer.why and answer.why[-1] != ".", "one sentence, as errors are"
        if each.kind == "allowed":
            allowed.append((each.deployment, answer.run))
            assert answer.status == 202
        else:
            assert answer.status not in (202, 500)
    assert [(run[0], f"run-{n}") for n, run in enumerate(starter.runs, 1)] == allowed
    assert {kind for kind, _ in outcomes} == {"allowed", *BAD}
    assert not any(outcomes[kind, "started"] for kind in BAD)


def test_a_restart_forgets_neither_what_was_started_nor_the_cooldown(make):
    before, starter, clock = make(cooldown=HOUR), Recorder(), [NOON]
    assert take(before, said(), source="evidently").status == 202
    after = make(starter=starter, cooldown=HOUR, clock=clock)
    assert take(after, said(), source="evidently").outcome == "repeated"
    answer = take(after, said("more"), source="evidently", delivery="e")
    assert (answer.status, answer.retry_after) == (429, HOUR)
    clock[0] += HOUR
    answer = take(after, said("more"), source="evidently", delivery="e", at=clock[0])
    assert answer.status == 202 and len(starter.runs) == 1


def test_the_same_delivery_at_once_from_many_sides_starts_one_run(make):
    starter = Recorder()
    sides = [make(starter=starter) for _ in range(2)]  # two processes have a ledger each
    with ThreadPoolExecutor(8) as many:
        answers = list(many.map(lambda n: take(sides[n % 2], said(), source="mlflow"), range(16)))
    assert len(starter.runs) == 1
    assert Counter(each.status for each in answers) == {202: 1, 200: 15}


def test_what_runs_is_waited_for_and_behind_what_waits_nothing_is_put(make):
    answer = take(make(starter=Recorder(going_on=1)), said("a"))
    assert answer.status == 202 and "has ended" in answer.why
    answer = take(make(starter=Recorder(going_on=1, waiting=1)), said("b"))
    assert (answer.status, answer.outcome) == (409, "queue_full")


def test_a_key_that_was_forgotten_starts_another_run_and_not_the_old_one_again(make):
    clock, starter = [NOON], Recorder()
    receiver = make(starter=starter, clock=clock)
    for at, delivery in ((NOON, "a"), (NOON + 721 * HOUR, "b"), (NOON + 721 * HOUR, "a")):
        clock[0] = at
        answer = take(receiver, said(), source="evidently", delivery=delivery, at=at)
        assert answer.outcome == "started"
    keys = [key for _, _, key in starter.runs]
    assert len(set(keys)) == 3, "Prefect gives the old run where it knows the key"


def test_where_prefect_is_away_nothing_is_remembered(make):
    starter = Recorder(is_away=True)
    receiver = make(starter=starter, cooldown=HOUR)
    with pytest.raises(StarterAway):
        take(receiver, said(), source="evidently")
    starter.is_away = False
    assert take(receiver, said(), source="evidently").status == 202


@pytest.mark.parametrize("piece", [{"holds": True}, {"n": 199}])
def test_evidence_that_holds_or_saw_too_little_is_none(make, piece):
    receiver = make()
    answer = take(receiver, said(**piece))
    assert (answer.status, answer.outcome) == (422, "thin")
    assert take(receiver, said(holds=False, n=200)).status == 202


def test_what_is_over_and_an_id_that_is_used_again_start_nothing(make):
    receiver = make()
    resolved = b'{"status": "resolved", "alerts": [{"status": "resolved"}]}'
    assert take(receiver, resolved).outcome == "over"
    assert take(receiver, said("a"), source="mlflow").status == 202
    assert take(receiver, said("b"), source="mlflow").outcome == "replayed"


def test_the_run_is_told_who_asked_for_it_and_why(make):
    starter = Recorder()
    take(make(starter=starter), said("queries\nmoved", value=0.4, n=300), source="evidently")
    ((deployment, trigger, key),) = starter.runs
    assert deployment == "retrain" and key.startswith("evidently:d:")
    assert trigger == {
        "source": "evidently",
        "reason": "queries moved",
        "evidence": [{"name": "psi", "value": 0.4, "n": 300}],
        "key": "evidently:d",
        "at": "2026-11-21T12:00:00+00:00",
    }


def test_the_ledger_is_bounded(make, monkeypatch):
    monkeypatch.setattr("tasks.receiving.ledger.MOST_ROWS", 5)
    receiver = make()
    for number in range(9):
        assert (
            take(receiver, said(str(number)), source="mlflow", delivery=f"{number}").status == 202
        )
    database = receiver.ledger._database
    for table in ("started", "spent"):
        assert database.execute(f"select count(*) from {table}").fetchone() == (5,)
    clock = replace(receiver, now=lambda: NOON + 721 * HOUR)
    assert take(clock, said("z"), source="mlflow", delivery="z", at=clock.now()).status == 202
    assert database.execute("select count(*) from started").fetchone() == (1,)
