"""The tests' own world is what it says: the schema's types, the same bytes from the same seed."""

from perennial.data.schema import LOG_TABLES, TABLES


def test_the_same_seed_makes_the_same_world_and_another_seed_another(make_world):
    once, twice, other = make_world(seed=4), make_world(seed=4), make_world(seed=5)
    for table in TABLES:
        assert once.arrow(table).equals(twice.arrow(table))
        assert once.arrow(table).schema.equals(TABLES[table])
    assert not once.arrow("catalogue").equals(other.arrow("catalogue"))


def test_every_query_has_its_answer_in_the_catalogue(world):
    assert set(world.answers.values()) <= set(world.frame("catalogue")["doc_id"])
    assert set(world.answers) == set(world.frame("judgements")["query"])


def test_a_world_is_written_as_a_workspace_and_as_a_source(world, tmp_path):
    workspace = world.write_workspace(tmp_path / "workspace")
    source = world.write_source(tmp_path / "source")
    assert (workspace / "params.yaml").is_file()
    assert (workspace / "snapshot" / "snapshot.json").is_file()
    for table in TABLES:
        assert (workspace / "snapshot" / f"{table}.parquet").is_file()
        assert (source / table if table in LOG_TABLES else source / f"{table}.parquet").exists()
