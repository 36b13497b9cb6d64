"""apidocs: the docstrings of the installed scientific Python packages as a catalogue.

Every fresh machine has them. The "See Also" sections, in which people describe one function from
another's page, give queries with known answers; they are dropped from the indexed text, or the
answers would leak.
"""

import importlib
import inspect
import io
import pkgutil
import re
import sys
import textwrap
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from datetime import datetime

import pandas as pd

from perennial.data.sources.settled import settled
from perennial.errors import BadInput

PACKAGES = ("numpy", "scipy", "pandas", "sklearn", "matplotlib", "torch")
# Sub-packages that are no public interface, need a display, or start something when imported.
_SKIP = re.compile(
    r"(^|\.)(_[^.]*|tests?|testing|conftest|setup|backends|distributed|utils\.tensorboard|f2py|"
    r"distutils|ao|fx|onnx|_inductor|_dynamo|contrib|jit|package|masked|sphinxext|benchmarks|"
    r"array_api_compat|array_api_extra|cython_parallel|vendored|libs|multiprocessing|core|compat|"
    r"externals|pylab|mixins|interchange)(\.|$)"
)
# Lines that only mean something on the page they stand on.
_NOT_A_QUERY = re.compile(
    r"\b(this|these|above|below|equivalent|see|same|counterpart|identical|inverse of|alias|"
    r"corresponding|reverse of|similar|opposite|former|latter|related)\b",
    re.IGNORECASE,
)
_SEE_ALSO = re.compile(r"^[ \t]*see also[ \t]*:?[ \t]*\n[ \t]*[-_=~]{3,}[ \t]*\n", re.I | re.M)
_SECTION = re.compile(r"^[ \t]*\S.*\n[ \t]*[-_=~]{3,}[ \t]*$", re.M)
# The same in Google's style: a colon, and lines that stand further in.
_SEE_ALSO_BLOCK = re.compile(
    r"^([ \t]*)see also:[ \t]*\n(?:\1[ \t]+\S.*\n?|[ \t]*\n)+", re.I | re.M
)
_NAME = r"(?::[:\w]+:)?`?[~.]?[A-Za-z_][\w.]*`?(?:\(\))?"
_ENTRY = re.compile(rf"^(?P<names>{_NAME}(?:,\s*{_NAME})*),?\s*(?::\s*(?P<text>\S.*)?)?$")
_ROLE = re.compile(r":[:\w]+:|[`~()]")


