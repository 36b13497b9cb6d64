"""Take in what a person marked on a review page: the next snapshot has it among its judgements."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq

from perennial.data.marks import check_time, grades, in_order, parse_marks, read_marks
from perennial.errors import BadInput, PlaceUnusable
from perennial.release.stores.durable import write_durably
from perennial.verbs.arriving import settle
from perennial.verbs.freezing.marks import MARKS


@dataclass(frozen=True)
class Taken:
    """What one file of marks changed: documents that have another grade now, and its pairs.

    `labelled` documents have a label of the source, which stays; `unknown` ones are deleted.
    """

    reviewer: str
    release: str | None
    documents: int
    pairs: int
    labelled: int
    unknown: int

    @property
    def sentence(self) -> str:
        """What happened, for a person."""
        about = f"{self.reviewer}'s marks of {self.release or 'an unpublished candidate'}"
        if not self.documents and not self.pairs:
            said = f"{about} add nothing that was not there"
        else:
            said = (
                f"{about} give {self.documents:,} documents a grade from the next snapshot on; "
                f"{self.pairs:,} preferences between answers are kept for the next review"
            )
        if self.labelled:
            said += f"; {self.labelled:,} documents already have a label, which stays"
        if self.unknown:
            said += f"; {self.unknown:,} are no longer in the catalogue"
        return said


def import_marks(path: Path, *, source: Path, now: datetime) -> Taken:
    """Keep a file of marks in the source, once; raises BadInput where it is not one, or foreign."""
    settle(source)
    marks = parse_marks(_read(path), name=str(path))
    check_time(marks, name=str(path), now=now)
    marked = {(mark.query, mark.doc_id) for mark in marks.marks.documents}
    unknown = {doc_id for _, doc_id in marked} - _doc_ids(source)
    if marked and len(unknown) == len({doc_id for _, doc_id in marked}):
        raise BadInput(
            f"{path} marks no document of the catalogue in {source}; set PERENNIAL_HOME to the "
            "home whose candidate was reviewed"
        )
    folder = source / MARKS
    place, kept = folder / f"{marks.digest}.json", read_marks(folder)
    is_new = not place.exists()
    labelled = marked & _labelled(source)
    before, after = grades(kept), grades(in_order([*kept, marks]))
    changed = {
        key for key in marked - labelled if key[1] not in unknown and before.get(key) != after[key]
    }
    if is_new:
        _write(place, marks.canonical())
    return Taken(
        reviewer=marks.reviewer,
        release=marks.release,
        documents=len(changed) if is_new else 0,
        pairs=len(marks.marks.pairs) if is_new else 0,
        labelled=len(labelled),
        unknown=len(unknown),
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read ({error.strerror or error}); name the file that the review "
            "page downloaded: perennial import marks --path FILE"
        ) from error


def _doc_ids(source: Path) -> set[str]:
    path = source / "catalogue.parquet"
    if not path.exists():
        raise BadInput(f"{path} is missing; import a source first: perennial import apidocs")
    return set(pq.read_table(path, columns=["doc_id"])["doc_id"].to_pylist())


def _labelled(source: Path) -> set[tuple[str, str]]:
    path = source / "judgements.parquet"
    if not path.exists():
        return set()
    rows = pq.read_table(path, columns=["query", "doc_id"])
    return set(zip(rows["query"].to_pylist(), rows["doc_id"].to_pylist(), strict=True))


def _write(place: Path, content: bytes) -> None:
    try:
        write_durably(place, [content])
    except OSError as error:
        raise PlaceUnusable(
            f"cannot write {place}: {error.strerror or error}; make the folder writable or free "
            "some space, then run the same command again"
        ) from error
