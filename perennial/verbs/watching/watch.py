"""One look at a channel: what it reads, what that says, and what it asks for."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from perennial.errors import Conflict, IntegrityError
from perennial.params.whole import Params
from perennial.quality.decision import Decision
from perennial.quality.drift.signal import Signal
from perennial.quality.drift.verdict import Judged, effects, judged, latecomers, verdict
from perennial.release.accepted import read_accepted
from perennial.release.caching.cache import ReleaseCache
from perennial.release.channels.moves import existing_channel
from perennial.release.manifests.canonical import utc_text
from perennial.release.stores.store import Store
from perennial.release.watched import AskedFor, Watched, read_watched, write_watched
from perennial.serving.loaded import load_release
from perennial.verbs.watching.known import import_signals, last_known
from perennial.verbs.watching.quiet import quiet_now
from perennial.verbs.watching.sentinels import sentinel_labels, sentinel_signal
from perennial.verbs.watching.shelf import behind, reference_of, shelf, take_stock
from perennial.verbs.watching.signals import Kept, Traffic, signals_of
from perennial.verbs.watching.traffic import hear, moment, settled_hour

_TRIES = 5
Say = Callable[[str], None]
_Tell = Callable[["Look", str], bool]


@dataclass(frozen=True)
class Look:
    """What was decided, every signal that it rests on, and the log's part that was looked at."""

    channel: str
    release_id: str
    at: str
    log_end: str
    decision: Decision
    judged: Sequence[Judged] = ()
    traffic: Traffic | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()


def look(
    store: Store,
    channel: str,
    *,
    source: Path,
    cache: Path,
    params: Params,
    now: datetime,
    key: bytes | None,
    say: Say = lambda line: None,
    tell: _Tell = lambda found, last: True,
) -> Look:
    """Look, decide, `tell`, and remember what was told; raises BadInput, Conflict.

    `tell` gets the look and the outcome that was told last; it returns whether everybody heard. A
    release that cannot be opened is no error but a page.
    """
    stable = existing_channel(store, channel, key=key).stable
    known = last_known(source, now=now, weeks=params.watch.weeks)
    end = settled_hour(known.until, click_window_seconds=params.snapshot.click_window_seconds)
    imports = import_signals(known, now=now, page_hours=params.watch.page_import_hours)
    seen = Look(channel, stable, utc_text(now), utc_text(moment(end)), Decision("none", (), ()))
    for _ in range(_TRIES):
        was, data = read_watched(store, channel)
        try:
            found, watched = _looked(
                store, seen, was, source, cache, params, imports, now=now, end=end, key=key, say=say
            )
        except IntegrityError as error:
            signals, watched = sentinel_signal(error, {}, was.sentinels, floor=0.0)[0], was
            found = _decided(seen, signals, {}, params, waiting=0)
        # Told first: whoever dies in between tells it twice, and the second starts no other run.
        if tell(found, was.outcome):
            watched = replace(watched, outcome=found.decision.outcome)
        else:
            watched = replace(watched, asked=was.asked)
        with contextlib.suppress(Conflict):
            write_watched(store, channel, data, watched)
            return found
    raise Conflict(f"other watches of {channel} wrote first {_TRIES} times; look again later")


def _looked(
    store: Store,
    seen: Look,
    was: Watched,
    source: Path,
    cache: Path,
    params: Params,
    imports: Sequence[Signal],
    *,
    now: datetime,
    end: int,
    key: bytes | None,
    say: Say,
) -> tuple[Look, Watched]:
    objects = ReleaseCache(cache)
    release = objects.open(store, seen.release_id, key=key)
    loaded = load_release(store, seen.release_id, objects, key=key, mmap=True)
    section = params.watch
    labels = sentinel_labels(source, most=section.sentinels)
    asked, sentinels = sentinel_signal(
        loaded, labels, was.sentinels, floor=section.max_sentinel_loss
    )
    stock = take_stock(source, release)
    late = behind(was.behind, stock, seen.release_id, now=now)
    encode = loaded.encoder.encode
    queries, documents = reference_of(release)
    here = shelf(stock, release, late, asked, params, embed=encode, now=now)
    say(f"{stock.waiting:,} of {len(stock.documents):,} documents wait for the index")
    heard = hear(
        source,
        params,
        channel=seen.channel,
        end=end,
        reference=queries,
        embed=encode,
        spill=cache / "spill",
    )
    traffic = None if heard is None else heard.traffic
    kept = Kept(
        texts=np.empty(0, dtype=np.int64) if heard is None else heard.kept,
        requests=np.empty(0, dtype=np.int64) if heard is None else heard.requests,
        documents=documents,
    )
    signals = [*signals_of(traffic, kept, here, section), *imports]
    say(f"{len(signals)} signals until {seen.log_end}")
    accepted = read_accepted(store, seen.channel)
    lineage = release.manifest.lineage
    quiet = quiet_now(was, accepted.end if accepted else None, lineage, params, now=now)
    found = _decided(seen, signals, quiet, params, waiting=stock.waiting)
    notes = []
    if heard is None:
        notes.append(f"Nothing was asked in the {section.weeks} weeks before.")
    remembered = replace(was, behind=late, sentinels=sentinels)
    if found.decision.outcome == "retrain":
        was_asked = {} if was.asked is None else was.asked.effects
        still = {name: effect for name, effect in was_asked.items() if name in quiet}
        answers = effects(found.judged, growth=section.growth, still=still)
        late_ones = latecomers(found.judged, growth=section.growth)
        answered = AskedFor(seen.at, seen.log_end, answers, late_ones, lineage)
        remembered = replace(remembered, asked=answered)
    return replace(found, traffic=traffic, notes=tuple(notes)), remembered


def _decided(
    seen: Look, signals: Sequence[Signal], quiet: dict[str, float], params: Params, *, waiting: int
) -> Look:
    section = params.watch
    found = judged(signals, alpha=section.alpha, slices_share=section.slices_share)
    return replace(seen, decision=verdict(found, waiting=waiting, quiet=quiet), judged=found)