def read_apidocs(
    *,
    updated_at: datetime,
    packages: Sequence[str] = PACKAGES,
    progress: Callable[[str], None] = lambda package: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(catalogue, truth): documented public names, and See Also lines as (query, doc_id, grade)."""
    documents: dict[int, tuple[str, str]] = {}  # identity of the object: shortest name, text
    names: dict[str, int] = {}  # every name that leads to it
    kept: list[object] = []  # identities are only unique while the objects live
    for package in packages:
        progress(package)
        for name, thing in _public_things(package):
            text = _docstring(thing)
            if text is None:
                continue
            kept.append(thing)
            names.setdefault(name, id(thing))
            known = documents.get(id(thing))
            if known is None or (len(name), name) < (len(known[0]), known[0]):
                documents[id(thing)] = (name, text)
    if not documents:
        raise BadInput(f"none of {', '.join(packages)} is installed with docstrings (python -OO?)")
    rows, links = [], []
    first: dict[str, str] = {}  # a text to the document that stands for all that repeat it
    stands_for: dict[str, str] = {}
    for name, text in sorted(documents.values()):
        body, see_also = split_see_also(text)
        if body.strip() and body not in first:  # inherited methods repeat their parent's text
            first[body] = name
            rows.append((name, name, body, name.split(".")[0], updated_at))
            links += [(name, *entry) for entry in see_also]
        stands_for[name] = first.get(body, "")
    catalogue = pd.DataFrame(rows, columns=["doc_id", "title", "text", "slice", "updated_at"])
    resolve = {name: stands_for[documents[key][0]] for name, key in names.items()}
    return catalogue, _truth(links, resolve)


def split_see_also(docstring: str) -> tuple[str, list[tuple[str, str]]]:
    """A numpydoc docstring to (the text without its See Also, [(name, description)]).

    Several names with one description are several entries; a name without one is none.
    """
    text = _SEE_ALSO_BLOCK.sub("", docstring)
    entries: list[tuple[str, str]] = []
    while start := _SEE_ALSO.search(text):
        rest = text[start.end() :]
        end = _SECTION.search(rest)
        entries += _entries(rest[: end.start()] if end else rest)
        text = text[: start.start()].rstrip() + "\n\n" + (rest[end.start() :] if end else "")
    return text, entries


def _entries(section: str) -> Iterator[tuple[str, str]]:
    names: list[str] = []
    words = ""
    for line in [*textwrap.dedent(section.strip("\n")).splitlines(), "end"]:
        entry = _ENTRY.match(line)
        if entry or not line.startswith((" ", "\t")):
            if words:
                yield from ((name, " ".join(words.split())) for name in names)
            listed = _ROLE.sub("", entry["names"]).split(",") if entry else []
            names = [name.strip().strip(".") for name in listed]
            words = (entry["text"] or "") if entry else ""
        else:
            words += " " + line.strip()


def _truth(links: list[tuple[str, str, str]], resolve: dict[str, str]) -> pd.DataFrame:
    """See Also lines whose name resolves, from the page that says it outwards."""
    rows = set()
    for page, name, text in links:
        parents = [page.rsplit(".", depth)[0] for depth in range(1, page.count(".") + 1)]
        for candidate in [name, *(f"{parent}.{name}" for parent in parents)]:
            target = resolve.get(candidate)
            if target and target != page:
                if len(text) >= 12 and not _NOT_A_QUERY.search(text):
                    rows.add((text, target))
                break
    frame = pd.DataFrame(sorted(rows), columns=["query", "doc_id"])
    return frame.assign(grade=1)


def _docstring(thing: object) -> str | None:
    text = thing.__doc__ if isinstance(getattr(thing, "__doc__", None), str) else None
    return settled(inspect.cleandoc(text)) if text and len(text) >= 40 else None


def _public_things(package: str) -> Iterator[tuple[str, object]]:
    """(qualified name, function, class or method) of every public module, in a stable order."""
    for module in _public_modules(package):
        exported = getattr(module, "__all__", None)
        for name, member in sorted(vars(module).items()):
            if exported is not None and name not in exported:
                continue
            if name.startswith("_") or isinstance(member, types.ModuleType):
                continue
            owner = getattr(member, "__module__", None) or package
            if not callable(member) or str(owner).split(".")[0] != package:
                continue
            yield f"{module.__name__}.{name}", member
            if inspect.isclass(member):
                yield from _public_methods(f"{module.__name__}.{name}", member)


def _public_methods(name: str, owner: type) -> Iterator[tuple[str, object]]:
    for attribute, member in sorted(vars(owner).items()):
        if attribute.startswith("_"):
            continue
        if callable(member) or isinstance(member, property | classmethod):
            yield f"{name}.{attribute}", member


def _public_modules(package: str) -> Iterator[types.ModuleType]:
    root = _import_quietly(package)
    if root is None:
        return
    yield root
    yield from _below(root)


def _below(package: types.ModuleType) -> Iterator[types.ModuleType]:
    for info in sorted(
        pkgutil.iter_modules(package.__path__, f"{package.__name__}."), key=lambda info: info.name
    ):
        module = None if _SKIP.search(info.name) else _import_quietly(info.name)
        if module is not None:
            yield module
            if info.ispkg:
                yield from _below(module)


def _import_quietly(name: str) -> types.ModuleType | None:
    """The module, or None where it does not import here: optional parts need other packages."""
    if name in sys.modules:
        return sys.modules[name]
    try:
        silence = io.StringIO()
        with warnings.catch_warnings(), redirect_stdout(silence), redirect_stderr(silence):
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except Exception:  # noqa: BLE001  packages fail in their own ways without their optional parts
        return None
