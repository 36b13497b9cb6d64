"""bridge: a new encoder serves on the champion's index, where a map between them finds enough."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small import write_params
from tiny_bridge import TURNED, turn
from tiny_release import publish_folders, write_folders

from perennial.data.catalogue import read_documents
from perennial.data.tables import write_table
from perennial.errors import EncoderMismatch
from perennial.index.bridge import Bridge, write_bridge
from perennial.model.digest import text_digests
from perennial.model.encoder import load_encoder
from perennial.model.static import read_static, write_static
from perennial.release.caching.materialise import materialise
from perennial.release.manifests.manifest import read_manifest
from perennial.release.manifests.parts import StoredFile
from perennial.release.stores.local import LocalStore
from perennial.serving.loaded import load_release
from perennial.serving.searcher import Searcher
from perennial.verbs.bridging.sample import common_rows, embed_sample, logged_queries

START = pd.Timestamp("2026-01-05", tz="UTC")
STRETCH = 2.0


@pytest.fixture
def encoders(running, tmp_path):
    """The champion's encoder, and a folder with one of more dimensions that finds other things."""
    store = LocalStore(running / "store")
    materialise(store, store.read_channel("production").stable, tmp_path / "champion")
    old = tmp_path / "champion" / "encoder"
    return old, turn(old, tmp_path / "new", stretch=STRETCH)


def stable(running):
    return LocalStore(running / "store").read_channel("production").stable


def manifest_of(running, release_id):
    return read_manifest(
        LocalStore(running / "store").manifest_bytes(release_id), release_id=release_id
    )


def test_a_map_that_finds_enough_is_published_and_serves_nothing_yet(run, running, encoders):
    before = stable(running)
    code, out, err = run("bridge", "--encoder", encoders[1])
    assert (code, err) == (0, "")
    assert "orthogonal" in out and "through the bridge" in out and "by the champion itself" in out
    assert "is published and serves nothing" in out
    assert stable(running) == before


