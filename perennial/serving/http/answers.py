"""From what was asked to the bounds it keeps, and from what was found to what is sent."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from perennial.errors import BadInput
from perennial.serving.excerpts import Excerpt
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


def answer_of(
    searched: Searched,
    *,
    channel: str,
    session_id: str,
    titles: Mapping[str, Excerpt] | None = None,
) -> bytes:
    """The JSON that is sent; hits of a shared list name their releases."""
    both = zip(searched.request_ids, searched.shown, strict=True)
    results = [_result(request_id, shown, titles) for request_id, shown in both]
    return to_json({"channel": channel, "session_id": session_id, "results": results})


def _result(
    request_id: str | None, shown: Shown, titles: Mapping[str, Excerpt] | None
) -> dict[str, Any]:
    columns = (shown.doc_ids, shown.scores, range(1, len(shown.doc_ids) + 1))
    hits: list[dict[str, Any]] = [
        {"doc_id": doc_id, "score": score, "rank": rank}
        for doc_id, score, rank in zip(*columns, strict=True)
    ]
    if shown.releases:
        for hit, release_id in zip(hits, shown.releases, strict=True):
            hit["release_id"] = release_id
    if titles is not None:
        for hit in hits:
            hit |= asdict(titles[hit["doc_id"]]) if hit["doc_id"] in titles else {}
    return {
        "request_id": request_id,
        "release_id": shown.release_id,
        "arm": shown.arm,
        "found": shown.found,
        "hits": hits,
    }
