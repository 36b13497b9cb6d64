"""What a person marked on a review page: preferences between two answers, and documents' worth.

A mark on a document is a judgement: relevant is grade 1, the least that a relevant document can
have, since nobody was asked how relevant; not relevant is grade 0. A mark on a pair says which of
two whole answers somebody liked better. It names no document, so it becomes no judgement; and who
marked it knew which answer was the candidate's, so no gate reads it. It is kept and shown.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import pyarrow as pa
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from perennial.data.schema import JUDGEMENTS
from perennial.errors import BadInput

FORMAT_VERSION = 1
RELEVANT = 1  # the grade of a document that was marked relevant
MOST_BYTES = 10_000_000
_LATEST = timedelta(days=1)  # a clock that is ahead by more is wrong


def _one_line(name: str) -> str:
    if not name.strip() or not name.isprintable():
        raise ValueError("a name in one line is needed")
    return name


def _in_utc(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() != timedelta(0):
        raise ValueError("a time in UTC is needed, such as 2026-01-05T00:00:00Z")
    return text


Text = Annotated[str, Field(min_length=1, max_length=20_000)]
Name = Annotated[str, Field(max_length=100), AfterValidator(_one_line)]
Id = Annotated[str, Field(min_length=1, max_length=2_000)]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PairMark(_Part):
    """Which of the two answers to a query somebody liked better."""

    query: Text
    candidate: Literal["better", "worse", "same"]


class DocumentMark(_Part):
    """Whether a document answers a query."""

    query: Text
    doc_id: Id
    relevant: bool


class Marked(_Part):
    """Every mark of one review."""

    pairs: list[PairMark]
    documents: list[DocumentMark]


class Marks(_Part):
    """One file of marks, as the page writes it; `release` is null where none was published."""

    format_version: Literal[1]
    release: Annotated[str, Field(pattern=r"^rel-[0-9a-f]{12}$")] | None
    gate: Digest
    reviewer: Name
    marked_at: Annotated[str, AfterValidator(_in_utc)]
    marks: Marked

    @property
    def digest(self) -> str:
        """Of what it says, however it was written."""
        return hashlib.sha256(self.canonical()).hexdigest()

    def canonical(self) -> bytes:
        """JSON with sorted keys."""
        return json.dumps(self.model_dump(), sort_keys=True, indent=1).encode() + b"\n"


def parse_marks(content: bytes, *, name: str) -> Marks:
    """The marks of a file; raises BadInput with one sentence for anything that is not just that."""
    if len(content) > MOST_BYTES:
        raise BadInput(
            f"{name} has {len(content):,} bytes, which no review page writes; take its own file"
        )
    try:
        marks = Marks.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadInput(
            f"{name} is not what a review page downloads ({where}: {first['msg'].lower()}); "
            "download the marks from the page again"
        ) from None
    except RecursionError:
        raise BadInput(f"{name} is nested too deep to be marks; take the page's own file") from None
    _check_once(marks, name)
    return marks


def check_time(marks: Marks, *, name: str, now: datetime) -> None:
    """Raises BadInput for marks of the future, which no later mark could correct."""
    if datetime.fromisoformat(marks.marked_at) > now + _LATEST:
        raise BadInput(
            f"{name} was marked at {marks.marked_at}, which is yet to come; set the clock of that "
            "machine and download the marks again"
        )


def _check_once(marks: Marks, name: str) -> None:
    said = [(mark.query, "") for mark in marks.marks.pairs]
    said += [(mark.query, mark.doc_id) for mark in marks.marks.documents]
    if not said:
        raise BadInput(f"{name} holds no mark; mark something on the page, then download again")
    seen: set[tuple[str, str]] = set()
    for key in said:
        if key in seen:
            about = f"document {key[1]!r} of " if key[1] else ""
            raise BadInput(
                f"{name} marks {about}query {key[0]!r} twice; keep one mark and import again"
            )
        seen.add(key)


def read_marks(folder: Path) -> list[Marks]:
    """All marks kept in a folder, the oldest first; raises BadInput for a damaged file."""
    return in_order(
        parse_marks(path.read_bytes(), name=str(path)) for path in folder.glob("*.json")
    )


def in_order(kept: Iterable[Marks]) -> list[Marks]:
    """By the time of marking."""
    return sorted(kept, key=lambda marks: (datetime.fromisoformat(marks.marked_at), marks.digest))


def grades(kept: Iterable[Marks]) -> dict[tuple[str, str], int]:
    """(query, doc_id) to grade; of several marks on one document the last in order counts."""
    return {
        (mark.query, mark.doc_id): RELEVANT if mark.relevant else 0
        for marks in kept
        for mark in marks.marks.documents
    }


def as_judgements(found: dict[tuple[str, str], int]) -> pa.Table:
    """The grades as rows of the table judgements, without a slice."""
    rows = [
        {"query": query, "doc_id": doc_id, "grade": grade, "slice": None}
        for (query, doc_id), grade in sorted(found.items())
    ]
    return pa.Table.from_pylist(rows, schema=JUDGEMENTS)
