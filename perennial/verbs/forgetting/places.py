"""Where a session may have left something on this machine, file by file, and what goes with it."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from perennial.verbs.forgetting.making import half_made
from perennial.verbs.forgetting.named import is_apart
from perennial.verbs.forgetting.pages import names_it
from perennial.verbs.forgetting.session import Session, spools
from perennial.verbs.forgetting.tables import (
    UNFINISHED,
    Hidden,
    count_rows,
    frozen_rows,
    live_rows,
)
from perennial.workspace import Places

LOG, RUNS, CHECKOUT = "live log", "runs", "checkout"
DVC, CACHES, TRACKER, HOME = "DVC cache", "caches", "tracker's artifacts", "elsewhere at home"
REMOTE = "DVC remote"
JOURNALS = "forgetting"
_WEIGHTS = {".faiss", ".npy", ".safetensors"}  # numbers only
_OURS = ("snapshot", "artifacts", "work")
_LAST = "requests"  # only a request makes the rest count


@dataclass(frozen=True)
class Trace:
    """A file with something of the session: its rows go, the whole file goes, or it stays and a
    person must look. `root` is the run, or the folder, that it lies in. A folder that was half made
    goes whole, whatever it holds."""

    where: str
    root: Path
    path: Path
    rows: int
    how: Literal["rows", "file", "folder", "stays"]


def frozen_folders(places: Places, here: Path) -> list[Path]:
    """The runs, and what `perennial snapshot` and `dvc repro` left in the folder `here`."""
    runs = [each for each in _entries(places.runs) if each.is_dir()]
    whole = [here / "snapshot"] if (here / "snapshot" / "snapshot.json").exists() else []
    return [*runs, *whole, *half_made(here)]


def find_traces(
    places: Places,
    session: Session,
    here: Path,
    remote: Iterable[Path] = (),
    apart: frozenset[str] = frozenset(),
) -> list[Trace]:
    """Every file below the places with something of the session, in the order of removal; `remote`
    are copies of what DVC's remote has, `apart` the md5 of files that are not looked into."""
    looked, half = _Look(session, names_it(session), apart), half_made(places.runs)
    found = [
        *looked.below(REMOTE, remote, how="file"),
        *looked.below(DVC, [places.cache / "dvc"], how="file"),
        *(t for each in _entries(places.cache) if each.name not in ("dvc", "vectors")
          for t in looked.below(CACHES, [each], how="file")),
        *looked.below(TRACKER, [places.home / "mlflow" / "artifacts"]),
        *(t for run in _entries(places.runs) if run not in half
          for t in looked.in_workspace(RUNS, run)),
        *(Trace(RUNS, each, each, 0, "folder") for each in half),
        *(Trace(CHECKOUT, each, each, 0, "folder") for each in half_made(here)),
    ]  # fmt: skip
    if (here / "snapshot" / "snapshot.json").exists():
        for name in _OURS:
            found += looked.in_workspace(CHECKOUT, here, name)
        found += looked.below(DVC, [here / ".dvc" / "cache"], how="file")
    found += looked.below(HOME, _others(places), how="stays")
    live = list(looked.below(LOG, [places.source], is_live=True))
    return found + sorted(live, key=lambda each: _LAST in each.path.parts)


def snapshots_of(traces: Iterable[Trace]) -> frozenset[str]:
    """The digests of the snapshots that held something of the session."""
    found = set()
    for run in {each.root for each in traces if _is_of_a_snapshot(each)}:
        about = run / "snapshot" / "snapshot.json"
        if about.is_file():
            found.add(str(json.loads(about.read_text(encoding="utf-8"))["digest"]))
    return frozenset(found)


def _is_of_a_snapshot(trace: Trace) -> bool:
    return trace.where in (RUNS, CHECKOUT) and trace.how != "folder"


@dataclass(frozen=True)
class _Look:
    session: Session
    names: Callable[[Path], bool]
    apart: frozenset[str]

    def in_workspace(self, where: str, root: Path, folder: str = ".") -> Iterator[Trace]:
        """The traces of a run; what encoders are made of is not text that anybody asked."""
        for path in _files(root / folder):
            if not is_apart(path.relative_to(root).as_posix()):
                yield from self._of(path, where, root, how="rows")

    def below(
        self,
        where: str,
        roots: Iterable[Path],
        *,
        how: Literal["rows", "file", "stays"] = "rows",
        is_live: bool = False,
    ) -> Iterator[Trace]:
        """The traces below the folders. Of a live log only tables lose rows; else, who knows."""
        for root in roots:
            for path in _files(root):
                if f"{path.parent.name}{path.name}" in self.apart or path.suffix == ".arrows":
                    continue
                if "encoder" not in path.relative_to(root).parts:
                    yield from self._of(path, where, root, how=how, is_live=is_live)

    def _of(
        self,
        path: Path,
        where: str,
        root: Path,
        *,
        how: Literal["rows", "file", "stays"],
        is_live: bool = False,
    ) -> Iterator[Trace]:
        hidden: Hidden = live_rows(self.session) if is_live else frozen_rows(self.session)
        try:
            if _is_table(path):
                if rows := count_rows(path, hidden):
                    yield Trace(where, root, path, rows, how)
            elif path.suffix not in _WEIGHTS and self.names(path):
                whole: Literal["file", "stays"] = "stays" if is_live or how == "stays" else "file"
                yield Trace(where, root, path, 0, whole)
        except FileNotFoundError:
            return  # of a run that is at work
        except (pa.ArrowException, OSError):
            yield Trace(where, root, path, 0, "stays")  # what cannot be looked into may hold it


def in_spools(source: Path, session: Session) -> int:
    """How many requests of it the spools of services hold, which are no parquet yet."""
    from perennial.serving.log.spool import batches
    from perennial.verbs.forgetting.session import is_among

    count = 0
    for spool in spools(source):
        for batch in batches(spool, "requests"):
            count += sum(is_among(batch["request_id"], session.requests).to_pylist())
    return count


def _is_table(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) == b"PAR1"


def _others(places: Places) -> list[Path]:
    """What lies at home beside the places that are looked into by themselves."""
    apart = {Path(places.store), places.cache, places.runs, places.source, places.home / JOURNALS}
    mine = {places.home / "mlflow" / "artifacts"}
    below = [each for each in _entries(places.home) if each not in apart]
    tracker = [each for each in _entries(places.home / "mlflow") if each not in mine]
    return [*(each for each in below if each.name != "mlflow"), *tracker]


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    for path in sorted(place.rglob("*")) if place.is_dir() else ():
        if path.is_file() and path.suffix != UNFINISHED and path.stat().st_size:
            yield path


def _entries(place: Path) -> list[Path]:
    return sorted(place.iterdir()) if place.is_dir() else []
