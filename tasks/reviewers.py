"""MLflow's basic authentication, in which a reviewer's name is the one that they logged in with.

MLflow keeps no record of who set a tag. Its server can be told of `signed_in`, as the
`authorization_function` of the file that MLFLOW_AUTH_CONFIG_PATH names: then nobody approves, or
rejects, under another's name, nor changes what an answer is about. The flow may, which logs in with
the name that stands in PERENNIAL_FLOW_LOGIN of the server's environment.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tasks.registry import APPROVED, REJECTED, REVIEWER

if TYPE_CHECKING:
    from flask import Response
    from werkzeug.datastructures import Authorization

FLOW_LOGIN = "PERENNIAL_FLOW_LOGIN"
_ANSWERS = (APPROVED, REJECTED)
_ABOUT = ("release_id", "lineage", "gate")  # the tags that say what is approved
_CREATE, _SET, _DELETE, _ALIAS = _SIGNING = (
    "/mlflow/model-versions/create",
    "/mlflow/model-versions/set-tag",
    "/mlflow/model-versions/delete-tag",
    "/mlflow/registered-models/alias",
)


@dataclass(frozen=True)
class Signed:
    """Whose name stands on a version, and whether it answers for anything yet."""

    reviewer: str
    has_answered: bool


class SignedOf(Protocol):
    """Looks a version up in the registry; without a number the one with the alias `approved`."""

    def __call__(self, model: str, version: str | None) -> Signed: ...


def signed_in() -> "Authorization | Response":
    """Who asks, as MLflow's own basic authentication finds; 401 for a stranger, 403 for a forger.

    Runs in the process of MLflow's server, before each of its requests.
    """
    from flask import Response, request
    from mlflow.server.auth import authenticate_request_basic_auth
    from mlflow.server.handlers import _get_normalized_request_json

    who = authenticate_request_basic_auth()
    if isinstance(who, Response) or request.method == "GET":
        return who
    if not request.path.endswith(_SIGNING):
        return who
    # As the server will read it: a text or a text in a text may be a mapping, too.
    body = _get_normalized_request_json(request)
    name, flow = str(who.username), os.environ.get(FLOW_LOGIN, "")
    is_taking = request.method == "DELETE"
    said = forgery(
        request.path, body, is_taking=is_taking, name=name, flow=flow, signed_of=_signed_of
    )
    return who if said is None else Response(f"{said}\n", 403)


def forgery(
    path: str, body: Any, *, is_taking: bool, name: str, flow: str, signed_of: SignedOf
) -> str | None:
    """Why this request would sign as somebody else than `name`, or change what an answer is about,
    in a sentence; None for others, and for the `flow` where it takes away what is void."""
    if not isinstance(body, Mapping) or not path.endswith(_SIGNING):
        return None
    if path.endswith(_CREATE):
        known = {tag.get("key") for tag in body.get("tags") or () if isinstance(tag, Mapping)}
        if known & {REVIEWER, *_ANSWERS}:
            return "a version is made without an answer; set its tags when it is there"
        return None
    is_alias = path.endswith(_ALIAS)
    key = body.get("alias" if is_alias else "key")
    if key not in (REVIEWER, *_ANSWERS, *(() if is_alias else _ABOUT)):
        return None
    version = None if is_alias and is_taking else str(body.get("version"))
    signed = signed_of(str(body.get("name")), version)
    if key in _ABOUT:
        if name == flow or not signed.has_answered:
            return None
        return (
            f"{signed.reviewer or 'somebody'} answered for this {key}; only the flow changes it, "
            f"whose login {FLOW_LOGIN} names in this server's environment"
        )
    if is_taking or path.endswith(_DELETE):
        if signed.reviewer in {"", name} or name == flow:  # without a name it is nobody's
            return None
        return f"{signed.reviewer} answers for this version, and takes that away alone"
    if key == REVIEWER:
        if body.get("value") != name:
            return f"the tag {REVIEWER} is the name of who sets it: {name}"
        if signed.has_answered and signed.reviewer != name:
            return f"{signed.reviewer or 'somebody'} answered already; take that away first"
    elif signed.reviewer != name:
        return f"set the tag {REVIEWER} to {name} first: an answer is of whom it names"
    return None


def _signed_of(model: str, version: str | None) -> Signed:
    from mlflow.server.handlers import _get_model_registry_store

    registry = _get_model_registry_store()
    approved = registry.get_registered_model(model).aliases.get(APPROVED)
    number = approved if version is None else version
    if number is None:
        return Signed("", has_answered=False)
    tags = registry.get_model_version(model, str(number)).tags
    answered = any(key in tags for key in _ANSWERS) or str(approved) == str(number)
    return Signed(str(tags.get(REVIEWER, "")), answered)
