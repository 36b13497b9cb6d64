"""What a training is made of: a checkpoint is continued with the very same only."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from perennial.model.digest import directory_digest, file_digest
from perennial.params.whole import Params
from perennial.stages.shell import write_json
from perennial.workspace import Workspace

_NAME = "made_of.json"
_ROOMS = ("model", "data", "index", "stages")


def made_of(workspace: Workspace, params: Params, *, device: torch.device) -> dict[str, str]:
    """All that the result depends on, by name: digests of files, parameters, versions."""
    found = {
        "triplets": file_digest(workspace.artifacts("mine") / "triplets.parquet"),
        "catalogue": file_digest(workspace.table("catalogue")),
        "base": directory_digest(workspace.root / params.train.base),
        "torch": f"{torch.__version__} on {device.type}",
        "code": _code(),
    }
    found |= _flat("train", params.train.model_dump(mode="json"))
    found |= _flat("split", params.split.model_dump(mode="json"))
    if params.train.remine_every:
        found["rules"] = file_digest(workspace.artifacts("mine") / "rules.parquet")
        found["teacher"] = directory_digest(workspace.root / params.mine.teacher)
        found |= _flat("mine", params.mine.model_dump(mode="json"))
    return found


def fingerprint(parts: Mapping[str, str]) -> str:
    """12 hex digits of them."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def claim(work: Path, parts: Mapping[str, str]) -> tuple[Path, list[str]]:
    """The folder below `work` for a checkpoint of these parts, and what is to be said of others.

    A checkpoint of anything else stays where it is, is not used, and how it differs is said.
    """
    own = work / fingerprint(parts)
    said = []
    for mark in sorted(work.glob(f"*/{_NAME}")):
        if mark.parent == own or not (mark.parent / "checkpoint.safetensors").exists():
            continue
        theirs = json.loads(mark.read_text(encoding="utf-8"))
        changed = [
            f"{name} was {_short(theirs.get(name))}, is {_short(parts.get(name))}"
            for name in sorted({*theirs, *parts})
            if theirs.get(name) != parts.get(name)
        ]
        said.append(
            f"the checkpoint in {mark.parent.name} is of another training and is not continued: "
            f"{'; '.join(changed)}"
        )
    own.mkdir(parents=True, exist_ok=True)
    write_json(own / _NAME, dict(parts))
    return own, said


def _code() -> str:
    package = Path(__file__).parents[1]
    files = sorted(path for room in _ROOMS for path in package.glob(f"{room}/**/*.py"))
    digests = {str(path.relative_to(package)): file_digest(path) for path in files}
    return "sha256:" + hashlib.sha256(json.dumps(digests).encode()).hexdigest()


def _flat(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {name: json.dumps(value)}
    parts = [_flat(f"{name}.{key}", part) for key, part in value.items()]
    return {key: text for part in parts for key, text in part.items()}


def _short(value: str | None) -> str:
    if value is None:
        return "missing"
    return value[:15] if value.startswith("sha256:") else value