def test_promoted_it_answers_with_the_new_encoder_until_a_rollback(run, running, encoders):
    before = stable(running)
    code, out, err = run("bridge", "--encoder", encoders[1], "--promote", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["decision"]["outcome"] == "promote"
    assert stable(running) == told["release_id"] != before == told["champion"]
    manifest = manifest_of(running, told["release_id"])
    assert manifest.encoder.digest == load_encoder(encoders[1]).digest == manifest.lineage
    assert manifest.bridge.recall.value == told["sampled"]["bridged"]["value"] > 0.7
    assert manifest.bridge.fitted_on == told["fitted_on"] == 112
    assert (manifest.bridge.forced, manifest.encoder.dimension) == (None, TURNED)
    query = pq.read_table(running / "source" / "catalogue.parquet")["text"][7].as_py()
    code, out, _ = run("search", query, "-k", "3", "--json")
    found = json.loads(out)
    assert (code, found["release_id"], len(found["hits"])) == (0, told["release_id"], 3)
    rows = json.loads(run("status", "--json")[1])["releases"]
    shown = {row["release_id"]: row["bridge"] for row in rows}
    assert shown[before] is None
    assert shown[told["release_id"]]["recall"] == manifest.bridge.recall.value
    assert "bridged" in run("status")[1]
    assert run("rollback")[0] == 0
    assert stable(running) == before


def test_what_it_serves_is_what_exact_search_through_the_map_finds(run, running, encoders):
    told = json.loads(run("bridge", "--encoder", encoders[1], "--promote", "--json")[1])
    store = LocalStore(running / "store")
    searcher = Searcher.open(store, "production", running / "elsewhere", math.inf)
    release = searcher.release
    texts = pq.read_table(running / "source" / "catalogue.parquet")["text"].to_pylist()[:20]
    mapped = release.bridge.apply(load_encoder(encoders[1]).encode(texts))
    expected = release.index.search(mapped, 5)[1]
    answers = searcher.search_many(texts, 5)
    assert [[hit.doc_id for hit in answer.hits] for answer in answers] == expected.tolist()
    assert answers[0].release_id == told["release_id"]


def test_the_full_measure_is_against_the_whole_catalogue(run, running, encoders):
    told = json.loads(run("bridge", "--encoder", encoders[1], "--full", "--json")[1])
    assert (told["sampled"]["documents"], told["full"]["documents"]) == (38, 150)
    recall = manifest_of(running, told["release_id"]).bridge.recall
    assert (recall.value, recall.documents) == (told["full"]["bridged"]["value"], 150)
    assert told["full"]["gain"]["value"] == pytest.approx(
        told["full"]["bridged"]["value"] - told["full"]["champion"]["value"]
    )


def test_what_was_embedded_is_kept_for_the_full_re_embedding(run, running, encoders):
    run("bridge", "--encoder", encoders[1])
    kept = sorted(path.name for path in (running / "cache" / "vectors").glob("*.sqlite"))
    digests = [load_encoder(folder).digest.removeprefix("sha256:") for folder in encoders]
    assert kept == sorted(f"{digest}.sqlite" for digest in digests)


def test_an_encoder_that_is_only_turned_is_not_worth_a_bridge(run, running, encoders, tmp_path):
    same = turn(encoders[0], tmp_path / "same")
    code, out, err = run("bridge", "--encoder", same)
    assert (code, err) == (1, "")
    assert "gain over the champion is 0.000" in out and "Nothing was published" in out
    assert len(LocalStore(running / "store").release_ids()) == 1


@pytest.fixture
def strange(encoders, tmp_path):
    """An encoder whose words mean other things than the champion's: no map helps."""
    tokenizer, vectors = read_static(encoders[0])
    random = np.random.default_rng(3).permutation(vectors, axis=0)
    write_static(tmp_path / "strange", tokenizer, random, max_tokens=256)
    return tmp_path / "strange"


def test_a_map_that_finds_too_little_is_refused_with_its_numbers(run, running, strange):
    before = {p: p.read_bytes() for p in (running / "store").rglob("*") if p.is_file()}
    code, out, _ = run("bridge", "--encoder", strange, "--promote")
    assert code == 1
    assert "The recall is 0." in out and "not above 0.7" in out
    assert "--force --reason" in out
    assert {p: p.read_bytes() for p in (running / "store").rglob("*") if p.is_file()} == before


def test_a_person_may_force_it_with_a_reason_that_stays(run, running, strange):
    code, _, err = run("bridge", "--encoder", strange, "--force")
    assert code == 2 and "--reason" in err
    why = ("--force", "--reason", "the old one is on fire")
    code, out, _ = run("bridge", "--encoder", strange, "--promote", "--json", *why)
    told = json.loads(out)
    assert (code, told["decision"]["outcome"]) == (0, "reject")
    assert manifest_of(running, told["release_id"]).bridge.forced == "the old one is on fire"
    channel = LocalStore(running / "store").read_channel("production")
    assert channel.stable == told["release_id"]
    assert channel.history[-1].why == "bridge, forced: the old one is on fire"


def test_too_few_documents_say_how_many_are_needed(run, running, encoders):
    code, out, err = run("bridge", "--encoder", encoders[1], "--sample", "24")
    assert (code, out) == (2, "") and "6 documents are held out, too few" in err
    write_params(Path("params.yaml"), {"bridge": {"held_out_share": 0.5}})
    code, out, err = run("bridge", "--encoder", encoders[1], "--sample", "30")
    assert (code, out) == (2, "")
    assert "15 documents are too few" in err and "at least 20" in err
    assert run("bridge", "--encoder", encoders[1], "--sample", "0")[0] == 2


def test_the_champions_own_encoder_and_a_bridged_champion_are_refused(run, running, encoders):
    code, _, err = run("bridge", "--encoder", encoders[0])
    assert code == 2 and "is the champion's own encoder" in err
    run("bridge", "--encoder", encoders[1], "--promote")
    code, _, err = run("bridge", "--encoder", encoders[0])
    assert code == 1 and "is bridged and cannot be bridged again" in err


def test_queries_that_people_asked_are_taken_where_the_new_encoder_knows_a_word_of_them(
    running, encoders, tmp_path
):
    store = LocalStore(running / "store")
    folders = write_folders(tmp_path / "tiny", lineage=1)
    asked = [f"word{i}" for i in range(30)] + ["🦆"]
    pq.write_table(pa.table({"query": asked}), folders.references / "queries.parquet")
    champion = publish_folders(store, folders)
    assert logged_queries(store, champion) == asked
    old = load_encoder(folders.encoder)
    new = load_encoder(turn(folders.encoder, tmp_path / "turned"))
    catalogue = {"doc_id": [f"doc-{i}" for i in range(40)], "text": [f"word{i}" for i in range(40)]}
    frame = pd.DataFrame(catalogue | {"title": "", "slice": None, "updated_at": START})
    write_table(frame, tmp_path / "catalogue.parquet", table="catalogue")
    documents = read_documents(tmp_path / "catalogue.parquet", digests_of=text_digests)
    rows = common_rows(store, champion, documents)
    assert rows.tolist() == list(range(40))
    sample = embed_sample(
        documents, rows, new=new, old=old, logged=asked, count=36, held_out_share=0.25, queries=31,
        vectors=tmp_path / "vectors", seed=1, progress=lambda what, done, total: None,
    )  # fmt: skip
    assert (sample.new.shape, sample.old.shape, sample.held.sum()) == ((36, 20), (36, 16), 9)
    assert len(sample.asked_new) == len(sample.asked_old) == 30, "of the duck nothing is known"
    assert len(sample.measuring(slice(1, None, 2)).asked_old) == 15


def test_a_retrain_does_not_compare_with_a_stand_in(run, running, encoders):
    run("bridge", "--encoder", encoders[1], "--promote")
    code, _, err = run("snapshot")
    assert code == 1 and "is bridged and cannot be compared with" in err
    assert not Path("snapshot").exists()


def test_a_hold_is_met_before_anything_is_embedded(run, running, encoders):
    run("bridge", "--encoder", encoders[1], "--promote")
    run("rollback")
    code, _, err = run("bridge", "--encoder", encoders[1], "--promote")
    assert code == 1 and "perennial resume" in err
    assert run("bridge", "--encoder", encoders[1])[0] == 0


def test_a_catalogue_that_the_index_never_held_is_no_ground(run, running, encoders):
    path = running / "source" / "catalogue.parquet"
    table = pq.read_table(path)
    texts = [f"{text} anew" for text in table["text"].to_pylist()]
    place = table.schema.get_field_index("text")
    pq.write_table(table.set_column(place, table.schema.field("text"), [texts]), path)
    code, _, err = run("bridge", "--encoder", encoders[1])
    assert code == 2 and "no document of the catalogue stands in the index" in err


def test_without_a_champion_it_says_what_to_do_first(run, home, tmp_path):
    code, _, err = run("bridge", "--encoder", tmp_path)
    assert code == 2 and "perennial bootstrap" in err


def test_a_map_of_other_dimensions_is_an_encoder_mismatch(run, running, encoders, tmp_path):
    told = json.loads(run("bridge", "--encoder", encoders[1], "--json")[1])
    manifest = manifest_of(running, told["release_id"])
    store = LocalStore(running / "store")
    write_bridge(tmp_path / "map", Bridge(np.eye(3, dtype="f4"), np.zeros(3, dtype="f4")))
    digest, size = store.put_file(tmp_path / "map")
    file = StoredFile(path="map.safetensors", digest=digest, bytes=size)
    wrong = replace(manifest, bridge=replace(manifest.bridge, map=file)).named()
    store.write_manifest(wrong)
    with pytest.raises(EncoderMismatch, match=r"\(3, 3\) between them"):
        load_release(store, wrong.release_id, tmp_path / "cache")
