"""What a manifest has that Kubernetes' schema does not allow, read off lightkube's generated types.

They are read as text: the package would import its client, which nothing here needs.
"""

import ast
import functools
import importlib.metadata
import re
from pathlib import Path
from typing import Any

_PLAIN: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "float": (int, float),
    "dict": (dict,),
    "IntOrString": (int, str),
    "Quantity": (int, float, str),
}


def faults_of(manifest: dict[str, Any]) -> list[str]:
    """Unknown and missing fields and wrong types, each with its place; empty where it is right."""
    group, _, version = manifest["apiVersion"].rpartition("/")
    module = f"{group.partition('.')[0] or 'core'}_{version}"
    return _faults(manifest, module, manifest["kind"], manifest["kind"])


def _faults(value: Any, module: str, kind: str, where: str) -> list[str]:
    if inner := re.fullmatch(r"Optional\[(.+)\]", kind):
        return _faults(value, module, inner[1], where)
    if inner := re.fullmatch(r"List\[(.+)\]", kind):
        if not isinstance(value, list):
            return [f"{where}: {value!r} is no list"]
        return [
            fault
            for at, each in enumerate(value)
            for fault in _faults(each, module, inner[1], f"{where}[{at}]")
        ]
    if "." in kind:
        module, _, kind = kind.partition(".")
    if kind in _PLAIN:
        is_right = isinstance(value, _PLAIN[kind]) and isinstance(value, bool) == (kind == "bool")
        return [] if is_right else [f"{where}: {value!r} is no {kind}"]
    known = _classes(module)[kind]
    if not isinstance(value, dict):
        return [f"{where}: {value!r} is no {kind}"]
    needed = {name for name, (_, is_needed) in known.items() if is_needed}
    found = [f"{where}.{name}: unknown" for name in sorted(value.keys() - known.keys())]
    found += [f"{where}.{name}: missing" for name in sorted(needed - value.keys())]
    for name in sorted(value.keys() & known.keys()):
        found += _faults(value[name], module, known[name][0], f"{where}.{name}")
    return found


@functools.cache
def _classes(module: str) -> dict[str, dict[str, tuple[str, bool]]]:
    """Each type of a module: its fields by their names in JSON, (type, whether it is needed)."""
    place = importlib.metadata.distribution("lightkube-models")
    path = Path(str(place.locate_file(f"lightkube/models/{module}.py")))
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
            found[node.name] = dict(_field(each) for each in fields)
    return found


def _field(line: ast.AnnAssign) -> tuple[str, tuple[str, bool]]:
    assert isinstance(line.target, ast.Name) and isinstance(line.annotation, ast.Constant)
    said = ast.unparse(line.value) if line.value is not None else ""
    renamed = re.search(r"'json': '(\w+)'", said)
    is_needed = line.value is None or ("field(" in said and "default" not in said)
    return renamed[1] if renamed else line.target.id, (line.annotation.value, is_needed)
