"""simulate: people who search day after day, and a log that only ever grows."""

import json
import shutil
from itertools import pairwise

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small import write_params

from perennial.data.schema import LOG_TABLES, TABLES


@pytest.fixture
def sourced(running):
    """A company whose log is still empty."""
    for name in LOG_TABLES:
        shutil.rmtree(running / "source" / name)
    return running


def logged(home, table):
    files = sorted((home / "source" / table).glob("*.parquet"))
    parts = [pq.read_table(path) for path in files]
    assert all(part.schema.equals(TABLES[table]) for part in parts)
    return pa.concat_tables(parts).to_pandas()


def test_the_first_log_is_made_on_the_search_of_today(run, sourced):
    code, out, err = run("simulate", "--sessions", "40")
    assert (code, err) == (0, "")
    assert "of simulated people on lexical-bm25" in out
    requests, impressions = logged(sourced, "requests"), logged(sourced, "impressions")
    assert requests["session_id"].nunique() == 40
    assert set(requests["release_id"]) == {"lexical-bm25"}
    assert requests["ts"].min() >= pd.Timestamp("2026-01-05", tz="UTC")
    shown = impressions.groupby("request_id")["rank"].agg(["min", "max", "count"])
    assert (shown["min"] == 1).all() and (shown["max"] == shown["count"]).all()


def test_a_later_log_is_made_on_the_live_champion_and_starts_the_day_after(run, sourced):
    run("simulate", "--sessions", "40")
    code, out, _ = run("simulate", "--on", "production", "--sessions", "30", "--json")
    assert code == 0
    about = json.loads(out)
    requests = logged(sourced, "requests")
    first, second = (part for _, part in requests.groupby(requests["release_id"] != "lexical-bm25"))
    assert set(second["release_id"]) == {about["release_id"]}
    assert set(second["channel"]) == {"production"}
    assert len(second) == about["rows"]["requests"]
    assert second["ts"].min() >= first["ts"].max().ceil("D")


def test_logs_append_and_no_id_ever_comes_twice(run, sourced):
    for number in range(3):
        files = {p: p.read_bytes() for p in (sourced / "source").rglob("*.parquet")}
        assert run("simulate", "--sessions", "30")[0] == 0
        after = {p: p.read_bytes() for p in (sourced / "source").rglob("*.parquet")}
        assert files.items() <= after.items(), "what was logged stays as it was"
        assert len(after) - len(files) == 3, f"log {number} is one file a table"
    for table, key in (("requests", "request_id"), ("events", "event_id")):
        assert logged(sourced, table)[key].is_unique
    days = [
        pq.read_table(p)["ts"].to_pandas().dt.floor("D")
        for p in sorted((sourced / "source" / "requests").glob("*.parquet"))
    ]
    assert all(one.max() < next_one.min() for one, next_one in pairwise(days))
    sessions = logged(sourced, "requests").groupby("session_id")["ts"].agg(["min", "max"])
    assert ((sessions["max"] - sessions["min"]) < pd.Timedelta(hours=1)).all()


def test_what_is_logged_is_a_function_of_the_params_and_the_log_before_it(run, sourced):
    run("simulate", "--sessions", "20")
    files = {p: p.read_bytes() for p in (sourced / "source").rglob("*.parquet")}
    for name in LOG_TABLES:
        shutil.rmtree(sourced / "source" / name)
    run("simulate", "--sessions", "20")
    assert {p: p.read_bytes() for p in (sourced / "source").rglob("*.parquet")} == files


def test_a_simulated_log_is_one_that_a_snapshot_takes_whole(run, sourced):
    run("simulate", "--sessions", "40")
    code, out, _ = run("snapshot", "--json")
    assert code == 0
    about = json.loads(out)
    assert about["dropped"] == {"requests": 0, "judgements": 0}
    assert 0 < about["rows"]["requests"] <= len(logged(sourced, "requests"))


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--on", "elsewhere"], 2, "perennial bootstrap"),
        (["--on", "Production"], 2, "is not a channel name"),
        (["--sessions", "0"], 2, "--sessions is 0"),
    ],
)
def test_a_wrong_wish_is_one_sentence(run, sourced, arguments, code, says):
    found, out, err = run("simulate", *arguments)
    assert (found, out) == (code, "")
    assert err.startswith("perennial: ") and says in err and err.count("\n") == 1


def test_people_can_only_be_simulated_where_the_answers_are_known(run, sourced):
    (sourced / "source" / "truth.parquet").unlink()
    code, _, err = run("simulate")
    assert code == 2
    assert "truth.parquet is missing" in err and "collect a real log" in err


def test_a_start_that_is_no_time_is_named(run, sourced, tmp_path):
    path = tmp_path / "params.yaml"
    for start in ("next week", "2026-01-05T00:00:00", "2026-01-05T00:00:00+02:00"):
        text = path.read_text().replace("2026-01-05T00:00:00Z", start)
        path.with_name("params.yaml").write_text(text)
        code, _, err = run("simulate")
        assert code == 2
        assert f"simulate.start is '{start}'" in err and "a time in utc is needed" in err
        write_params(path)
