"""A table as a whole: its columns and types, its size, and what hides behind another's mistake."""

import pyarrow as pa

from perennial.data.schema import TABLES


def empty(world, *tables):
    for table in tables:
        world.tables[table] = TABLES[table].empty_table()


def test_a_healthy_world_keeps_every_promise(world, outcomes_of):
    outcomes = outcomes_of(world)
    blind = {each.because for each in outcomes if each.kept is not True}
    assert blind == {"no snapshot of this channel was accepted before"}
    assert {each.table for each in outcomes} == set(TABLES)
    assert len({(each.table, each.must) for each in outcomes}) == len(outcomes)


def test_an_empty_catalogue_is_one_sentence(world, outcomes_of):
    from expectations.summary import sentence

    empty(world, "catalogue")
    outcomes = outcomes_of(world, ["catalogue", "impressions", "judgements"])
    assert [sentence(each) for each in outcomes if each.kept is False] == [
        "catalogue: there must be at least 1 document, but there are 0; "
        "export the documents that people should find."
    ]
    hidden = [each for each in outcomes if each.kept is None and each.table == "impressions"]
    assert [(each.must, each.because) for each in hidden] == [
        ("doc_id must be in the catalogue", "catalogue is empty")
    ]


def test_an_empty_log_is_one_sentence(world, outcomes_of):
    from expectations.summary import sentence

    empty(world, "requests", "impressions", "events")
    said = [sentence(each) for each in outcomes_of(world) if each.kept is False]
    assert said == [
        "requests: there must be at least 100 requests, but there are 0; "
        "collect a longer log, widen snapshot.window_days or lower validate.min_requests, "
        "or, where the window lies in the future, look for a clock that runs ahead."
    ]


def test_a_log_with_no_clicks_is_one_sentence(world, broken):
    empty(world, "events")
    assert list(broken(world, ["events"])) == ["events: there must be at least 50 clicks"]


def test_dwells_are_no_clicks(world, broken):
    world.frame("events")["type"] = "dwell"
    world.frame("events")["value"] = 12.5
    (outcome,) = broken(world, ["events"]).values()
    assert outcome.must == "there must be at least 50 clicks" and outcome.count == 0


def test_a_log_without_impressions_is_caught(world, broken):
    empty(world, "impressions", "events")
    assert set(broken(world, ["impressions", "events"])) == {
        "impressions: there must be at least 1 impression",
        "events: there must be at least 50 clicks",
    }


def test_no_judgements_are_accepted_since_the_gate_then_says_inconclusive(world, broken):
    empty(world, "judgements")
    assert not broken(world, ["judgements"])


def test_a_missing_column_is_named_and_what_needs_it_is_not_guessed(world, outcomes_of):
    world.tables["impressions"] = world.arrow("impressions").drop_columns(["doc_id"])
    outcomes = outcomes_of(world, ["impressions", "events"])
    (broken,) = [each for each in outcomes if each.kept is False]
    assert broken.must == "every column of the schema must be there" and broken.count == 1
    assert broken.sample == ({"column": "doc_id", "promised": "string", "found": None},)
    hidden = {f"{each.table}: {each.must}" for each in outcomes if each.kept is None}
    assert hidden == {
        "impressions: doc_id must be given",
        "impressions: doc_id must be in the catalogue",
        "impressions: request_id and doc_id together must be unique",
        "events: doc_id must have been shown for the event's request",
        "impressions: click-through must fall from the first rank to the last by 10% of its mean",
    }


def test_a_wrong_type_is_named_with_both_types(world, broken):
    found = world.arrow("impressions")
    at = found.schema.get_field_index("rank")
    world.tables["impressions"] = found.set_column(at, "rank", found["rank"].cast(pa.string()))
    (outcome,) = broken(world, ["impressions"]).values()
    assert outcome.must == "every column must have its type"
    assert outcome.sample == ({"column": "rank", "promised": "int32", "found": "string"},)


def test_times_without_a_zone_are_a_wrong_type(world, broken):
    found = world.arrow("requests")
    at = found.schema.get_field_index("ts")
    world.tables["requests"] = found.set_column(at, "ts", found["ts"].cast(pa.timestamp("us")))
    (outcome,) = broken(world, ["requests"]).values()
    assert outcome.sample[0]["promised"] == "timestamp[us, tz=UTC]"
    assert outcome.sample[0]["found"] == "timestamp[us]"


def test_an_unknown_column_and_a_column_twice_are_named(world, broken):
    catalogue = world.arrow("catalogue")
    world.tables["catalogue"] = catalogue.append_column("sllice", catalogue["slice"])
    assert list(broken(world, ["catalogue"])) == ["catalogue: no other column may be there"]
    world.tables["catalogue"] = catalogue.append_column("text", catalogue["text"])
    assert list(broken(world, ["catalogue"])) == ["catalogue: every column must have its type"]


def test_large_strings_are_strings(world, broken):
    found = world.arrow("catalogue")
    at = found.schema.get_field_index("text")
    large = found.set_column(at, "text", found["text"].cast(pa.large_string()))
    world.tables["catalogue"] = large
    assert not broken(world, ["catalogue"])


def test_queries_that_ask_the_same_must_fall_on_one_side(world, broken):
    assert not broken(world, ["judgements"])
    world.frame("requests").loc[3, "query"] = world.frame("requests").loc[4, "query"].upper()

    def by_first_letter(queries):
        return pa.array([query[:1].isupper() for query in queries]).to_numpy(zero_copy_only=False)

    (outcome,) = broken(world, ["judgements"], is_held_out=by_first_letter).values()
    assert outcome.must.startswith("queries that ask the same must fall on one side")
    assert outcome.count == 2 and {row["side"] for row in outcome.sample} == {"train", "held-out"}
