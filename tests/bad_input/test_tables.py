"""Whatever data a person brings: a sentence says what to do, the champion serves, a re-run goes on.

Every case is met as a user meets it: by the command line and the stages as processes.
"""

import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import COMPANY, build_world
from person import User, said
from safetensors.numpy import load_file, save_file
from small import write_params

from perennial.data.schema import LOG_TABLES


def write_log(user: User, spoil: Callable[[Any], None]) -> None:
    """The healthy world's tables with a mistake, as the source's."""
    world = build_world(**COMPANY)
    labels = pq.read_table(user.home / "source" / "judgements.parquet").to_pandas()
    world.tables["judgements"] = labels
    spoil(world)
    world.write_source(user.home / "source")


def empty(table: str) -> Callable[[Any], None]:
    def spoil(world: Any) -> None:
        world.tables[table] = world.frame(table).iloc[:0]

    return spoil


def set_value(table: str, row: int, column: str, value: Any) -> Callable[[Any], None]:
    def spoil(world: Any) -> None:
        frame = world.frame(table)
        if value is not None and frame[column].isna().all():
            frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value

    return spoil


def copy_value(table: str, column: str) -> Callable[[Any], None]:
    def spoil(world: Any) -> None:
        world.frame(table).loc[1, column] = world.frame(table).loc[0, column]

    return spoil


def nan_score(world: Any) -> None:
    """NaN, not null: pandas would make no difference."""
    table = world.arrow("impressions")
    scores = table["score"].to_numpy().copy()
    scores[3] = np.nan
    at = table.column_names.index("score")
    world.tables["impressions"] = table.set_column(at, table.schema.field(at), pa.array(scores))


def dwell(value: float) -> Callable[[Any], None]:
    def spoil(world: Any) -> None:
        events = world.frame("events")
        one = events.iloc[[0]].assign(event_id="dwell-0", type="dwell", value=value)
        world.tables["events"] = pd.concat([events.astype({"value": float}), one])

    return spoil


def no_clicks(world: Any) -> None:
    world.frame("events")["type"] = "dwell"
    world.frame("events")["value"] = 3.0


def other_world(world: Any) -> None:
    world.frame("catalogue")["doc_id"] = "their-" + world.frame("catalogue")["doc_id"]


