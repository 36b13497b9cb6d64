"""What a bucket should be, from JSON documents: settings, and who may do what with the store."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perennial.errors import BadInput

ROLES = ("reader", "writer", "sweeper")
DOCUMENTS = ("encryption", "lifecycle", "public-access-block", "transport", *ROLES)


def read_documents(folder: Path, *, bucket: str, prefix: str) -> dict[str, Any]:
    """Every document by its name, for the store at `prefix` ("" or with its slash); BadInput.

    `${bucket}`, `${prefix}` and `${store}` are replaced: the last is a short name of the prefix,
    so that two stores in one bucket keep their rules apart.
    """
    short = hashlib.sha256(prefix.encode()).hexdigest()[:8]
    values = {"bucket": bucket, "prefix": prefix, "store": short}
    found = {}
    for name in DOCUMENTS:
        path = folder / f"{name}.json"
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise BadInput(
                f"{path} is not there; run it in the checkout, name the documents' folder with "
                "--documents, or only look with --check"
            ) from error
        except ValueError as error:
            raise BadInput(f"{path} is no JSON ({error}); mend it") from error
        found[name] = _filled(document, values)
    return found


def merged_policy(
    current: Mapping[str, Any] | None,
    documents: Mapping[str, Any],
    *,
    principals: Mapping[str, Sequence[str]],
    deny_plain_http: bool,
) -> dict[str, Any]:
    """The bucket's policy with each named role's statements for its principals; others stay.

    A role without principals keeps what it has.
    """
    ours = []
    for role in ROLES:
        if who := principals.get(role):
            for statement in documents[role]["Statement"]:
                ours.append(statement | {"Principal": {"AWS": list(who)}})
    if deny_plain_http:
        ours += documents["transport"]["Statement"]
    new = {statement["Sid"] for statement in ours}
    before = (current or {}).get("Statement", [])
    before = before if isinstance(before, list) else [before]
    kept = [statement for statement in before if statement.get("Sid") not in new]
    return {"Version": "2012-10-17", "Statement": [*kept, *ours]}


def merged_rules(
    current: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The bucket's lifecycle rules with ours; those of other names stay."""
    new = {rule["ID"] for rule in wanted}
    kept = [dict(rule) for rule in current if rule.get("ID") not in new]
    return [*kept, *(dict(rule) for rule in wanted)]


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for name, text in values.items():
            value = value.replace("${" + name + "}", text)
        return value
    if isinstance(value, list):
        return [_filled(each, values) for each in value]
    if isinstance(value, dict):
        return {name: _filled(each, values) for name, each in value.items()}
    return value
