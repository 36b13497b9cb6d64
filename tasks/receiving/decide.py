"""Whether a delivery may start a flow; every refusal is a status and one sentence."""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from perennial.errors import PerennialError
from tasks.receiving.ledger import Ledger, Started
from tasks.receiving.secrets import Secrets
from tasks.receiving.signatures import NotBelieved, Sender, believed
from tasks.receiving.statements import MOST_PIECES, Malformed, Statement, read_statement


class Starter(Protocol):
    """Where runs are: Prefect, or a recorder."""

    def busy(self, deployment: str) -> tuple[int, int]:
        """How many of its runs go on, and how many wait to begin."""
        ...

    def start(self, deployment: str, trigger: Mapping[str, Any], key: str) -> str:
        """The run that was started; the same one where the key started one before."""
        ...


class StarterAway(PerennialError):
    """Prefect does not answer, or does not know the deployment."""


@dataclass(frozen=True)
class Rule:
    """What one deployment asks of a trigger."""

    min_evidence: int
    cooldown_seconds: float


@dataclass(frozen=True)
class Answer:
    """What is said to the sender; `outcome` is what is counted."""

    status: int
    outcome: str
    why: str
    run: str | None = None
    retry_after: int | None = None
    source: str = ""


@dataclass(frozen=True)
class Receiver:
    """The rules, and what they need to know; safe for several threads."""

    secrets: Secrets
    ledger: Ledger
    starter: Starter
    rules: Mapping[str, Rule]
    fresh_seconds: float
    min_observations: int
    now: Callable[[], float]

    def take(self, deployment: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer to one delivery; `headers` in lower case."""
        read = self.read(deployment, headers, body)
        return read if isinstance(read, Answer) else self.decide(deployment, *read, body)

    def read(
        self, deployment: str, headers: Mapping[str, str], body: bytes
    ) -> Answer | tuple[Sender, Statement]:
        """Who says what, or why that is not even looked at; asks nobody, and writes nothing."""
        if deployment not in self.rules:
            known = ", ".join(sorted(self.rules))
            return Answer(404, "unknown", f"there is no such deployment; name one of {known}")
        try:
            sender = believed(
                headers,
                body,
                pairs=self.secrets.pairs(),
                now=self.now(),
                fresh_seconds=self.fresh_seconds,
            )
        except NotBelieved as error:
            return Answer(401, "not_believed", str(error))
        try:
            return sender, read_statement(body)
        except Malformed as error:
            return Answer(422, "malformed", str(error), source=sender.source)

    def decide(self, deployment: str, sender: Sender, said: Statement, body: bytes) -> Answer:
        """Start it or say why not; raises StarterAway, and then nothing is remembered."""
        with self.ledger.deciding():
            answer = self._decided(deployment, sender, said, hashlib.sha256(body).hexdigest())
        return replace(answer, source=sender.source)

    def _decided(self, deployment: str, sender: Sender, said: Statement, body: str) -> Answer:
        is_of_id = sender.delivery is not None and not said.is_named
        key = f"{sender.source}:" + (
            str(sender.delivery) if is_of_id else f"{said.key}:{deployment}"
        )
        rule, now = self.rules[deployment], self.now()
        if sender.signature is not None:
            until = now + 2 * self.fresh_seconds  # the sender's clock may be ahead
            first = self.ledger.spent_on(sender.signature, deployment, until=until, now=now)
            if first != deployment:
                why = f"the same delivery was sent to {first} before; sign one of its own"
                return Answer(409, "replayed", why)
        if (before := self.ledger.started(key)) is not None:
            if is_of_id and (before.body, before.deployment) != (body, deployment):
                why = "its id was used for something else before; give each delivery its own"
                return Answer(409, "replayed", why)
            why = f"this was let in before, and started run {before.run}; nothing is started again"
            return Answer(200, "repeated", why, before.run)
        if said.is_over:
            return Answer(200, "over", f"{said.reason}; nothing is started")
        if (weight := said.weight(self.min_observations)) < rule.min_evidence:
            why = (
                f"{weight} pieces of evidence speak for it, of {len(said.evidence)}, and "
                f"{deployment} asks for {rule.min_evidence}; send more, or none of those that hold "
                f"or have n below {self.min_observations}"
            )
            return Answer(422, "thin", why)
        last = self.ledger.last(deployment)
        if last is not None and (left := last + rule.cooldown_seconds - now) > 0:
            why = f"a trigger started {deployment} {now - last:.0f} s ago; it cools down for"
            return Answer(429, "cooling", f"{why} {left:.0f} s more", retry_after=math.ceil(left))
        running, waiting = self.starter.busy(deployment)
        if waiting:
            why = f"a run of {deployment} waits already, and will see what this is about"
            return Answer(409, "queue_full", why)
        # Prefect keeps a key for ever: one that is forgotten here would find the run of then.
        once = f"{key}:{self.ledger.term(now)}"
        run = self.starter.start(deployment, _parameter(sender, said, key, now), once)
        self.ledger.remember(key, Started(deployment, body, run, now))
        when = "begins when the one that goes on has ended" if running else "begins now"
        return Answer(202, "started", f"run {run} of {deployment} {when}", run)


def _parameter(sender: Sender, said: Statement, key: str, now: float) -> dict[str, Any]:
    """What stands as `trigger` among the parameters of the run."""
    return {
        "source": sender.source,
        "reason": said.reason,
        "evidence": [dict(each) for each in said.evidence[:MOST_PIECES]],
        "key": key,
        "at": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
    }
