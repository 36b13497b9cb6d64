"""Where a searcher's releases come from: a channel of a store, through the reader's cache."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter

from perennial.errors import BadInput, PerennialError
from perennial.release.caching.cache import Fetching, ReleaseCache
from perennial.release.caching.evict import evict
from perennial.release.caching.remembered import remember_channel, remembered_channel
from perennial.release.channels.channel import Channel, check_channel
from perennial.release.channels.mask import MaskedDocuments
from perennial.release.manifests.canonical import parse_strictly, parse_utc
from perennial.release.stores.store import Store
from perennial.serving.loaded import LoadedRelease, load_release
from perennial.serving.runtime import Runtime

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """The channel `name` of a store; what it serves is loaded and masked, or nothing is."""

    store: Store
    name: str
    cache: ReleaseCache
    key: bytes | None
    mmap: bool
    progress: Fetching
    runtime: Runtime
    fuse: bool = False

    def channel(self) -> Channel:
        """The channel as it is now; raises BadInput where it serves nothing, IntegrityError."""
        channel = self.store.read_channel(self.name)
        if channel is None:
            raise BadInput(
                f"channel {self.name} serves nothing yet; run `perennial bootstrap` first"
            )
        return check_channel(channel, self.key)

    def load(
        self, channel: Channel, *, beside: LoadedRelease | None, asked: Sequence[str]
    ) -> LoadedRelease:
        """What the channel serves, less what it hides; shares what it can with the one `beside`."""
        return self._load(channel, channel.stable, beside=beside, asked=asked)

    def load_candidate(
        self, channel: Channel, *, beside: LoadedRelease, asked: Sequence[str]
    ) -> LoadedRelease | None:
        """The candidate of the channel's rollout; hides what stable hides, unless it is newer."""
        if channel.candidate is None:
            return None
        return self._load(channel, channel.candidate.release_id, beside=beside, asked=asked)

    def last_served(self) -> LoadedRelease | None:
        """What the cache holds whole of what the channel served last, the newest first."""
        place = self.store.place
        with contextlib.suppress(PerennialError):
            channel = remembered_channel(self.cache, self.name, place=place, key=self.key)
            if channel is None:
                return None
            for release_id in dict.fromkeys((channel.stable, *reversed(channel.standing()))):
                # Whatever is wrong with one, the next may be whole.
                with contextlib.suppress(Exception):
                    if self.cache.holds(release_id):
                        return self._load(channel, release_id, beside=None, asked=())
        return None

    def tidy(self, channel: Channel, *, previous: str) -> None:
        """Remember what is served, and evict all else but what was served before it."""
        with self._warned():
            remember_channel(self.cache, channel, place=self.store.place)
            candidate = {channel.candidate.release_id} if channel.candidate else set()
            keep = {channel.stable, previous, *channel.standing()[-2:]}
            evict(self.cache, keep=keep | candidate)

    def drop_gone(self, channel: Channel) -> None:
        """Evict what the store keeps no more: a document forgotten there is forgotten here too."""
        with self._warned():
            there = {channel.stable, *self.store.release_ids()}
            if not there.issuperset(self.cache.releases()):
                evict(self.cache, keep=there)

    @contextlib.contextmanager
    def _warned(self) -> Iterator[None]:
        """What follows a swap must not undo it: whatever fails costs a warning and some space."""
        try:
            yield
        except Exception as error:  # noqa: BLE001
            _log.warning("the cache of %s could not be tidied: %s", self.name, error)

    def _load(
        self,
        channel: Channel,
        release_id: str,
        *,
        beside: LoadedRelease | None,
        asked: Sequence[str],
    ) -> LoadedRelease:
        if beside is not None and beside.release_id == release_id:
            release = beside  # only its mask is another
        else:
            release = load_release(
                self.store,
                release_id,
                self.cache,
                key=self.key,
                beside=beside,
                mmap=self.mmap,
                asked=asked,
                progress=self.progress,
                runtime=self.runtime,
                fuse=self.fuse,
            )
        mask = _mask_of(channel, release)
        return release if mask == release.mask else release.hiding(self._hidden(mask), mask=mask)

    def _hidden(self, mask: str | None) -> tuple[str, ...]:
        if mask is None:
            return ()
        data = self.cache.read(self.store, mask)
        return parse_strictly(data, _MASKED, what=f"the mask {mask}").doc_ids


def _mask_of(channel: Channel, release: LoadedRelease) -> str | None:
    """A candidate whose catalogue is newer than the mask may have those documents again."""
    mask = channel.mask
    if mask is None:
        return None
    is_stable = release.release_id == channel.stable
    taken = parse_utc(release.manifest.catalogue.watermark)
    return mask.digest if is_stable or taken <= parse_utc(mask.watermark) else None


_MASKED = TypeAdapter(MaskedDocuments)
