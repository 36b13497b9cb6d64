"""A log's habits: what differs by chance never warns, what truly changed does, and says so."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from perennial.errors import BadInput

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
GROUPS, RANKS = 64, 10


def log(rng, rates, requests):
    """(groups, ranks) impressions and clicks of `requests` pages in each group."""
    impressions = np.full((GROUPS, len(rates)), requests)
    return impressions, rng.binomial(impressions, rates)


def fall_of(impressions, clicks):
    from expectations.clickthrough import fall_of

    return fall_of(impressions, clicks)


def test_the_fall_is_the_slope_that_least_squares_finds_over_single_impressions():
    rng = np.random.default_rng(3)
    impressions, clicks = log(rng, np.linspace(0.5, 0.1, RANKS), 20)
    rank, clicked = [], []
    for at in range(RANKS):
        shown, hit = impressions[:, at].sum(), clicks[:, at].sum()
        rank += [at + 1] * shown
        clicked += [1] * hit + [0] * (shown - hit)
    slope = np.polyfit(rank, clicked, 1)[0]
    assert fall_of(impressions, clicks).fall == pytest.approx(
        -slope * (RANKS - 1) / np.mean(clicked), abs=1e-6
    )


def test_noise_never_breaks_the_promise_of_a_fall_and_a_flat_or_rising_curve_does():
    rng = np.random.default_rng(1)
    gentle = np.linspace(0.105, 0.095, RANKS)  # a fall of 10 % of the mean, the least
    wrong = sum(fall_of(*log(rng, gentle, 30)).high < 0.1 for _ in range(400))
    assert wrong <= 8, "one in 200, as the interval of 99 % promises"
    for requests in (1, 3):
        short = [fall_of(*log(rng, gentle[::-1], requests)) for _ in range(20)]
        assert sum(not isinstance(each, str) and each.high < 0.1 for each in short) <= 1
    flat, rising = np.full(RANKS, 0.1), np.linspace(0.05, 0.3, RANKS)
    assert fall_of(*log(rng, flat, 3000)).high < 0.1
    assert fall_of(*log(rng, rising, 30)).high < 0


def test_what_cannot_be_told_says_why():
    assert fall_of(np.full((GROUPS, 1), 9), np.ones((GROUPS, 1), int)) == (
        "every page showed one document"
    )
    assert "groups" in fall_of(np.full((3, 5), 9), np.ones((3, 5), int))
    assert fall_of(np.full((GROUPS, 5), 9), np.zeros((GROUPS, 5), int)) == (
        "there are too few clicks"
    )


def test_ranks_counted_from_the_bottom_warn(make_world, findings_of):
    world = make_world(requests=1500)
    impressions = world.frame("impressions")
    assert not [each for each in findings_of(world).outcomes if each.warns]
    impressions["rank"] = 11 - impressions["rank"]
    (warned,) = [each for each in findings_of(world).outcomes if each.warns]
    assert warned.must.startswith("click-through must fall") and warned.table == "impressions"
    assert warned.sample[0]["high"] < 0.1


def days(counts, start=MONDAY):
    from expectations.reference import Day

    dates = [(start + timedelta(days=n)).date().isoformat() for n in range(len(counts))]
    rows = [{"day": day, "requests": n} for day, n in zip(dates, counts, strict=True) if n]
    return rows, [Day(**row) for row in rows]


def compared(now, accepted, start, end):
    from expectations.volume import compare_days

    return {
        row["day"]: (row["expected"], row["is_usual"])
        for row in compare_days(now, accepted, start=start, end=end, max_change=0.5).to_pylist()
    }


def test_a_day_is_compared_with_itself_or_with_its_weekday():
    _, accepted = days([500, 1000, 1100, 1000, 1000, 200, 210, 900])  # the first may be half a day
    weekday = {1: 1000, 5: 200}
    rows, _ = days([1000, 1100, 1000, 400, 210, 50, 0, 1000, 1100], start=MONDAY + timedelta(1))
    end = MONDAY + timedelta(days=10)
    found = compared(rows, accepted, MONDAY + timedelta(days=1), end)
    assert found["2026-01-06"] == (weekday[1], True)
    assert found["2026-01-09"] == (1000, False), "400 of 1000"
    assert found["2026-01-13"] == (weekday[1], True), "a new day, by its weekday"
    assert "2026-01-12" not in found, "a Monday, of which none was accepted whole"


def test_a_missing_day_is_a_day_without_requests_and_half_days_are_not_judged():
    _, accepted = days([900, 1000, 1000, 1000, 1000])
    rows, _ = days([1000, 0, 20], start=MONDAY + timedelta(days=1))
    start = MONDAY + timedelta(days=1)
    found = compared(rows, accepted, start, MONDAY + timedelta(days=3, hours=4))
    assert found == {"2026-01-06": (1000, True), "2026-01-07": (1000, False)}


def test_a_window_that_is_longer_than_the_log_misses_no_day():
    _, accepted = days([500, *[1000] * 14, 300])
    rows, _ = days([500, *[1000] * 14, 300])
    found = compared(rows, accepted, MONDAY - timedelta(days=60), MONDAY + timedelta(days=15))
    assert min(found) == "2026-01-06" and len(found) == 14


def test_small_numbers_differ_by_chance():
    _, accepted = days([9, 4, 9, 9])
    rows, _ = days([14], start=MONDAY + timedelta(days=1))
    found = compared(rows, accepted, MONDAY + timedelta(days=1), MONDAY + timedelta(days=2))
    assert found == {"2026-01-06": (4, True)}


@pytest.fixture
def reference_of(findings_of):
    from expectations.reference import Reference

    return lambda world: Reference.model_validate(findings_of(world).profile)


def test_the_log_that_was_accepted_is_usual_to_itself(world, findings_of, reference_of):
    outcomes = findings_of(world, reference=reference_of(world)).outcomes
    assert {each.kept for each in outcomes} == {True}


def test_other_scripts_and_longer_queries_warn(world, findings_of, reference_of):
    before = reference_of(world)
    world.frame("requests")["query"] = "как найти в каталоге то что я искал вчера вечером дома"
    warned = {e.must: e for e in findings_of(world, reference=before).outcomes if e.warns}
    lengths, shares, spoken = warned.values()
    assert lengths.must.startswith("queries must be as long as when a snapshot was last accepted")
    assert {row["share"] for row in shares.sample} == {"words per query", "letters by script"}
    assert spoken.must.startswith("at most 20% of queries may have moved to other languages")


def test_a_lost_day_warns_and_nothing_stops(world, findings_of, reference_of):
    before = reference_of(world)
    requests = world.frame("requests")
    lost = requests["ts"].dt.strftime("%Y-%m-%d") == "2026-01-08"
    gone = set(requests.loc[lost, "request_id"])
    for table in ("requests", "impressions", "events"):
        frame = world.frame(table)
        world.tables[table] = frame[~frame["request_id"].isin(gone)].reset_index(drop=True)
    findings = findings_of(world, reference=before)
    (warned,) = [each for each in findings.outcomes if each.warns]
    assert findings.success and warned.count == 1
    assert warned.sample[0]["day"] == "2026-01-08" and warned.sample[0]["requests"] == 0


def test_a_profile_counts_what_was_accepted(world, findings_of):
    profile = findings_of(world).profile
    assert profile["requests"] == 400 and profile["sessions"] == 200
    assert sum(day["requests"] for day in profile["days"]) == 400
    assert sum(day["impressions"] for day in profile["days"]) == 4000
    clicks = len(world.frame("events"))
    assert sum(day["clicks"] for day in profile["days"]) == clicks
    assert [each["rank"] for each in profile["ranks"]] == list(range(1, 11))
    assert sum(each["clicks"] for each in profile["ranks"]) == clicks
    asked = world.frame("requests")["query"]
    assert profile["distinct_queries"] == asked.nunique()
    assert sum(profile["query_words"].values()) == 400 and set(profile["query_words"]) == {"4"}
    assert profile["scripts"] == {"latin": 1.0}
    assert len(profile["top_queries"]) == 20
    assert profile["top_queries"][0]["requests"] == asked.value_counts().iloc[0]
    assert profile["query_characters"]["mean"] == pytest.approx(asked.str.len().mean(), abs=1e-6)


def test_scripts_are_told_by_letters():
    from expectations.profile import scripts

    found = scripts([("a", 6), ("\u212b", 1), ("搜", 1), ("я", 1), ("3", 50), (" ", 9), ("ハ", 1)])
    assert found == {"latin": 0.7, "cjk": 0.1, "cyrillic": 0.1, "katakana": 0.1}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (None, "is not there, so nobody knows .* run `perennial snapshot`"),
        ('{"format_version": 1, "snapshot": null, "profile": null}', None),
        ("{", "does not describe an accepted snapshot"),
        ('{"format_version": 1, "profile": {"days": 3}}', "does not describe an accepted snapshot"),
        ('{"format_version": 9, "profile": null}', "format_version 9, this version reads 1"),
    ],
)
def test_a_reference_is_there_or_not_or_refused(tmp_path, text, wanted):
    from expectations.reference import read_reference

    path = tmp_path / "accepted.json"
    if text is not None:
        path.write_text(text)
    if wanted is None:
        assert read_reference(path) is None
        return
    with pytest.raises(BadInput, match=wanted):
        read_reference(path)


def test_a_written_profile_is_a_reference(tmp_path, world, findings_of):
    from expectations.reference import read_reference

    path = tmp_path / "accepted.json"
    about = {"format_version": 1, "snapshot": "sha256:0", "profile": findings_of(world).profile}
    path.write_text(json.dumps(about))
    reference = read_reference(path)
    assert reference is not None and reference.requests == 400
