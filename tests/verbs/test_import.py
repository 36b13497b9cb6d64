"""import: any company's text and log becomes a source folder, or the answer says what is wrong."""

import gzip
import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small import write_params

from perennial.data.schema import LOG_TABLES, TABLES
from perennial.data.split import is_held_out


@pytest.fixture
def beir(tmp_path):
    """Forty documents and as many queries in the BEIR layout; the corpus is packed."""
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    with gzip.open(folder / "corpus.jsonl.gz", "wt") as stream:
        for i in range(40):
            row = {"_id": str(i), "title": f"Title {i}", "text": f"Something about thing {i}."}
            stream.write(json.dumps(row) + "\n")
    with (folder / "queries.jsonl").open("w") as stream:
        for i in range(40):
            stream.write(json.dumps({"_id": f"q{i}", "text": f"what is thing {i}"}) + "\n")
    rows = [f"q{i}\t{i}\t{1 if i % 2 else 2}" for i in range(39)] + ["q39\t39\t0"]
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(rows))
    return folder


def read(home, name):
    return pq.read_table(home / "source" / name)


def test_a_beir_folder_becomes_a_catalogue_labels_and_what_people_want(run, home, beir):
    code, out, err = run("import", "beir", "--path", beir)
    assert (code, err) == (0, "")
    assert "40 catalogue" in out
    assert read(home, "catalogue.parquet").schema.equals(TABLES["catalogue"])
    truth = read(home, "truth.parquet").to_pandas()
    assert len(truth) == 39, "grade 0 is no answer"
    assert set(truth["grade"]) == {1, 2}
    judgements = read(home, "judgements.parquet").to_pandas()
    assert 0 < len(judgements) < len(truth)
    assert is_held_out(judgements["query"].tolist(), share=0.25, salt="perennial").all(), (
        "the labels of training queries stay unknown: clicks must teach them"
    )


def test_a_corpus_with_an_id_twice_is_imported_as_it_is_for_validate_to_name(run, home, beir):
    with gzip.open(beir / "corpus.jsonl.gz", "at") as stream:
        stream.write(json.dumps({"_id": "7", "title": "again", "text": "thing 7"}) + "\n")
    assert run("import", "beir", "--path", beir)[0] == 0
    assert read(home, "catalogue.parquet").num_rows == 41


def test_a_foreign_log_comes_in_under_its_own_column_names(run, home, world, tmp_path):
    folder = world.write_source(tmp_path / "theirs")
    names = {"request_id": "search", "query": "typed", "ts": "at"}
    path = folder / "requests" / "part-0000.parquet"
    table = pq.read_table(path)
    back = {ours: theirs for ours, theirs in names.items()}
    pq.write_table(table.rename_columns([back.get(n, n) for n in table.column_names]), path)
    (folder / "truth.parquet").unlink()
    write_params(tmp_path / "params.yaml", {"source": {"columns": {"requests": names}}})
    code, out, err = run("import", "parquet", "--path", folder, "--json")
    assert (code, err) == (0, "")
    rows = json.loads(out)["rows"]
    assert rows == {table: len(world.frame(table)) for table in TABLES}
    for name in LOG_TABLES:
        imported = read(home, f"{name}/imported.parquet")
        assert imported.schema.equals(TABLES[name])
        assert sorted(imported[0].to_pylist()) == sorted(world.arrow(name)[0].to_pylist())


def test_a_log_without_labels_gets_an_empty_table_of_them(run, home, world, tmp_path):
    folder = world.write_source(tmp_path / "theirs")
    (folder / "judgements.parquet").unlink()
    assert run("import", "parquet", "--path", folder)[0] == 0
    assert read(home, "judgements.parquet").num_rows == 0


def test_importing_twice_replaces_and_does_not_add(run, home, world, tmp_path):
    folder = world.write_source(tmp_path / "theirs")
    run("import", "parquet", "--path", folder)
    before = {p: p.read_bytes() for p in home.rglob("*") if p.is_file()}
    assert before
    run("import", "parquet", "--path", folder)
    assert {p: p.read_bytes() for p in home.rglob("*") if p.is_file()} == before


def test_two_worlds_never_mix(run, home, world, beir, tmp_path):
    run("import", "beir", "--path", beir)
    before = {p: p.read_bytes() for p in home.rglob("*") if p.is_file()}
    code, _, err = run("import", "parquet", "--path", world.write_source(tmp_path / "theirs"))
    assert code == 2 and "holds the source beir" in err and "PERENNIAL_HOME" in err
    assert {p: p.read_bytes() for p in home.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["import", "elsewhere"], "choose one of apidocs, beir, parquet"),
        (["import", "beir"], "perennial import beir --path FOLDER"),
        (["import", "beir", "--path", "nowhere"], "BEIR layout"),
        (["import", "parquet", "--path", "nowhere"], "nowhere holds no catalogue.parquet"),
    ],
)
def test_a_source_that_is_not_there_is_one_sentence(run, home, arguments, says):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("perennial: ") and says in err and err.count("\n") == 1
    assert not home.exists()


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("requests", {"n_results": "many"}, "n_results"),
        ("catalogue", {"text": None}, "text"),
        ("events", {"ts": "yesterday"}, "ts"),
    ],
)
def test_a_column_of_another_type_is_named(run, home, world, tmp_path, name, change, says):
    folder = world.write_source(tmp_path / "theirs")
    frame = world.frame(name).assign(**change)
    path = folder / name / "part-0000.parquet" if name in LOG_TABLES else folder / f"{name}.parquet"
    pd.DataFrame(frame).to_parquet(path, index=False)
    code, out, err = run("import", "parquet", "--path", folder)
    assert (code, out) == (2, "")
    assert f"table {name}" in err and says in err and err.count("\n") == 1


@pytest.mark.parametrize(("name", "column"), [("events", "ts"), ("catalogue", "updated_at")])
@pytest.mark.parametrize("microseconds", [1_768_000_000 * 10**9, -(2**62), 2**63 - 1])
def test_a_time_in_another_unit_is_refused(run, home, world, tmp_path, name, column, microseconds):
    folder = world.write_source(tmp_path / "theirs")
    path = folder / name / "part-0000.parquet" if name in LOG_TABLES else folder / f"{name}.parquet"
    rows = pq.read_table(path)
    times = rows[column].cast("int64").to_pylist()
    odd = pa.array([*times[:-1], microseconds], pa.int64()).cast(rows[column].type)
    pq.write_table(rows.set_column(rows.schema.get_field_index(column), column, odd), path)
    code, out, err = run("import", "parquet", "--path", folder)
    assert (code, out) == (2, "")
    assert f"column {column} of table {name} has a time that is not in the years" in err
    assert err.count("\n") == 1


def test_a_missing_column_says_how_to_map_it(run, home, world, tmp_path):
    folder = world.write_source(tmp_path / "theirs")
    path = folder / "impressions" / "part-0000.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["rank"]), path)
    code, _, err = run("import", "parquet", "--path", folder)
    assert code == 2
    assert "lacks the column rank" in err and "source.columns.impressions" in err
