"""bootstrap: something to search and to compare with, from the catalogue alone or from a folder."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from perennial.data.documents import indexed_texts
from perennial.data.tables import read_table
from perennial.model.digest import directory_digest
from perennial.model.encoder import load_encoder
from perennial.release.caching.materialise import materialise
from perennial.release.stores.local import LocalStore
from perennial.verbs.bootstrap import inverse_document_frequency


@pytest.fixture
def sourced(home, company):
    """A home with a source and no release."""
    shutil.copytree(company / "source", home / "source")
    return home


def champion(home, tmp_path):
    """The folder of what production serves."""
    store = LocalStore(home / "store")
    channel = store.read_channel("production")
    materialise(store, channel.stable, tmp_path / "champion")
    return tmp_path / "champion"


def test_the_first_champion_finds_documents_that_no_click_taught_it(run, sourced, tmp_path):
    code, out, err = run("bootstrap")
    assert (code, err) == (0, "")
    assert "production serves rel-" in out and "150 documents" in out
    folder = champion(sourced, tmp_path)
    catalogue = read_table(sourced / "source" / "catalogue.parquet")
    encoder = load_encoder(folder / "encoder")
    documents = encoder.encode(indexed_texts(catalogue))
    asked = encoder.encode([text.split("\n")[0] for text in catalogue["text"].str[:60]])
    found = np.argmax(asked @ documents.T, axis=1)
    assert (found == np.arange(len(catalogue))).mean() > 0.3, "chance is 0.007"
    code, out, _ = run("search", catalogue["text"][7], "-k", "1", "--json")
    assert (code, json.loads(out)["hits"][0]["doc_id"]) == (0, catalogue["doc_id"][7])


def without(home, column):
    """A catalogue that somebody wrote by hand, and left a column out."""
    path = home / "source" / "catalogue.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns([column]), path)


def test_a_catalogue_without_slices_is_one_of_documents_without_a_slice(run, sourced):
    without(sourced, "slice")
    code, out, err = run("bootstrap")
    assert (code, err) == (0, "") and "150 documents" in out


def test_a_catalogue_without_titles_is_refused_in_a_sentence(run, sourced):
    without(sourced, "title")
    code, _, err = run("bootstrap")
    assert code == 2
    assert "catalogue.parquet lacks the column title; add it, or map" in err
    assert "Traceback" not in err


def test_the_same_catalogue_makes_the_same_encoder(run, sourced, company, tmp_path):
    run("bootstrap")
    ours = champion(sourced, tmp_path)
    theirs = champion(company, tmp_path / "theirs")
    assert directory_digest(ours / "encoder") == directory_digest(theirs / "encoder")
    assert directory_digest(ours / "index") == directory_digest(theirs / "index")


def test_a_second_bootstrap_is_refused_and_changes_nothing(run, running):
    before = {p: p.read_bytes() for p in running.rglob("*") if p.is_file()}
    code, out, err = run("bootstrap")
    assert (code, out) == (1, "")
    assert "already serves rel-" in err and "python -m flows.retrain" in err
    assert {p: p.read_bytes() for p in running.rglob("*") if p.is_file()} == before


def test_a_given_encoder_is_published_as_it_is(run, sourced, company, tmp_path):
    given = champion(company, tmp_path / "given") / "encoder"
    code, out, err = run("bootstrap", "--encoder", given, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["channel"] == "production"
    assert directory_digest(champion(sourced, tmp_path) / "encoder") == directory_digest(given)


def add_code(folder):
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "modeling_evil.Evil"
    (folder / "modules.json").write_text(json.dumps(modules))


def add_weights(folder):
    (folder / "pytorch_model.bin").write_bytes(b"anything")


def add_script(folder):
    (folder / "0_Module").mkdir()
    (folder / "0_Module" / "modeling.py").write_text("print('run me')")


def forget_modules(folder):
    (folder / "modules.json").unlink()


def forget_weights(folder):
    (folder / "model.safetensors").unlink()


def tear_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def tear_tokenizer(folder):
    (folder / "tokenizer.json").write_text("{")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (add_code, "modeling_evil.Evil is not on the allow-list"),
        (add_weights, "pytorch_model.bin, which can carry code"),
        (add_script, "modeling.py, which can carry code"),
        (forget_modules, "is not a SentenceTransformer directory"),
        (forget_weights, "model.safetensors"),
        (tear_weights, "model.safetensors"),
        (tear_tokenizer, "tokenizer.json"),
    ],
)
def test_an_encoder_that_could_run_code_or_is_broken_is_refused(
    run, sourced, company, tmp_path, spoil, says
):
    given = champion(company, tmp_path / "given") / "encoder"
    spoil(given)
    code, out, err = run("bootstrap", "--encoder", given, "--json")
    assert (code, out) == (2, "")
    assert err.startswith("perennial: ") and says in err and err.count("\n") == 1
    assert not (sourced / "store" / "channels").exists()


@pytest.mark.slow
def test_an_encoder_that_is_nowhere_says_so_in_a_sentence(run, sourced, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, _, err = run("bootstrap", "--encoder", "nobody/nothing-at-all")
    assert code == 2
    assert "'nobody/nothing-at-all' is neither a folder nor a model" in err
    assert err.count("\n") == 1


def test_without_a_source_it_says_what_to_do_first(run, home):
    code, out, err = run("bootstrap")
    assert (code, out) == (2, "")
    assert "perennial import" in err and err.count("\n") == 1


def test_an_empty_catalogue_is_no_start(run, sourced):
    path = sourced / "source" / "catalogue.parquet"
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    code, _, err = run("bootstrap")
    assert code == 2
    assert "the catalogue is empty" in err and "perennial import" in err


def test_a_catalogue_of_single_sentences_still_gets_a_champion(run, sourced):
    path = sourced / "source" / "catalogue.parquet"
    table = pq.read_table(path)
    texts = [f"single sentence {i}" for i in range(len(table))]
    pq.write_table(table.set_column(2, table.schema.field("text"), [texts]), path)
    assert run("bootstrap")[0] == 0


def test_a_rarer_token_weighs_more_however_often_one_text_repeats_it():
    ids, offsets = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 4, 5, 6])
    weight = inverse_document_frequency(ids, offsets, tokens=4)
    np.testing.assert_allclose(weight, np.log([4 / 2, 4 / 3, 4 / 2, 4 / 1]))
