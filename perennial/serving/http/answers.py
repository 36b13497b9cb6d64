"""From what was asked to the bounds it keeps, and from what was found to what is sent."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from perennial.errors import BadInput
from perennial.serving.excerpts import read_excerpts
from perennial.serving.http.bodies import Search
from perennial.serving.service import Searched
from perennial.serving.showing import Shown


def read_search(body: bytes, content_type: str) -> Search:
    """The question of a body; raises BadInput, also for what a form of another page may send."""
    if not content_type.startswith("application/json"):
        raise BadInput(f"the content-type is {content_type!r}; send application/json")
    try:
        return Search.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, ("body", *first["loc"])))
        raise BadInput(f"{place}: {first['msg'].lower()}; see /openapi.json") from None


def check_size(queries: Sequence[str], k: int, most: int, max_k: int, max_characters: int) -> None:
    """Raise BadInput beyond a bound."""
    if len(queries) > most:
        raise BadInput(f"{len(queries)} queries at once; ask at most {most}")
    if k > max_k:
        raise BadInput(f"k is {k}; ask for at most {max_k} documents")
    longest = max(len(query) for query in queries)
    if longest > max_characters:
        raise BadInput(f"a query has {longest} characters; ask in at most {max_characters}")


def read_titles(source: Path, searched: Searched) -> dict[str, dict[str, Any]]:
    """{doc_id: {title, first_words}} of all hits, from the source's catalogue."""
    doc_ids = [hit.doc_id for each in searched.shown for hit in each.hits]
    return {name: asdict(found) for name, found in read_excerpts(source, doc_ids).items()}


def result_of(shown: Shown, titles: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """One query's result as it is sent; hits of a shared list name their releases."""
    hits = [
        {"doc_id": hit.doc_id, "score": hit.score, "rank": hit.rank} | titles.get(hit.doc_id, {})
        for hit in shown.hits
    ]
    if shown.arm == "interleaved":
        for hit, row in zip(hits, shown.rows, strict=True):
            hit["release_id"] = row[4]
    return {
        "request_id": shown.request_id,
        "release_id": shown.release_id,
        "arm": shown.arm,
        "hits": hits,
    }
