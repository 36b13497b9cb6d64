"""A bridged release is one unit like any other: verified, refused, rolled back and replaced."""

import json
from dataclasses import replace
from pathlib import Path

import faiss
import pytest
from tiny_bridge import RECALL, TURNED, publish_bridge, write_bridge_folders
from tiny_release import DIMENSION, HEALTH, NOON, Folders, publish_folders

from perennial.errors import BadInput, EncoderMismatch, IntegrityError, Refused
from perennial.model.encoder import load_encoder
from perennial.release.caching.materialise import materialise
from perennial.release.manifests.folder import index_json
from perennial.release.manifests.manifest import read_manifest
from perennial.release.publishing.bridged import refuse_bridged
from perennial.release.publishing.publish import promote, rollback
from perennial.release.publishing.successor import publish_successor
from perennial.release.verify import verify_release

SAID = {"now": NOON, "why": "while it is embedded again", "who": "test"}


@pytest.fixture
def bridged(store, serving, first, tmp_path):
    return publish_bridge(store, serving, first, tmp_path / "bridged")


def flip(store, digest):
    path = store.root / "objects" / digest[7:9] / digest[7:]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"\1")


def test_it_holds_the_new_encoder_the_old_index_and_the_map(store, serving, bridged):
    assert bridged.parent == serving.release_id
    assert bridged.lineage == bridged.encoder.digest != serving.encoder.digest
    assert (bridged.index, bridged.catalogue) == (serving.index, serving.catalogue)
    assert (bridged.encoder.dimension, bridged.index_dimension) == (TURNED, DIMENSION)
    assert bridged.index_encoder == serving.encoder.digest
    assert bridged.bridge.recall == RECALL
    assert "bridge/map.safetensors" in dict(bridged.files())
    assert verify_release(store, bridged.release_id) == []


def test_nothing_of_the_index_is_written_again(store, serving, first, tmp_path):
    before = set(store.digests())
    bridged = publish_bridge(store, serving, first, tmp_path / "bridged")
    files = dict(bridged.files())
    written = set(store.digests()) - before
    assert written and not written & {
        file.digest for path, file in files.items() if path.startswith("index/")
    }


def test_a_manifest_with_a_bridge_survives_its_bytes_and_one_without_names_none(serving, bridged):
    data = bridged.to_bytes()
    assert read_manifest(data, release_id=bridged.release_id) == bridged
    assert json.loads(data)["bridge"].keys() == {
        "index_encoder", "index_dimension", "kind", "map", "fitted_on", "recall", "forced"
    }  # fmt: skip
    assert "bridge" not in json.loads(serving.to_bytes())


def test_the_same_folders_make_the_same_release(store, serving, first, bridged, tmp_path):
    assert publish_bridge(store, serving, first, tmp_path / "bridged") == bridged


def test_its_folder_says_which_encoder_made_the_index(store, serving, bridged, tmp_path):
    materialise(store, bridged.release_id, tmp_path / "folder")
    assert (tmp_path / "folder" / "index" / "index.json").read_bytes() == index_json(serving)
    assert (tmp_path / "folder" / "bridge" / "map.safetensors").is_file()


def test_a_flipped_map_is_found_by_its_name_and_never_promoted_back_to(store, bridged, tmp_path):
    promote(store, "production", bridged.release_id, **SAID)
    rollback(store, "production", **SAID)
    flip(store, bridged.bridge.map.digest)
    (finding,) = verify_release(store, bridged.release_id)
    assert finding.thing == f"release {bridged.release_id}: bridge/map.safetensors"
    with pytest.raises(IntegrityError, match=bridged.bridge.map.digest):
        materialise(store, bridged.release_id, tmp_path / "folder")
    with pytest.raises(IntegrityError, match=bridged.bridge.map.digest):
        rollback(store, "production", to=bridged.release_id, **SAID)


def test_rollback_goes_back_to_the_old_encoder_with_its_own_index(store, serving, bridged):
    promote(store, "production", bridged.release_id, **SAID)
    assert rollback(store, "production", **SAID).stable == serving.release_id


def test_the_full_release_replaces_it_and_its_rollback_passes_over_the_bridge(
    store, serving, first, bridged, tmp_path
):
    full = full_release(store, first, bridged, tmp_path)
    promote(store, "production", bridged.release_id, **SAID)
    promote(store, "production", full.release_id, expected_stable=bridged.release_id, **SAID)
    assert full.lineage == bridged.lineage
    assert rollback(store, "production", **SAID).stable == serving.release_id


