"""A manifest: everything that a release consists of, each byte of it named by digest and size."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import TypeAdapter

from perennial.errors import BadInput, EncoderMismatch, IntegrityError
from perennial.model.layout import UNSAFE_SUFFIXES
from perennial.release.manifests.canonical import (
    canonical_json,
    check_signature,
    parse_strictly,
    parse_utc,
    sign,
)
from perennial.release.manifests.parts import (
    STRICT,
    BridgePart,
    CataloguePart,
    Digest,
    EncoderPart,
    IndexPart,
    OnnxPart,
    Provenance,
    ReferencesPart,
    ReleaseId,
    StoredFile,
)


@dataclass(frozen=True)
class Manifest:
    """One encoder and the index that it made; `release_id` is a digest of all the rest.

    With a `bridge` the index is another encoder's, and a map fitted on both spaces stands between.
    With `onnx` the encoder comes a second time, as a graph that needs no torch.
    """

    __pydantic_config__ = STRICT
    format_version: Literal[1]
    release_id: ReleaseId
    created_at: str
    parent: ReleaseId | None
    lineage: Digest
    encoder: EncoderPart
    index: IndexPart
    catalogue: CataloguePart
    references: ReferencesPart | None
    health: dict[str, Any]
    provenance: Provenance
    signature: str | None
    bridge: BridgePart | None = None
    onnx: OnnxPart | None = None

    @property
    def index_encoder(self) -> str:
        """The digest of the encoder that made the index."""
        return self.encoder.digest if self.bridge is None else self.bridge.index_encoder

    @property
    def index_dimension(self) -> int:
        """The dimension of the index."""
        return self.encoder.dimension if self.bridge is None else self.bridge.index_dimension

    def files(self) -> Iterator[tuple[str, StoredFile]]:
        """(path inside the release's folder, stored file) of every file that is an object."""
        for file in self.encoder.files:
            yield f"encoder/{file.path}", file
        for segment in self.index.segments:
            for part in (segment.vectors, segment.ids, segment.tombstones, segment.lexical):
                if part is not None:
                    yield f"index/{part.path}", part
        for waiting in self.index.waiting:
            yield f"index/{waiting.ids.path}", waiting.ids
            yield f"index/{waiting.lexical.path}", waiting.lexical
        if self.index.quantizer is not None:
            yield f"index/{self.index.quantizer.path}", self.index.quantizer
        if self.references is not None:
            yield f"references/{self.references.queries.path}", self.references.queries
            yield f"references/{self.references.vectors.path}", self.references.vectors
        if self.bridge is not None:
            yield f"bridge/{self.bridge.map.path}", self.bridge.map
        if self.onnx is not None:
            yield f"onnx/{self.onnx.graph.path}", self.onnx.graph
            yield f"onnx/{self.onnx.tokenizer.path}", self.onnx.tokenizer

    def objects(self) -> dict[str, int]:
        """Digest to bytes of every object that the release needs."""
        return {file.digest: file.bytes for _, file in self.files()}

    def to_bytes(self) -> bytes:
        """The canonical JSON that is stored."""
        return canonical_json(self._content())

    def named(self) -> "Manifest":
        """The unsigned manifest with the release_id that its content has."""
        content = self._content()
        del content["release_id"], content["signature"]
        hexadecimal = hashlib.sha256(canonical_json(content)).hexdigest()
        return replace(self, release_id=f"rel-{hexadecimal[:12]}", signature=None)

    def signed(self, key: bytes) -> "Manifest":
        """The manifest with the key's signature over everything else in it."""
        unsigned = replace(self, signature=None)
        return replace(self, signature=sign(unsigned.to_bytes(), key))

    def _content(self) -> dict[str, Any]:
        content = asdict(self)
        for part in ("bridge", "onnx"):  # as it was before there were any
            if content[part] is None:
                del content[part]
        for segment in content["index"]["segments"]:
            if segment["lexical"] is None:
                del segment["lexical"]
        if not content["index"]["waiting"]:
            del content["index"]["waiting"]
        if content["provenance"]["forced"] is None:
            del content["provenance"]["forced"]
        return content


def read_manifest(data: bytes, *, release_id: str, key: bytes | None = None) -> Manifest:
    """The manifest of stored bytes; raises IntegrityError unless it is what was published."""
    what = f"the manifest of {release_id}"
    manifest = parse_strictly(data, _ADAPTER, what=what)
    content_id = manifest.named().release_id
    if not content_id == manifest.release_id == release_id or manifest.to_bytes() != data:
        raise IntegrityError(
            f"{what} was altered (its content is that of {content_id}); "
            "roll back to another release, or restore the file from a copy"
        )
    if key is not None:
        payload = replace(manifest, signature=None).to_bytes()
        check_signature(payload, manifest.signature, key, what=what)
    check_consistency(manifest)
    return manifest


def check_consistency(manifest: Manifest) -> None:
    """Raise IntegrityError where fields contradict each other, or a file could harm a reader."""
    what = f"the manifest of {manifest.release_id}"
    lines = sorted(
        f"{file.path}\t{file.digest.removeprefix('sha256:')}\n" for file in manifest.encoder.files
    )
    made = "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()
    if not made == manifest.encoder.digest == manifest.lineage:
        raise IntegrityError(
            f"{what} calls its encoder {manifest.encoder.digest} and its lineage "
            f"{manifest.lineage}, but its files make {made}; publish it again"
        )
    if manifest.bridge is not None and manifest.bridge.index_encoder == made:
        raise IntegrityError(
            f"{what} bridges encoder {made} to itself; publish it without a bridge"
        )
    if manifest.onnx is not None and manifest.onnx.encoder != made:
        raise EncoderMismatch(
            f"{what} has the ONNX graph of encoder {manifest.onnx.encoder}, but its encoder is "
            f"{made}; roll back, and export that one: `perennial export onnx`"
        )
    lexical = {segment.lexical is not None for segment in manifest.index.segments}
    if len(lexical) > 1 or (manifest.index.waiting and lexical != {True}):
        raise IntegrityError(
            f"{what} has words for some of its segments only, and cannot answer by them; publish "
            "it again"
        )
    for path, times in Counter(path for path, _ in manifest.files()).items():
        pure = PurePosixPath(path)
        unsafe = str(pure) != path or ".." in pure.parts or "\\" in path or "\0" in path
        if unsafe or times > 1 or path == "index/index.json":
            raise IntegrityError(f"{what} names the unsafe path {path!r}; do not serve it")
        if pure.suffix.lower() in UNSAFE_SUFFIXES:
            raise IntegrityError(f"{what} ships {path!r}, which can carry code; do not serve it")
    try:
        parse_utc(manifest.created_at)
        parse_utc(manifest.catalogue.watermark)
    except BadInput as error:
        raise IntegrityError(f"{what}: {error}") from error


_ADAPTER = TypeAdapter(Manifest)
