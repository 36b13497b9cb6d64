"""What train starts from and what width it writes: another folder, a cut encoder, a refusal."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from small import write_params

from perennial.data.documents import indexed_texts
from perennial.data.tables import read_table
from perennial.errors import BadInput
from perennial.index.description import read_description
from perennial.index.index import Index
from perennial.model.digest import directory_digest
from perennial.model.encoder import load_encoder
from perennial.model.static import read_static, write_static
from perennial.workspace import Workspace

pytestmark = pytest.mark.slow
NARROW = 6


def summary(workspace: Workspace) -> dict:
    return json.loads((workspace.artifacts("train") / "summary.json").read_text())


def wider(workspace: Workspace, *, width: int) -> Path:
    """The champion with so many coordinates, in base/."""
    tokenizer, vectors = read_static(workspace.champion / "encoder")
    more = np.random.default_rng(4).standard_normal((len(vectors), width - vectors.shape[1]))
    both = np.hstack([vectors, 0.1 * more.astype(np.float32)])
    write_static(workspace.root / "base", tokenizer, both, max_tokens=64)
    return workspace.root / "base"


def test_a_width_goes_through_training_index_and_evaluation(workspace, run):
    write_params(
        workspace.params,
        {
            "train": {"dimension": NARROW, "dimensions": [3], "remine_every": 1},
            "index": {"factory": "Flat"},
        },
    )
    for stage in ("train", "index", "evaluate"):
        run(stage, workspace.root)
    encoder = load_encoder(workspace.artifacts("train") / "encoder")
    assert encoder.dimension == NARROW and summary(workspace)["encoder"] == encoder.digest
    folder = workspace.artifacts("index") / "index"
    about = read_description(folder)
    assert (about["dimension"], about["encoder"]) == (NARROW, encoder.digest)
    variance = (workspace.artifacts("index") / "variance.csv").read_text().splitlines()
    assert len(variance) == 1 + NARROW

    catalogue = read_table(workspace.table("catalogue"))
    vectors = encoder.encode(indexed_texts(catalogue))
    index = Index.open(folder, encoder_digest=encoder.digest)
    asked = encoder.encode(pq.read_table(workspace.log("requests"))["query"].to_pylist()[:50])
    doc_ids = np.array(catalogue["doc_id"])
    for query, found in zip(asked, index.search(asked, 10)[1], strict=True):
        best = np.argsort(-(vectors @ query), kind="stable")
        limit = float((vectors @ query)[best[9]]) - 1e-5
        score = dict(zip(doc_ids.tolist(), (vectors @ query).tolist(), strict=True))
        assert len(set(found)) == 10 and all(score[name] >= limit for name in found)


def test_the_next_round_starts_from_the_cut_champion(workspace, run):
    params = {"train": {"dimension": NARROW}}
    write_params(workspace.params, params)
    run("train", workspace.root)
    shutil.rmtree(workspace.champion / "encoder")
    shutil.copytree(workspace.artifacts("train") / "encoder", workspace.champion / "encoder")
    run("train", workspace.root)
    assert load_encoder(workspace.artifacts("train") / "encoder").dimension == NARROW
    write_params(workspace.params, {"train": {"dimension": NARROW + 1}})
    with pytest.raises(BadInput, match=r"train\.dimension asks for 7 dim.* has 6; choose no more"):
        run("train", workspace.root)


def test_a_base_that_is_not_the_champion_and_is_wider_is_trained_mined_and_replayed(workspace, run):
    base = wider(workspace, width=24)
    write_params(
        workspace.params,
        {"train": {"base": "base", "remine_every": 1, "replay_share": 0.5, "epochs": 3}},
    )
    for stage in ("train", "index", "evaluate"):
        run(stage, workspace.root)
    said = summary(workspace)
    assert said["base"] == directory_digest(base)
    assert said["base"] != directory_digest(workspace.champion / "encoder")
    encoder = load_encoder(workspace.artifacts("train") / "encoder")
    assert (encoder.dimension, encoder.digest) == (24, said["encoder"])
    assert set(said["remined"]) == {"2", "3"}
    assert read_description(workspace.artifacts("index") / "index")["dimension"] == 24


def test_a_width_may_not_be_wider_than_the_base(workspace, run):
    write_params(workspace.params, {"train": {"dimensions": [8, 17]}})
    with pytest.raises(BadInput, match=r"train\.dimensions asks for 17 .*has 16; choose"):
        run("train", workspace.root)


def test_a_name_on_the_hub_is_refused_with_how_to_fetch_it(workspace, run):
    write_params(workspace.params, {"train": {"base": "BAAI/bge-small-en"}})
    with pytest.raises(BadInput, match=r"hf download BAAI/bge-small-en --local-dir FOLDER"):
        run("train", workspace.root)


def test_a_static_encoder_has_nothing_to_freeze(workspace, run):
    write_params(workspace.params, {"train": {"freeze_layers": 1}})
    with pytest.raises(BadInput, match=r"static encoder and has no layers .*freeze_layers to 0"):
        run("train", workspace.root)