def test_the_full_release_that_was_compared_with_the_old_champion_replaces_the_bridge(
    store, serving, first, retrained, bridged, tmp_path
):
    promote(store, "production", bridged.release_id, **SAID)
    full, other = full_release(store, first, bridged, tmp_path), publish_folders(store, retrained)
    for release_id, champion in (
        (other.release_id, serving.release_id),  # another encoder than the bridge leads to
        (full.release_id, other.release_id),  # another champion than it leads from
    ):
        with pytest.raises(Refused, match=f"compared with {champion}, but production serves"):
            promote(store, "production", release_id, expected_stable=champion, **SAID)
    compared = serving.release_id
    moved = promote(store, "production", full.release_id, expected_stable=compared, **SAID)
    assert moved.stable == full.release_id


def test_rollback_of_the_index_goes_from_the_full_release_to_the_bridge(
    store, first, bridged, tmp_path
):
    full = full_release(store, first, bridged, tmp_path)
    promote(store, "production", bridged.release_id, **SAID)
    promote(store, "production", full.release_id, **SAID)
    assert rollback(store, "production", index=True, **SAID).stable == bridged.release_id


def full_release(store, first, bridged, tmp_path):
    """The turned encoder with an index of its own."""
    about = json.loads((first.index / "index.json").read_text())
    index = tmp_path / "index"
    index.mkdir()
    for path in first.index.iterdir():
        (index / path.name).write_bytes(path.read_bytes())
    about |= {"encoder": bridged.encoder.digest, "dimension": TURNED}
    (index / "index.json").write_text(json.dumps(about, indent=2, sort_keys=True) + "\n")
    encoder, vectors = tmp_path / "bridged" / "encoder", faiss.IndexFlatIP(TURNED)
    vectors.add(load_encoder(encoder).encode([f"word{i}" for i in range(40)]))
    faiss.write_index(vectors, str(index / "segment-0000.faiss"))
    return publish_folders(store, Folders(encoder, index, None, first.catalogue))


def test_a_reindex_with_the_new_encoder_is_refused_and_rows_may_be_left_out(
    store, serving, first, bridged, tmp_path
):
    with pytest.raises(Refused, match=f"{bridged.release_id} is bridged and cannot be reindexed"):
        refuse_bridged(bridged, to="reindexed")
    refuse_bridged(serving, to="reindexed")
    about = json.loads((first.index / "index.json").read_text())
    index = tmp_path / "index"
    index.mkdir()
    options = {"references": None, "catalogue": first.catalogue, "health": HEALTH}
    options |= {"provenance": {}, "created_at": NOON}
    (index / "index.json").write_text(json.dumps(about | {"encoder": bridged.lineage}))
    with pytest.raises(EncoderMismatch, match=f"by encoder {bridged.index_encoder}"):
        publish_successor(store, bridged, index=index, **options)
    (index / "index.json").write_bytes((first.index / "index.json").read_bytes())
    successor = publish_successor(store, bridged, index=index, **options)
    assert successor.bridge == bridged.bridge
    assert verify_release(store, successor.release_id) == []


def test_a_bridge_is_not_built_on_a_bridge_or_from_an_encoder_to_itself(
    store, serving, first, bridged, tmp_path
):
    with pytest.raises(Refused, match="is bridged and cannot be bridged again"):
        publish_bridge(store, bridged, first, tmp_path / "bridged")
    own = tmp_path / "own"
    own.mkdir()
    (own / "encoder").symlink_to(first.encoder, target_is_directory=True)
    write_bridge_folders(own, first.encoder, first.encoder)
    with pytest.raises(BadInput, match=f"which made the index of {serving.release_id}"):
        publish_bridge(store, serving, first, own)


def test_a_map_that_could_carry_code_or_leave_its_folder_is_refused(bridged):
    for path in ("map.pkl", "../map.safetensors", "/map.safetensors"):
        part = replace(bridged.bridge, map=replace(bridged.bridge.map, path=path))
        wrong = replace(bridged, bridge=part).named()
        with pytest.raises(IntegrityError, match=r"unsafe path|can carry code"):
            read_manifest(wrong.to_bytes(), release_id=wrong.release_id)


def test_a_manifest_that_bridges_an_encoder_to_itself_is_refused(bridged):
    part = replace(bridged.bridge, index_encoder=bridged.encoder.digest)
    wrong = replace(bridged, bridge=part).named()
    with pytest.raises(IntegrityError, match="to itself"):
        read_manifest(wrong.to_bytes(), release_id=wrong.release_id)


def test_a_recall_outside_of_zero_to_one_is_refused_by_its_name(bridged):
    wrong = replace(bridged, bridge=replace(bridged.bridge, recall=replace(RECALL, value=1.5)))
    with pytest.raises(IntegrityError, match=r"bridge\.recall\.value"):
        read_manifest(wrong.named().to_bytes(), release_id=wrong.named().release_id)


def test_an_encoder_that_could_run_code_is_refused(store, serving, first, bridged, tmp_path):
    encoder = tmp_path / "bridged" / "encoder"
    Path(encoder / "more.py").write_text("print('run me')")
    with pytest.raises(BadInput, match=r"more\.py, which can carry code"):
        publish_bridge(store, serving, first, tmp_path / "bridged")