BROKEN = {
    "an empty catalogue": (
        empty("catalogue"),
        ["catalogue: there must be at least 1 document, but there are 0; export the documents"],
    ),
    "a log with no clicks": (
        no_clicks,
        ["events: there must be at least 10 clicks, but there are 0", "lower validate.min_clicks"],
    ),
    "a doc_id twice": (
        copy_value("catalogue", "doc_id"),
        ["catalogue: doc_id must be unique, but 2 of 150 break it", "keep one row per document"],
    ),
    "a request_id twice": (
        copy_value("requests", "request_id"),
        ["requests: request_id must be unique", "keep one row per request"],
    ),
    "an event_id twice": (
        copy_value("events", "event_id"),
        ["events: event_id must be unique, but 2 of", "keep one row per event"],
    ),
    "a catalogue of another world": (
        other_world,
        ["impressions: doc_id must be in the catalogue, but", "export the missing documents"],
    ),
    "a score that is NaN": (
        nan_score,
        ["impressions: score must be a finite number, but 1 of 5,960 breaks it"],
    ),
    "a score that is Inf": (
        set_value("impressions", 3, "score", np.inf),
        ["impressions: score must be a finite number, but 1 of"],
    ),
    "a dwell time that is Inf": (dwell(np.inf), ["events: value must be a finite number"]),
    "a text of 1 MB": (
        set_value("catalogue", 3, "text", "word " * 200_000),
        ["catalogue: text must have at most 200,000 characters, but 1 of 150 breaks it", "split"],
    ),
    "a text of white space": (
        set_value("catalogue", 3, "text", " \n\t\u00a0"),
        ["catalogue: text must contain a letter or a digit, but 1 of 150", "doc-00003"],
    ),
    "a text of emoji": (
        set_value("catalogue", 3, "text", "🌱🦆"),
        ["catalogue: text must contain a letter or a digit, but 1 of 150", "leave out documents"],
    ),
    "a query of white space": (
        set_value("requests", 3, "query", "  "),
        ["requests: query must be more than white space, but 1 of", "leave out requests"],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_table_is_named_and_the_champion_serves(user, case):
    spoil, says = BROKEN[case]
    champion = user.channel()
    write_log(user, spoil)
    step, answer = user.go("validate")
    assert (step, answer.returncode) == ("validate", 2), answer.stderr
    sentences = said(answer)
    assert all(part in sentences for part in says), sentences
    assert "work/validate/report.html" in sentences and (user.folder / "work/validate").is_dir()
    assert user.channel() == champion


@pytest.mark.slow
def test_after_a_broken_table_the_repaired_one_goes_on(user):
    spoil, _ = BROKEN["a score that is NaN"]
    write_log(user, spoil)
    step, answer = user.go("validate")
    assert (step, answer.returncode) == ("validate", 2), answer.stderr
    write_log(user, lambda world: None)
    step, answer = user.go("validate")
    assert (step, answer.returncode) == ("validate", 0), answer.stderr


def no_file(user: User) -> None:
    shutil.rmtree(user.home / "source" / "requests")


def no_row(user: User) -> None:
    write_log(user, lambda world: [empty(name)(world) for name in LOG_TABLES])


@pytest.mark.parametrize("forget", [no_file, no_row])
def test_an_empty_log_says_how_to_get_one(user, forget):
    forget(user)
    answer = user.perennial("snapshot")
    assert answer.returncode == 2
    assert "the log is empty" in said(answer) and "`perennial simulate`" in said(answer)
    write_log(user, lambda world: None)
    assert user.perennial("snapshot").returncode == 0


def test_an_empty_catalogue_is_refused_at_import(user, tmp_path):
    source = {p: p.read_bytes() for p in user.home.rglob("*.parquet")}
    world = build_world()
    world.tables["catalogue"] = world.frame("catalogue").iloc[:0]
    world.write_source(tmp_path / "theirs")
    answer = user.perennial("import", "parquet", "--path", "theirs")
    assert answer.returncode == 2
    assert "the catalogue of source parquet is empty" in said(answer)
    assert {p: p.read_bytes() for p in user.home.rglob("*.parquet")} == source


@pytest.mark.slow
def test_a_few_requests_about_deleted_documents_are_left_out_and_the_rest_teaches(user):
    def delete(world: Any) -> None:
        world.tables["catalogue"] = world.frame("catalogue").drop(index=[120, 121])

    write_log(user, delete)
    answer = user.perennial("snapshot")
    assert answer.returncode == 0
    assert "requests are left out: they are about documents that the catalogue no longer has" in (
        answer.stdout
    )
    step, answer = user.go("evaluate")
    assert (step, answer.returncode) == ("evaluate", 0), answer.stderr


@pytest.mark.slow
def test_a_megabyte_of_text_goes_through_where_it_is_allowed(user):
    write_log(user, set_value("catalogue", 3, "text", "word " * 200_000))
    write_params(user.folder / "params.yaml", {"validate": {"max_text_characters": 2_000_000}})
    step, answer = user.go("evaluate")
    assert (step, answer.returncode) == ("evaluate", 0), answer.stderr


@pytest.mark.slow
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_an_encoder_whose_weights_are_no_numbers_never_becomes_champion(user, value):
    assert user.perennial("snapshot").returncode == 0
    encoder = user.folder / "given"
    shutil.copytree(user.folder / "snapshot" / "champion" / "encoder", encoder)
    whole = (encoder / "model.safetensors").read_bytes()
    weights = load_file(encoder / "model.safetensors")
    weights["embedding.weight"][7] = value
    save_file(weights, encoder / "model.safetensors")
    shutil.rmtree(user.home / "store")
    answer = user.perennial("bootstrap", "--encoder", "given")
    assert answer.returncode == 2
    assert "holds NaN or Inf in 1 of" in said(answer)
    assert not (user.home / "store").exists()
    (encoder / "model.safetensors").write_bytes(whole)
    assert user.perennial("bootstrap", "--encoder", "given").returncode == 0
