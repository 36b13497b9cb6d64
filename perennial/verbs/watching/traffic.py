"""The settled log of the last weeks, as the signals look at it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from perennial.data.languages import language_of
from perennial.data.live import FLAGS, Live, read_live
from perennial.data.redaction import redact
from perennial.params.whole import Params
from perennial.quality.drift.hourly import Hourly
from perennial.quality.drift.queries import Asked
from perennial.quality.drift.seasons import WEEK
from perennial.quality.drift.wording import Words, script_of
from perennial.verbs.watching.signals import Traffic

Ints = npt.NDArray[np.int64]
Embed = Callable[[Sequence[str]], np.ndarray]
_HOUR = 3600
_TOLD = 200  # characters that tell a query's language, as the stage validate has it


@dataclass(frozen=True)
class Heard:
    """The traffic, and by number the texts that were kept with the champion: each of them, and a
    row for each time that one was asked, none where nobody counted or too few people asked."""

    traffic: Traffic
    kept: Ints
    requests: Ints


def settled_hour(now: datetime, *, click_window_seconds: float) -> int:
    """The hour, since 1970, before which every click on a request has come."""
    return int((now.timestamp() - click_window_seconds) // _HOUR)


def hear(
    source: Path,
    params: Params,
    *,
    channel: str,
    end: int,
    reference: pa.Table,
    embed: Embed,
    spill: Path,
) -> Heard | None:
    """The log of the weeks before the hour `end`, what memory cannot hold of it below `spill`
    meanwhile; None where nothing was asked in them."""
    section = params.watch
    begin = end - section.weeks * WEEK - max(section.spans)
    live = read_live(
        source,
        channel=channel,
        begin=moment(begin),
        end=moment(end),
        click_window_seconds=params.snapshot.click_window_seconds,
        session_seconds=params.canary.session_seconds,
        short_dwell_seconds=params.judge.short_dwell_seconds,
        sampled_per_hour=section.sampled_per_hour,
        memory_mb=section.memory_mb,
        spill=spill,
    )
    if live is None:
        return None
    # A log that begins later has no hours before: empty ones would foretell silence.
    hours = np.arange(max(begin, int(live.counts["hour"][0].as_py())), end)
    slices = np.array(live.counts["slice"].to_pylist(), dtype=object)
    names = [name for name in set(slices.tolist()) if name is not None]
    sessions = live.counts["sessions"].to_numpy()
    most = sorted(names, key=lambda name: (-int(sessions[slices == name].sum()), name))
    least = params.snapshot.min_query_sessions
    asked, kept = _asked(live, reference["query"].to_pylist(), embed, least=least)
    traffic = Traffic(
        end=end,
        asked=asked,
        requests=_hourly(live.counts, hours, of="requests"),
        firsts=_hourly(live.counts, hours, of="sessions"),
        sliced={
            name: _hourly(live.counts.filter(pa.array(slices == name)), hours, of="sessions")
            for name in most[: section.slices]
        },
    )
    times = reference["requests"].to_numpy() * (reference["sessions"].to_numpy() >= least)
    return Heard(traffic, kept, np.repeat(kept, times))


def _asked(live: Live, reference: Sequence[str], embed: Embed, *, least: int) -> tuple[Asked, Ints]:
    """The sampled queries by number; each text is embedded, and its language told, when it is first
    asked for. What fewer than `least` sessions asked is in no snapshot, and so in no reference."""
    encoded = pa.chunked_array([*live.queries["query"].chunks, pa.array(reference, pa.string())])
    coded = encoded.combine_chunks().dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    texts = [redact(text)[0] for text in coded.dictionary.to_pylist()]  # as a snapshot has them
    numbers = coded.indices.to_numpy().astype(np.int64)
    count = len(live.queries)
    vectors: dict[int, np.ndarray] = {}
    languages: dict[int, str] = {}

    def vectors_of(wanted: Ints) -> np.ndarray:
        new = [i for i in np.unique(wanted).tolist() if i not in vectors]
        if new:
            vectors.update(zip(new, embed([texts[i] for i in new]), strict=True))
        return np.stack([vectors[i] for i in wanted.tolist()])

    def languages_of(wanted: Ints) -> np.ndarray:
        for i in np.unique(wanted).tolist():
            if i not in languages:
                languages[i] = language_of(texts[i][:_TOLD])
        return np.array([languages[i] for i in wanted.tolist()], dtype=object)

    asked = Asked(
        hours=live.queries["hour"].to_numpy(),
        texts=numbers[:count],
        slices=np.array(live.queries["slice"].to_pylist(), dtype=object),
        words=Words(texts),
        scripts=np.array([script_of(text) for text in texts], dtype=object),
        languages=languages_of,
        vectors=vectors_of,
        is_common=live.queries["sessions"].to_numpy() >= least,
    )
    return asked, numbers[count:]


def _hourly(counts: pa.Table, hours: Ints, *, of: str) -> Hourly:
    places = counts["hour"].to_numpy() - hours[0]

    def summed(column: str) -> Ints:
        found = np.bincount(places, counts[column].to_numpy(), minlength=len(hours))
        return np.asarray(found, dtype=np.int64)

    return Hourly(hours, summed(of), {flag: summed(flag) for flag in FLAGS})


def moment(hour: int) -> datetime:
    """When an hour since 1970 begins."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
