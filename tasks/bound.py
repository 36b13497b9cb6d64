"""What is run of a run that was pulled, held to its dvc.lock: the release's manifest has the digest
of that, so that it says what was run then, whoever may write to the bucket."""

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from perennial.errors import IntegrityError
from tasks.workspace import CODE

_KEYS = {"cmd", "deps", "params", "outs", "metrics", "plots"}  # none that runs it elsewhere
_MADE = ("outs", "metrics", "plots")


def check_bound(
    lock: str, stages: str, folders: Mapping[str, Mapping[str, str]], *, what: str
) -> None:
    """Raises IntegrityError unless dvc.yaml, `stages`, has the commands and outs of dvc.lock, and
    the listed `folders`, {folder: {path: md5}}, the files that it says they read."""
    try:
        of_then, of_now = _stages(lock), _stages(stages)
        wrong = [name for name, stage in of_now.items() if not _is_same(stage, of_then.get(name))]
        wrong += [
            path for path, md5 in _read(of_then).items()
            if (place := path.partition("/"))[0] in folders
            and folders[place[0]].get(place[2]) != md5
        ]  # fmt: skip
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise IntegrityError(f"dvc.yaml or dvc.lock of {what} cannot be read: {error}") from error
    if wrong:
        raise IntegrityError(
            f"{wrong[0]} of {what} is not what its dvc.lock says was run; find out who wrote it, "
            "and restore it from a copy"
        )


def remove_unbound(root: Path, lock: str) -> None:
    """Remove code that dvc.lock does not name: no stage needs it, and who wrote it nobody knows."""
    named = _read(_stages(lock))
    for package in CODE:
        for path in (root / package.__name__).rglob("*"):
            is_named = path.relative_to(root).as_posix() in named
            if not (path.is_dir() or is_named or _does_nothing(path)):
                path.unlink()


def _stages(text: str) -> dict[str, dict[str, Any]]:
    value = yaml.safe_load(text)
    if set(value) - {"schema", "stages"}:
        raise ValueError(f"it has {', '.join(sorted(set(value) - {'schema', 'stages'}))}")
    return dict(value["stages"])


def _is_same(now: dict[str, Any], then: dict[str, Any] | None) -> bool:
    if then is None or set(now) - _KEYS or now["cmd"] != then["cmd"]:
        return False
    made = [each for kind in _MADE for each in now.get(kind, [])]
    paths = {path for each in made for path in ([each] if isinstance(each, str) else each)}
    return paths == {each["path"] for each in then.get("outs", [])}


def _read(stages: dict[str, dict[str, Any]]) -> dict[str, str]:
    """{path: md5} of the single files that the stages read."""
    deps = [each for stage in stages.values() for each in stage.get("deps", [])]
    return {each["path"]: each["md5"] for each in deps if not each["md5"].endswith(".dir")}


def _does_nothing(path: Path) -> bool:
    """Whether it makes a folder a package, and says at most what for."""
    if path.name != "__init__.py":
        return False
    try:
        body = ast.parse(path.read_bytes()).body
    except (SyntaxError, ValueError):
        return False
    return all(isinstance(e, ast.Expr) and isinstance(e.value, ast.Constant) for e in body)
