"""The channel that a reader served last, kept in its cache for a start without the store."""

import hashlib
from pathlib import Path

from perennial.release.caching.cache import ReleaseCache
from perennial.release.channels.channel import Channel, check_channel, read_channel_bytes
from perennial.release.stores.durable import usable, write_atomically


def remember_channel(cache: ReleaseCache, channel: Channel, *, place: str) -> None:
    """Keep the channel of the store at `place`; its release and its mask are then not evicted."""
    with usable(cache.root):
        write_atomically(_path(cache, place, channel.name), [channel.to_bytes()])


def remembered_channel(
    cache: ReleaseCache, name: str, *, place: str, key: bytes | None
) -> Channel | None:
    """The channel that was kept, None where none was; raises IntegrityError, also for the key."""
    with usable(cache.root):
        try:
            data = _path(cache, place, name).read_bytes()
        except FileNotFoundError:
            return None
    return check_channel(read_channel_bytes(data, name=name), key)


def _path(cache: ReleaseCache, place: str, name: str) -> Path:
    whose = hashlib.sha256(f"{place}\n{name}".encode()).hexdigest()
    return cache.root / "channels" / f"{whose}.json"
