"""What is sent and answered, as OpenAPI describes it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1, max_length=10_000)]
Name = Annotated[str, Field(min_length=1, max_length=256)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)


class Search(_Body):
    """One or many queries; `session_id` names the person's visit, and decides the arm."""

    query: Text | Annotated[list[Text], Field(min_length=1)]
    k: Annotated[int, Field(ge=1, description="documents for each query")] = 10
    slice: Name | None = None
    session_id: Name | None = Field(None, description="made up and answered where it is missing")
    arm: Literal["stable", "candidate"] | None = Field(
        None, description="asks that one, for people who compare: neither explored nor logged"
    )
    titles: bool = Field(False, description="with each hit's title and first words; slower")


class Hit(BaseModel):
    """One document; `release_id` where both releases share the list."""

    doc_id: str
    score: float
    rank: int
    release_id: str | None = None
    title: str | None = None
    first_words: str | None = None


class Result(BaseModel):
    """The answer to one query; without `request_id` no event can refer to it."""

    request_id: str | None
    release_id: str
    arm: Literal["stable", "candidate", "interleaved"]
    found: Literal["dense", "lexical", "fused"] = Field(
        description="how, and so what a score is: a cosine, BM25, or reciprocal ranks added up"
    )
    hits: list[Hit]


class Found(BaseModel):
    """The answers in the order of the queries."""

    channel: str
    session_id: str
    results: list[Result]


class Event(_Body):
    """What a person did with a hit; `value` is a dwell's seconds, or what a conversion is worth.

    Sent again, to any process of the service, it counts once.
    """

    request_id: Annotated[str, Field(min_length=1, max_length=512)]
    doc_id: Annotated[str, Field(min_length=1, max_length=1_000)]
    type: Literal["click", "dwell", "convert"]
    value: Annotated[float, Field(ge=0, le=1e9)] | None = None
    event_id: Name | None = Field(None, description="tells apart two that say the same")


class Events(_Body):
    """One or several events."""

    events: Annotated[list[Event], Field(min_length=1, max_length=100)]


class Taken(BaseModel):
    """How many events were written, had come before, and were refused; `error` is the first's."""

    taken: int
    repeated: int
    refused: int = 0
    error: str | None = Field(None, description="why the first that was refused was")


class Problem(BaseModel):
    """A sentence: the thing, the value, the remedy."""

    error: str
