"""params.yaml, parsed once and strictly at the door; a wrong key is told by its dotted name."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from perennial.errors import ParamsInvalid
from perennial.params.train import KINDS
from perennial.params.whole import Params


def load_params(path: Path) -> Params:
    """params.yaml to Params; raises ParamsInvalid naming every wrong key by its dotted name."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ParamsInvalid(f"cannot read {path}: {error.strerror}; run from a checkout") from error
    except UnicodeDecodeError as error:
        raise ParamsInvalid(f"{path} is not UTF-8 ({error.reason}); save it as UTF-8") from error
    try:
        raw = yaml.load(text, Loader=_StrictLoader)  # noqa: S506  a SafeLoader
    except yaml.YAMLError as error:
        raise ParamsInvalid(f"{path.name} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise ParamsInvalid(f"{path.name} must be a mapping of sections")
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise ParamsInvalid(f"{path.name}: " + "; ".join(_complaints(error, raw))) from error


def _complaints(error: ValidationError, raw: dict[str, Any]) -> Iterator[str]:
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"] if part not in KINDS)
        if problem["type"] == "extra_forbidden":
            yield f"{name} is not a parameter{_closest(problem['loc'], raw)}; remove or rename it"
        elif problem["type"] == "missing":
            yield f"{name} is missing; add it"
        else:
            yield f"{name} is {problem['input']!r}: {problem['msg'].lower()}{_pointless(problem)}"


def _pointless(problem: Mapping[str, Any]) -> str:
    """A hint where YAML took a number for a text: 2e-5 lacks its point."""
    if problem["type"] == "float_type" and isinstance(problem["input"], str):
        mantissa, exponent, power = problem["input"].lower().partition("e")
        if exponent and mantissa.lstrip("+-").isdigit():
            return f" (YAML reads it as a text; write {mantissa}.0e{power})"
    return ""


def _closest(location: tuple[int | str, ...], raw: dict[str, Any]) -> str:
    import difflib

    fields: dict[str, Any] = {f.alias or n: f for n, f in Params.model_fields.items()}
    if len(location) > 1 and str(location[0]) in fields:
        fields = fields[str(location[0])].annotation.model_fields
    near = difflib.get_close_matches(str(location[-1]), list(fields), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


class _StrictLoader(yaml.SafeLoader):
    """A key written twice is an error: plain YAML silently keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"key written twice: {', '.join(map(str, twice))}", node.start_mark
            )
        return super().construct_mapping(node, deep)
