"""Clicks to judgements: the plain estimate against a slow twin, bounds against known values."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from perennial.data.clicks.model import ClickModel
from perennial.data.clicks.pages import Pages, read_pages
from perennial.data.clicks.relevance import estimate_relevance
from perennial.data.judge import judge_pages
from perennial.errors import BadInput

# One search: its query, what it showed from rank 1 on, and which ranks were clicked.
Search = tuple[str, list[str], set[int]]
searches = st.lists(
    st.tuples(
        st.sampled_from(["cat", "dog", "Katze 😀"]),
        st.lists(st.sampled_from("abcdef"), min_size=1, max_size=5, unique=True),
        st.sets(st.integers(1, 5), max_size=3),
    ),
    max_size=12,
)


NONE = np.full(0, np.nan)
PLAIN = ClickModel("plain", False, NONE, NONE, None, {}, None)


def read(folder: Path, *, short: float = 0.0, weight: float = 1.0) -> Pages:
    return read_pages(
        requests=folder / "requests.parquet",
        impressions=folder / "impressions.parquet",
        events=folder / "events.parquet",
        short_dwell_seconds=short,
        short_dwell_weight=weight,
    )


def counted(log: list[Search], folder: Path) -> dict[tuple[str, str], tuple[int, int]]:
    """(query, doc_id) to (examinations, clicks), by way of three parquet files."""
    requests = [(f"r{i}", query, "stable") for i, (query, _, _) in enumerate(log)]
    shown = [(f"r{i}", d, r) for i, (_, docs, _) in enumerate(log) for r, d in enumerate(docs, 1)]
    events = [
        (f"r{i}", docs[rank - 1], kind, 5.0)
        for i, (_, docs, clicks) in enumerate(log)
        for rank in clicks
        if rank <= len(docs)
        for kind in ("click", "click", "dwell")  # a second click on one document counts once
    ]
    for name, columns, rows in (
        ("requests", ["request_id", "query", "arm"], requests),
        ("impressions", ["request_id", "doc_id", "rank"], shown),
        ("events", ["request_id", "doc_id", "type", "value"], events),
    ):
        types = {c: {"rank": "int32", "value": "float64"}.get(c, "str") for c in columns}
        frame = pd.DataFrame(rows, columns=columns).astype(types)
        frame.to_parquet(folder / f"{name}.parquet")
    pages = read(folder)
    looks = PLAIN.looks(pages)
    seen, clicks = pages.per_pair(looks), pages.per_pair(pages.clicked)
    return {
        (pages.queries[q], pages.doc_ids[d]): (int(n), int(c))
        for q, d, n, c in zip(pages.pair_query, pages.pair_doc, seen, clicks, strict=True)
        if n
    }


def slowly_counted(log: list[Search]) -> dict[tuple[str, str], tuple[int, int]]:
    """The obvious twin: whoever clicked at rank r looked at ranks 1 to r."""
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for query, docs, clicks in log:
        last = max((rank for rank in clicks if rank <= len(docs)), default=0)
        for rank, doc in enumerate(docs[:last], 1):
            seen, clicked = counts.get((query, doc), (0, 0))
            counts[query, doc] = (seen + 1, clicked + (rank in clicks))
    return counts


def test_only_what_stands_above_the_last_click_was_looked_at(tmp_path: Path) -> None:
    log = [("cat", ["a", "b", "c", "d"], {1, 3}), ("cat", ["b", "a"], set()), ("dog", ["a"], {1})]
    assert counted(log, tmp_path) == {
        ("cat", "a"): (1, 1),
        ("cat", "b"): (1, 0),
        ("cat", "c"): (1, 1),
        ("dog", "a"): (1, 1),
    }


@settings(max_examples=15, deadline=None)
@given(searches)
def test_examinations_are_counted_as_the_slow_twin_counts_them(log: list[Search]) -> None:
    with TemporaryDirectory() as folder:
        assert counted(log, Path(folder)) == slowly_counted(log)


def test_a_missing_log_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"requests\.parquet is missing; run `python -m expect"):
        read(tmp_path)


def wilson(clicks: list[int], seen: list[int], *, confidence: float) -> tuple[list, list]:
    found = estimate_relevance(
        of_counts(clicks, seen), SURE.looks(of_counts(clicks, seen)), confidence=confidence
    )
    return found.low.tolist(), found.high.tolist()


SURE = ClickModel("position", True, np.ones(1), np.zeros(1), None, {}, None)


def of_counts(clicks: list[int], seen: list[int]) -> Pages:
    """Pages of one document each, all of them looked at."""
    pairs = np.arange(len(seen))
    return Pages(
        pairs=np.repeat(pairs, 2)[:, None].astype(np.int32),
        clicked=np.tile([True, False], len(seen))[:, None],
        seen=np.array([n for c, s in zip(clicks, seen, strict=True) for n in (c, s - c)], float),
        pair_query=np.zeros(len(seen), dtype=np.int32),
        pair_doc=pairs.astype(np.int32),
        satisfaction=np.ones(len(seen)),
        queries=["q"],
        doc_ids=np.array([f"d{n}" for n in pairs], dtype=object),
    )


@given(st.integers(1, 10_000), st.data(), st.sampled_from([0.5, 0.8, 0.95, 0.99]))
def test_the_bounds_are_those_of_scipy(trials: int, data: st.DataObject, level: float) -> None:
    successes = data.draw(st.integers(0, trials))
    low, high = wilson([successes], [trials], confidence=level)
    wanted = binomtest(successes, trials).proportion_ci(level, method="wilson")
    assert low[0] == pytest.approx(wanted.low, abs=1e-7)
    assert high[0] == pytest.approx(wanted.high, abs=1e-7)
    assert 0 <= low[0] <= successes / trials + 1e-12 and successes / trials - 1e-12 <= high[0] <= 1


def test_the_bounds_of_a_textbook_case_are_right() -> None:
    low, high = wilson([15, 0], [148, 20], confidence=0.95)
    assert low == pytest.approx([0.0624, 0.0], abs=5e-5)  # Newcombe 1998, table I
    assert high == pytest.approx([0.1605, 0.1611], abs=5e-5)


def judged(
    rows: list[tuple[str, str, int, int]],
    *,
    min_examinations: int = 1,
    min_click_rate: float = 0.35,
    max_negative_rate: float = 0.15,
    confidence: float = 0.8,
) -> pd.DataFrame:
    queries = sorted({row[0] for row in rows})
    doc_ids = sorted({row[1] for row in rows})
    pages = of_counts([row[3] for row in rows], [row[2] for row in rows])
    pages = replace(
        pages,
        pair_query=np.array([queries.index(row[0]) for row in rows], dtype=np.int32),
        pair_doc=np.array([doc_ids.index(row[1]) for row in rows], dtype=np.int32),
        queries=queries,
        doc_ids=np.array(doc_ids, dtype=object),
    )
    return judge_pages(
        pages,
        SURE,
        min_examinations=min_examinations,
        min_click_rate=min_click_rate,
        max_negative_rate=max_negative_rate,
        confidence=confidence,
    )


def labels(frame: pd.DataFrame) -> dict[tuple[str, str], str]:
    return dict(zip(zip(frame["query"], frame["doc_id"], strict=True), frame["label"], strict=True))


def test_sure_pairs_get_a_label_and_clicked_ones_are_at_least_unsure() -> None:
    rows = [
        ("q", "wanted", 20, 18),
        ("q", "passed", 40, 0),
        ("q", "clicked", 3, 1),
        ("q", "x", 3, 0),
    ]
    assert labels(judged(rows)) == {
        ("q", "wanted"): "positive",
        ("q", "passed"): "negative",
        ("q", "clicked"): "unsure",
    }


def test_a_pair_seen_too_seldom_is_never_sure() -> None:
    rows = [("q", "a", 3, 3), ("q", "b", 4, 4), ("q", "c", 3, 0)]
    found = labels(judged(rows, min_examinations=4, max_negative_rate=0.9))
    assert found == {("q", "a"): "unsure", ("q", "b"): "positive"}


def test_the_same_rate_seen_more_often_is_surer() -> None:
    few, many = (judged([("q", "a", n, n // 2)], min_click_rate=0.4) for n in (4, 400))
    assert labels(few) == {("q", "a"): "unsure"} and labels(many) == {("q", "a"): "positive"}


def test_no_counts_are_no_judgements() -> None:
    assert judged([]).empty
    assert list(judged([]).columns)[:3] == ["query", "doc_id", "label"]


pairs = st.lists(
    st.tuples(
        st.sampled_from("qr"), st.sampled_from("abcdef"), st.integers(1, 30), st.floats(0, 1)
    ),
    unique_by=lambda row: row[:2],
)


@given(pairs, st.integers(1, 5), st.floats(0.05, 0.9), st.floats(0, 0.5))
def test_labels_are_those_of_the_slow_twin(
    drawn: list[tuple[str, str, int, float]],
    min_examinations: int,
    min_click_rate: float,
    max_negative_rate: float,
) -> None:
    rows = [(q, d, n, round(share * n)) for q, d, n, share in drawn]
    found = judged(
        rows,
        min_examinations=min_examinations,
        min_click_rate=min_click_rate,
        max_negative_rate=max_negative_rate,
    )
    wanted: dict[tuple[str, str], str] = {}
    for query, doc, n, clicks in rows:
        low, high = wilson([clicks], [n], confidence=0.8)
        if n >= min_examinations and low[0] >= min_click_rate:
            wanted[query, doc] = "positive"
        elif n >= min_examinations and high[0] <= max_negative_rate:
            wanted[query, doc] = "negative"
        elif clicks:
            wanted[query, doc] = "unsure"
    assert labels(found) == wanted


def test_a_click_that_was_left_at_once_counts_less_and_a_conversion_counts(tmp_path: Path) -> None:
    counted([("cat", ["a", "b", "c"], {1, 2, 3})], tmp_path)
    events = pd.DataFrame(
        [("r0", "a", "click", None), ("r0", "a", "dwell", 2.0), ("r0", "b", "click", None),
         ("r0", "b", "dwell", 60.0), ("r0", "c", "click", None), ("r0", "c", "dwell", 2.0),
         ("r0", "c", "convert", 9.0)],
        columns=["request_id", "doc_id", "type", "value"],
    )  # fmt: skip
    events.to_parquet(tmp_path / "events.parquet")
    pages = read(tmp_path, short=10.0, weight=0.25)
    assert pages.satisfaction.tolist() == [0.25, 1.0, 1.0]


def test_pages_of_some_queries_keep_the_numbers_of_their_pairs(tmp_path: Path) -> None:
    counted([("cat", ["a", "b"], {1}), ("dog", ["b", "a"], {2})], tmp_path)
    pages = read(tmp_path)
    dogs = pages.of_queries(np.array(pages.queries) == "dog")
    clicks = dogs.per_pair(dogs.clicked)
    assert [(pages.queries[pages.pair_query[n]], pages.doc_ids[pages.pair_doc[n]])
            for n in np.flatnonzero(clicks)] == [("dog", "a")]  # fmt: skip


def test_pages_with_a_gap_are_left_out_and_counted(tmp_path: Path) -> None:
    counted([("cat", ["a", "b"], {1}), ("dog", ["b", "a"], {2})], tmp_path)
    shown = pd.read_parquet(tmp_path / "impressions.parquet")
    shown.iloc[:3].assign(rank=[1, 3, 1]).astype({"rank": "int32"}).to_parquet(
        tmp_path / "impressions.parquet"
    )
    pages = read(tmp_path)
    assert (pages.left_out, pages.seen.sum()) == (1, 1)


def test_lists_of_two_releases_in_one_are_no_pages_and_are_not_missed(tmp_path: Path) -> None:
    counted([("cat", ["a", "b"], {1}), ("dog", ["b", "a"], {2})], tmp_path)
    requests = pd.read_parquet(tmp_path / "requests.parquet")
    requests.assign(arm=["interleaved", "candidate"]).to_parquet(tmp_path / "requests.parquet")
    pages = read(tmp_path)
    assert (pages.left_out, pages.seen.sum()) == (0, 1)
    assert pages.queries[pages.pair_query[0]] == "dog"
