"""The parts of a manifest: encoder and its ONNX graph, segments, catalogue, references, bridge,
provenance."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
ReleaseId = Annotated[str, Field(pattern=r"^rel-[0-9a-f]{12}$")]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True)
class StoredFile:
    """One file of a release: its path inside its folder, and the object that holds its bytes."""

    __pydantic_config__ = STRICT
    path: str
    digest: Digest
    bytes: Count


@dataclass(frozen=True)
class EncoderPart:
    """The encoder's directory; `max_tokens` is None where nothing says where it cuts."""

    __pydantic_config__ = STRICT
    digest: Digest
    dimension: Annotated[int, Field(ge=1)]
    metric: Literal["cosine"]
    dtype: str
    max_tokens: int | None
    files: tuple[StoredFile, ...]


@dataclass(frozen=True)
class SegmentPart:
    """One immutable FAISS file, its ids, the rows that no longer count, and the rows' words."""

    __pydantic_config__ = STRICT
    vectors: StoredFile
    ids: StoredFile
    tombstones: StoredFile | None
    rows: Count
    live: Count
    lexical: StoredFile | None = None


@dataclass(frozen=True)
class WaitingPart:
    """Documents whose words are counted and whose vectors are still being made."""

    __pydantic_config__ = STRICT
    ids: StoredFile
    lexical: StoredFile
    rows: Count


@dataclass(frozen=True)
class IndexPart:
    """The segments in order, how they are searched, and what waits for its vectors."""

    __pydantic_config__ = STRICT
    factory: str
    search: dict[str, int]
    quantizer: StoredFile | None
    segments: tuple[SegmentPart, ...]
    waiting: tuple[WaitingPart, ...] = ()


@dataclass(frozen=True)
class CataloguePart:
    """The catalogue that the index holds; `watermark` is its newest updated_at."""

    __pydantic_config__ = STRICT
    digest: Digest
    watermark: str
    documents: Count


@dataclass(frozen=True)
class ReferencesPart:
    """A sample of queries and vectors that drift is measured against."""

    __pydantic_config__ = STRICT
    queries: StoredFile
    vectors: StoredFile


@dataclass(frozen=True)
class RecallPart:
    """A mean recall@k of n queries with its interval, on `documents` documents."""

    __pydantic_config__ = STRICT
    value: Share
    low: Share
    high: Share
    n: Count
    k: Annotated[int, Field(ge=1)]
    documents: Count


@dataclass(frozen=True)
class BridgePart:
    """How the encoder's queries reach an index that another encoder made: by a fitted map.

    `forced` is the reason of a person who published it against what its recall allows.
    """

    __pydantic_config__ = STRICT
    index_encoder: Digest
    index_dimension: Annotated[int, Field(ge=1)]
    kind: str
    map: StoredFile
    fitted_on: Count
    recall: RecallPart
    forced: str | None


@dataclass(frozen=True)
class OnnxPart:
    """The encoder as an ONNX graph, and how far its vectors are from torch's on so many texts.

    A difference is 1 - cosine. What was not shown to be equal is no part of a release.
    """

    __pydantic_config__ = STRICT
    encoder: Digest
    graph: StoredFile
    tokenizer: StoredFile
    exporter: str
    texts: Annotated[int, Field(ge=1_000)]
    max_difference: Annotated[float, Field(ge=0, le=1e-4)]
    mean_difference: Annotated[float, Field(ge=0, le=1e-4)]


@dataclass(frozen=True)
class Provenance:
    """What made the release, as far as its maker knew.

    `forced` is the reason of a person who promoted it against what the gate said.
    """

    __pydantic_config__ = STRICT
    git_commit: str | None = None
    params_digest: str | None = None
    dvc_lock_digest: str | None = None
    snapshot_digest: str | None = None
    mlflow_run_id: str | None = None
    forced: str | None = None
