"""Which encoder a channel serves: reindexes change the release every quarter of an hour, and not
the encoder that a retrain was compared with."""

import contextlib
from dataclasses import dataclass

from perennial.errors import PerennialError
from perennial.release.channels.channel import Channel
from perennial.release.channels.moves import read_kept
from perennial.release.manifests.manifest import Manifest
from perennial.release.stores.store import Store


@dataclass(frozen=True)
class Served:
    """The encoder of stable; over a bridge, `index_lineage` is the encoder that made its index.

    `manifest` is None where it is damaged or gone: then the channel's history tells the encoder.
    """

    release_id: str
    lineage: str | None
    index_lineage: str | None
    manifest: Manifest | None = None

    def is_full(self, lineage: str | None) -> bool:
        """True where it serves this encoder with an index that this encoder made."""
        return lineage is not None and self.lineage == self.index_lineage == lineage

    def is_bridge(self, from_lineage: str | None, *, to: str | None = None) -> bool:
        """True for a bridge on the index of that encoder, to the encoder `to` where it is given."""
        if from_lineage is None or self.lineage == self.index_lineage:
            return False
        return self.index_lineage == from_lineage and to in (None, self.lineage)


def served(store: Store, channel: Channel, *, key: bytes | None) -> Served:
    """What the channel serves; a stable release that is damaged or gone raises nothing."""
    with contextlib.suppress(PerennialError):
        manifest = read_kept(store, channel.stable, key=key)
        return Served(channel.stable, manifest.lineage, manifest.index_encoder, manifest)
    last = channel.history[-1].lineage if channel.history else None
    return Served(channel.stable, last, last)
