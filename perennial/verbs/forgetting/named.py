"""What runs call the files that DVC's cache and remote name by digest. Code, and what encoders are
made of, are no text that anybody asked, whatever words stand in them."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import yaml

from perennial.errors import IntegrityError
from perennial.release.remote.copies import Copies
from perennial.release.remote.listing import is_named, listed
from perennial.release.remote.runs import FILES, RUNS, pushed_runs

_CODE = ("perennial", "expectations")  # a run's own copy of the packages
_LISTINGS = f"{FILES}[0-9a-f][0-9a-f]/*.dir"


def is_apart(path: str) -> bool:
    """Whether a file of a run, by its path there, is code or a part of an encoder."""
    parts = path.split("/")
    return parts[0] in _CODE or "encoder" in parts


def digests_apart(
    runs: Iterable[Path], caches: Iterable[Path], copies: Copies | None, *, key: bytes | None
) -> frozenset[str]:
    """The md5 of every file that only such names are for, and of the listings, which name files;
    what no run or listing names may be anything."""
    outs = [each for root in runs for each in _outs_of(root)]
    listings = {
        path.parent.name + path.name: path for root in caches for path in root.glob(_LISTINGS)
    }
    if copies is not None:
        for run in pushed_runs(copies.bucket, key=key):
            outs += [*run.folders.items(), *_outs(run.settings.get("dvc.lock", ""))]
        kept = ((_md5(name), path) for path, name in copies.keys.items())
        listings |= {md5: path for md5, path in kept if md5.endswith(".dir")}
    return _apart(outs, listings)


def to_look_into(copies: Copies | None, apart: frozenset[str]) -> list[Path]:
    """The copies of all else, but for the records of runs, whose text is settings."""
    return [
        path
        for path, name in (copies.keys.items() if copies is not None else ())
        if not (name.startswith(RUNS) or is_apart(name) or _md5(name) in apart)
    ]


def _apart(outs: Iterable[tuple[str, str]], listings: Mapping[str, Path]) -> frozenset[str]:
    names, whole = dict[str, set[str]](), set[str]()
    for path, md5 in outs:
        names.setdefault(md5, set()).add(path)
    for md5, file in listings.items():
        try:
            data = file.read_bytes()
            rows = listed(data, what=str(file)) if is_named(data, md5) else None
        except (OSError, IntegrityError):
            continue
        if rows is None:
            continue
        whole.add(md5)
        for folder in names.get(md5, {""}):
            for path, each in rows.items():
                names.setdefault(each, set()).add(f"{folder}/{path}" if folder else path)
    return frozenset(whole | {md5 for md5, paths in names.items() if all(map(is_apart, paths))})


def _outs_of(root: Path) -> Iterator[tuple[str, str]]:
    for path in (root / "dvc.lock", *sorted(root.glob("*.dvc"))):
        if path.is_file():
            yield from _outs(path.read_text(encoding="utf-8"))


def _outs(text: str) -> Iterator[tuple[str, str]]:
    """(path, md5) of what a dvc.lock, or a pointer of DVC's, says that it keeps."""
    try:
        value = yaml.load(text, yaml.CSafeLoader) or {}
        for stage in (value, *value.get("stages", {}).values()):
            for each in stage.get("outs", []):
                if "md5" in each:
                    yield str(each["path"]), str(each["md5"])
    except (yaml.YAMLError, AttributeError, KeyError, TypeError):
        return  # what it would have named is looked into


def _md5(key: str) -> str:
    return key.removeprefix(FILES).replace("/", "") if key.startswith(FILES) else ""
