"""The parts of a release in memory: shared between releases by digest, never mixed in one."""

import faiss

from perennial.errors import EncoderMismatch, IntegrityError
from perennial.index.bridge import Bridge
from perennial.index.index import Index
from perennial.index.segment import Rows
from perennial.model.encoder import Encoder
from perennial.release.manifests.manifest import Manifest
from perennial.release.manifests.parts import SegmentPart

_Digests = tuple[str, str, str | None]
_REMEDY = "roll back, and publish it again"


def common_rows(manifest: Manifest, old: Manifest, index: Index) -> dict[tuple[str, ...], Rows]:
    """{vectors files in the new release's folder: rows of `index`, the old one's}, where equal;
    several files where those rows were laid together."""
    there = {part.vectors.path: _digests(part, old) for part in old.index.segments}
    here = {_digests(part, manifest): part.vectors.path for part in manifest.index.segments}
    found = {}
    for segment in index.segments:
        names = [here.get(there[name]) for name in segment.names]
        if names and None not in names:
            found[tuple(name for name in names if name is not None)] = segment.rows
    return found


def check_one_whole(
    manifest: Manifest, *, encoder: Encoder, bridge: Bridge | None, index: Index
) -> None:
    """Raise EncoderMismatch or IntegrityError unless the parts are those of the manifest.

    Every digest was checked before: this finds what was published wrongly.
    """
    what, part, wanted = f"release {manifest.release_id}", manifest.encoder, manifest.index_encoder
    if not encoder.digest == part.digest == manifest.lineage or index.encoder_digest != wanted:
        raise EncoderMismatch(
            f"{what} names encoder {part.digest} and an index of {wanted}, but holds encoder "
            f"{encoder.digest} and an index of {index.encoder_digest}; {_REMEDY}"
        )
    steps = (encoder.dimension, index.dimension)
    named = (part.dimension, manifest.index_dimension)
    through = (encoder.dimension, encoder.dimension) if bridge is None else bridge.dimensions
    if not steps == named == through:
        raise EncoderMismatch(
            f"{what} says {named} dimensions of encoder and index, which have {steps}, with "
            f"{through} between them; {_REMEDY}"
        )
    for segment in index.segments:
        vectors = segment.rows.vectors
        if vectors.d != index.dimension or vectors.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise IntegrityError(
                f"{what} holds a segment of {vectors.d} dimensions with metric number "
                f"{vectors.metric_type}, not of {index.dimension} with {part.metric}; {_REMEDY}"
            )


def _digests(part: SegmentPart, manifest: Manifest) -> _Digests:
    quantizer = manifest.index.quantizer
    return part.vectors.digest, part.ids.digest, quantizer.digest if quantizer else None
