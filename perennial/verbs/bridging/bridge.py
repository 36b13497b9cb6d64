"""Serve a new encoder before its catalogue is embedded: on the champion's index, through a map."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from perennial.data.catalogue import read_documents
from perennial.data.references import REFERENCES
from perennial.errors import BadInput, Refused
from perennial.index.bridge import write_bridge
from perennial.model.digest import text_digests
from perennial.model.encoder import load_encoder
from perennial.params.whole import Params
from perennial.release.channels.channel import Channel
from perennial.release.manifests.manifest import Manifest
from perennial.release.manifests.parts import RecallPart
from perennial.release.publishing.bridged import MAP, publish_bridged, refuse_bridged
from perennial.release.publishing.publish import promote, read_checked_channel
from perennial.release.stores.durable import usable
from perennial.release.stores.store import Store
from perennial.serving.loaded import load_release
from perennial.verbs.bootstrap import fetch_encoder
from perennial.verbs.bridging.fit import Fitted, fit_and_measure
from perennial.verbs.bridging.measure import K, Measured
from perennial.verbs.bridging.sample import Progress, common_rows, logged_queries


@dataclass(frozen=True)
class Bridged:
    """What was found, and the release; None where it may not be published."""

    champion: str
    fitted: Fitted
    manifest: Manifest | None


def build_bridge(
    *,
    source: Path,
    params: Params,
    store: Store,
    channel: str,
    encoder: str,
    cache: Path,
    full: bool,
    serve: bool,
    forced: str | None,
    now: datetime,
    who: str,
    key: bytes | None,
    say: Callable[[str], None],
    progress: Progress,
) -> Bridged:
    """Fit, measure, publish, and with `serve` promote; raises Refused, BadInput.

    A map that finds too little is published only where a person `forced` it, with a reason. The
    gate of a retrain knows nothing of it: whether the encoder is better was nobody's question.
    """
    serving = _free_channel(store, channel, serve=serve, key=key)
    champion = load_release(store, serving.stable, cache, key=key)
    refuse_bridged(champion.manifest, to="bridged again")
    with usable(Path("the temporary folder")), tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        fetch_encoder(encoder, folder / "encoder")
        new = load_encoder(folder / "encoder", batch_size=params.index.batch_size)
        if new.digest == champion.manifest.encoder.digest:
            raise BadInput(f"{encoder} is the champion's own encoder; give the one that comes next")
        documents = read_documents(source / "catalogue.parquet", digests_of=text_digests)
        logged = logged_queries(store, champion.manifest)
        fitted = fit_and_measure(
            documents,
            common_rows(store, champion.manifest, documents),
            new=new,
            champion=champion,
            logged=logged,
            section=params.bridge,
            evaluate=params.evaluate,
            vectors=cache / "vectors",
            full=full,
            progress=progress,
        )
        may_serve = fitted.decision.outcome == "promote"
        if not may_serve and forced is None:
            return Bridged(champion.release_id, fitted, None)
        rows = params.index.reference_vectors
        _write_folders(folder, fitted, store, champion.manifest, rows=rows)
        manifest = publish_bridged(
            store,
            champion.manifest,
            encoder=folder / "encoder",
            dimension=new.dimension,
            bridge=folder / "bridge",
            kind=fitted.kind,
            fitted_on=fitted.fitted_on,
            recall=_recall_part(fitted.found),
            forced=None if may_serve else forced,
            references=folder / "references",
            provenance={},
            created_at=now,
            key=key,
            say=say,
        )
    if serve:
        promote(
            store,
            channel,
            manifest.release_id,
            now=now,
            why="bridge" if may_serve else f"bridge, forced: {forced}",
            who=who,
            key=key,
            expected_stable=champion.release_id,
            say=say,
        )
    return Bridged(champion.release_id, fitted, manifest)


def _free_channel(store: Store, name: str, *, serve: bool, key: bytes | None) -> Channel:
    """The channel; raises before anything is embedded where the bridge could not be promoted."""
    channel = read_checked_channel(store, name, key=key)
    if channel is None:
        raise BadInput(f"channel {name} serves no index to bridge to; run `perennial bootstrap`")
    if serve and channel.hold is not None:
        raise Refused(
            f"{name} is on hold since {channel.hold.since} ({channel.hold.reason}); run `perennial "
            "resume --reason '...'` first, or bridge without --promote"
        )
    if serve and channel.candidate is not None:
        raise Refused(
            f"{name} is rolling out {channel.candidate.release_id}; wait until that ends, or "
            "bridge without --promote"
        )
    return channel


def _write_folders(
    folder: Path, fitted: Fitted, store: Store, champion: Manifest, *, rows: int
) -> None:
    """`folder`/bridge with the map, and `folder`/references of the new encoder, for drift."""
    for name in ("bridge", "references"):
        (folder / name).mkdir()
    write_bridge(folder / "bridge" / MAP, fitted.bridge)
    queries = folder / "references" / "queries.parquet"
    if champion.references is None:
        pq.write_table(REFERENCES.empty_table(), queries)
    else:
        store.fetch(champion.references.queries.digest, queries)
    np.save(folder / "references" / "vectors.npy", fitted.sample.new[:rows], allow_pickle=False)


def _recall_part(found: Measured) -> RecallPart:
    value, low, high = found.bridged.value, found.bridged.low, found.bridged.high
    if value is None or low is None or high is None:
        raise Refused(
            f"{found.bridged.n} queries are too few to say what the bridge finds, and no release "
            "is published without that; log some searches, or add documents to the catalogue"
        )
    return RecallPart(value, low, high, n=found.bridged.n, k=K, documents=found.documents)
