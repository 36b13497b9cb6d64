"""What Prometheus reads: latencies by step, errors, empty answers, freshness, the log's counts."""

from collections import Counter as Counts
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from perennial.release.manifests.canonical import parse_utc
from perennial.serving.answer import Found
from perennial.serving.log.writer import LogWriter
from perennial.serving.searcher import Searcher
from perennial.serving.service import Searched

_BUCKETS = (
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
)  # fmt: skip
# A reindex is a release, 96 a day: series of those long gone would grow without end.
_RELEASES = 8
_STEPS = ("encode", "search", "total")


@dataclass(frozen=True)
class _Series:
    """The numbers of one release; looking them up by their labels would cost every answer."""

    encode: Histogram
    search: Histogram
    total: Histogram
    queries: Counter
    empty: Counter


class Metrics:
    """The numbers of one process; for its event loop, scraped from there."""

    def __init__(
        self, searcher: Searcher, log: LogWriter, *, channel: str, now: Callable[[], datetime]
    ) -> None:
        self._channel = channel
        self._registry = CollectorRegistry()
        labels = ("channel", "release")
        self._seconds = Histogram(
            "perennial_search_seconds", "Seconds of a request, by step.", ("step", *labels),
            buckets=_BUCKETS, registry=self._registry,
        )  # fmt: skip
        self._queries = Counter(
            "perennial_queries", "Queries answered.", labels, registry=self._registry
        )
        self._empty = Counter(
            "perennial_zero_results", "Queries without a hit.", labels, registry=self._registry
        )
        found = Counter(
            "perennial_found", "Queries answered, by what found the documents.",
            ("channel", "found"), registry=self._registry,
        )  # fmt: skip
        self._found = {kind: found.labels(channel, kind) for kind in get_args(Found)}
        self._errors = Counter(
            "perennial_errors", "Requests refused or failed; candidate: stable answered.",
            ("channel", "status"),
            registry=self._registry,
        )  # fmt: skip
        self._known: dict[str, _Series] = {}
        self._registry.register(_State(searcher, log, channel=channel, now=now))

    def searched(self, searched: Searched) -> None:
        """Count one answered request."""
        if searched.candidate_failed:
            self._errors.labels(self._channel, "candidate").inc()
        shown = searched.shown
        for release_id, queries in Counts([each.release_id for each in shown]).items():
            series = self._series(release_id)
            series.encode.observe(searched.encode_seconds)
            series.search.observe(searched.search_seconds)
            series.total.observe(searched.total_seconds)
            series.queries.inc(queries)
            of = [each for each in shown if not each.doc_ids and each.release_id == release_id]
            if of:
                series.empty.inc(len(of))
        for kind, queries in Counts([each.found for each in shown]).items():
            self._found[kind].inc(queries)

    def failed(self, status: int) -> None:
        """Count a request that was answered with an error."""
        self._errors.labels(self._channel, str(status)).inc()

    def page(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self._registry)

    def _series(self, release_id: str) -> "_Series":
        series = self._known.pop(release_id, None)
        if series is None:
            names = self._channel, release_id
            encode, search, total = (self._seconds.labels(step, *names) for step in _STEPS)
            queries, empty = self._queries.labels(*names), self._empty.labels(*names)
            series = _Series(encode, search, total, queries, empty)
            if len(self._known) >= _RELEASES:
                self._forget(next(iter(self._known)))  # unseen for longest
        self._known[release_id] = series
        return series

    def _forget(self, release_id: str) -> None:
        del self._known[release_id]
        for step in _STEPS:
            self._seconds.remove(step, self._channel, release_id)
        self._queries.remove(self._channel, release_id)
        self._empty.remove(self._channel, release_id)


class _State(Collector):
    """What is read off the searcher and the log when somebody asks."""

    def __init__(
        self, searcher: Searcher, log: LogWriter, *, channel: str, now: Callable[[], datetime]
    ) -> None:
        self._searcher, self._log, self._channel, self._now = searcher, log, channel, now

    def collect(self) -> Iterator[Metric]:
        labels = ("channel", "release", "arm")
        fresh = GaugeMetricFamily(
            "perennial_freshness_seconds", "Age of the newest document's change.", labels=labels
        )
        age = GaugeMetricFamily(
            "perennial_release_age_seconds", "Since the release was made.", labels=labels
        )
        serving, now = self._searcher.serving, self._now().astimezone(UTC)
        for arm, release in (("stable", serving.stable), ("candidate", serving.candidate)):
            if release is not None:
                at, names = release.manifest, (self._channel, release.release_id, arm)
                fresh.add_metric(names, (now - parse_utc(at.catalogue.watermark)).total_seconds())
                age.add_metric(names, (now - parse_utc(at.created_at)).total_seconds())
        yield fresh
        yield age
        follows = GaugeMetricFamily(
            "perennial_follows_channel", "1, or 0 with a problem.", labels=("channel",)
        )
        follows.add_metric((self._channel,), float(self._searcher.problem is None))
        yield follows
        counts = self._log.counts
        records = CounterMetricFamily(
            "perennial_log_records", "Log records, by what became of them.", labels=("fate",)
        )
        for fate in ("written", "dropped", "lost"):
            records.add_metric((fate,), getattr(counts, fate))
        yield records
        yield GaugeMetricFamily("perennial_log_waiting", "In memory only.", self._log.waiting)
