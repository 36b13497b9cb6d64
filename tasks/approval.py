"""A person's answer about a candidate: whom the registry says it is from, and what it is about.

An approval names a release and the digest of the gate's table. A version's own tags name them too,
which is what the alias `approved` goes by; another table takes that alias away (registry.py).
"""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlflow import MlflowClient

from perennial.errors import Refused
from perennial.quality.decision import Decision
from perennial.report.review_view import approval_of
from tasks.registry import (
    APPROVED,
    MODEL,
    REJECTED,
    REVIEWER,
    version_of,
    version_of_lineage,
)
from tasks.tracking import tracker
from tasks.world import TrackerAway, in_words, without_password

_NAME, _PASSWORD, _TOKEN = (f"MLFLOW_TRACKING_{part}" for part in ("USERNAME", "PASSWORD", "TOKEN"))
_PROBE = "/api/2.0/mlflow/registered-models/search?max_results=1"
_PROBE_SECONDS = 10.0


@dataclass(frozen=True)
class Answer:
    """yes or no, by whom, and by what: a tag or the alias; `reason` of a no."""

    approved: bool
    reviewer: str
    by: str
    reason: str = ""


def answer_of_review(
    client: MlflowClient, version: str, *, release_id: str, gate: str
) -> Answer | None:
    """What a person said of exactly this release and this gate's table; None while nobody did.

    An approval without the tag `reviewer` is none yet. A rejection needs no name, and wins.
    """
    found = client.get_model_version(MODEL, version)
    reviewer = " ".join(found.tags.get(REVIEWER, "").split())[:100]
    if REJECTED in found.tags:
        reason = " ".join(found.tags[REJECTED].split()) or "no reason given"
        return Answer(False, reviewer or "somebody", "tag", reason)
    if not reviewer:
        return None
    whole = f"{release_id}@{gate}"
    if found.tags.get(APPROVED, "").strip() in {approval_of(release_id, gate), whole}:
        return Answer(True, reviewer, "tag")
    # `aliases` is empty on a version read directly from some stores: ask the model.
    aliases = client.get_registered_model(MODEL).aliases
    shown = (found.tags.get("release_id"), found.tags.get("gate"))
    if str(aliases.get(APPROVED)) == str(version) and shown == (release_id, gate):
        return Answer(True, reviewer, "alias")
    return None


def holds_for(approval: Mapping[str, Any], *, release_id: str, gate: str) -> bool:
    """Whether a kept approval is about this release and this table still."""
    return (approval.get("release_id"), approval.get("gate")) == (release_id, gate)


def approved_by(uri: str, *, release_id: str, lineage: str) -> str:
    """Who approved this release in the registry, or the one that it continues by a reindex.

    Raises Refused where nobody did, or somebody rejected it, and where anybody could.
    """
    version, answer = _word(uri, release_id=release_id, lineage=lineage)
    if answer is None:
        raise Refused(
            f"gate.review is required, and nobody approved {MODEL} version {version} yet; "
            f"set its tags {REVIEWER} and {APPROVED} as its page says"
        )
    if not answer.approved:
        raise Refused(
            f"{answer.reviewer} rejected {MODEL} version {version} ({answer.reason}); "
            "retrain, or take the tag away"
        )
    return answer.reviewer


def standing(uri: str, *, release_id: str, lineage: str) -> Decision:
    """advance while an approval stands; rollback where it was taken back, or a rejection was set:
    nobody is shown for weeks what nobody stands by. inconclusive where nobody can tell, and where
    the alias, of which a model has one, approves another version by now."""
    try:
        version, answer = _word(uri, release_id=release_id, lineage=lineage)
        other = _approved_version(uri) if answer is None else None
    except (Refused, TrackerAway) as error:
        return Decision("inconclusive", (f"nobody can tell who approves it: {error}",), ())
    if answer is None and other not in {None, version}:
        reason = (
            f"The alias {APPROVED} is on {MODEL} version {other} now, and nothing else approves "
            f"version {version}: set its tag {APPROVED} as its page says, or reject it."
        )
        return Decision("inconclusive", (reason,), ())
    if answer is None:
        reason = f"The approval of {MODEL} version {version} was taken back: it goes back"
        hint = "approve it again, then roll out with --again"
        return Decision("rollback", (f"{reason}; {hint}.",), ())
    if not answer.approved:
        reason = f"{answer.reviewer} rejected {MODEL} version {version}: {answer.reason}."
        return Decision("rollback", (reason,), ())
    return Decision("advance", (f"{answer.reviewer} approved it.",), ())


def _word(uri: str, *, release_id: str, lineage: str) -> tuple[str, Answer | None]:
    """The version of the release, or of its encoder, and what a person said of it; raises Refused
    where it is not registered, or where anybody could say it."""
    check_reviewers(uri)
    with in_words(Path.cwd(), uri):
        client = tracker(uri)
        version = version_of(client, release_id) or version_of_lineage(client, lineage)
        if version is None:
            raise Refused(
                f"gate.review is required, but {release_id} is not in the registry for anybody to "
                "approve; let python -m flows.retrain register it"
            )
        about = {name: version.tags.get(name, "") for name in ("release_id", "gate")}
        number = str(version.version)
        return number, answer_of_review(client, number, **about)


def _approved_version(uri: str) -> str | None:
    """The version that the alias `approved` is on."""
    with in_words(Path.cwd(), uri):
        found = tracker(uri).get_registered_model(MODEL).aliases.get(APPROVED)
    return None if found is None else str(found)


def check_reviewers(uri: str, environment: Mapping[str, str] | None = None) -> None:
    """Raises Refused for a tracker beyond this machine on which anybody could approve."""
    if not is_beyond_loopback(uri):
        return
    place, env = without_password(uri), os.environ if environment is None else environment
    has_password = bool(urlsplit(uri).password)
    if not (has_password or env.get(_TOKEN) or (env.get(_NAME) and env.get(_PASSWORD))):
        raise Refused(
            f"gate.review is required, but the tracker {place} is beyond this machine and we have "
            f"no name there; set {_NAME} and {_PASSWORD}, or {_TOKEN}"
        )
    if answers_strangers(place):
        raise Refused(
            f"gate.review is required, but the tracker {place} answers anybody, so that anybody "
            "could approve; start it with MLflow's authentication: mlflow server --app-name "
            "basic-auth"
        )


def is_beyond_loopback(uri: str) -> bool:
    """Whether others can reach the tracker: it is a server, and not on this machine's loopback."""
    parts = urlsplit(uri)
    if parts.scheme not in {"http", "https"}:
        return False
    host = parts.hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return True


def answers_strangers(uri: str) -> bool:
    """Whether the server shows its models to somebody without a name; False where it is away."""
    parts = urlsplit(uri)
    request = urllib.request.Request(  # noqa: S310 - http or https, by is_beyond_loopback
        f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}{_PROBE}"
    )
    try:
        with urllib.request.urlopen(request, timeout=_PROBE_SECONDS) as answer:  # noqa: S310
            # A proxy's page to log in is an answer, too, but no list of models.
            return isinstance(json.load(answer), dict)
    except (urllib.error.URLError, OSError, ValueError):
        return False
