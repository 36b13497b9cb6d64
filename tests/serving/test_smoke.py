"""The smoke test of a candidate, in this process: it loads, it asks both, it refuses no answers."""

import pytest
from tiny_release import write_folders

from perennial.errors import EncoderMismatch
from perennial.serving.smoke import SIDES, smoke

QUERIES = [f"word{i}" for i in range(12)]


@pytest.fixture
def sides(tmp_path):
    found = {}
    for lineage, side in enumerate(SIDES):
        folders = write_folders(tmp_path / side, lineage=lineage)
        found[side] = {"encoder": str(folders.encoder), "index": str(folders.index)}
    return found


def test_both_sides_answer_every_query_and_each_answer_is_timed(sides):
    found = smoke(sides, [*QUERIES, "unheard"], k=5)
    assert found["answered"]["champion"] >= len(QUERIES)
    assert {side: len(each) for side, each in found["milliseconds"].items()} == {
        "champion": 13,
        "candidate": 13,
    }
    assert all(ms > 0 for each in found["milliseconds"].values() for ms in each)
    assert all(seconds > 0 for seconds in found["load_seconds"].values())


def test_a_candidate_with_another_encoders_index_is_refused(sides):
    mixed = sides | {"candidate": sides["candidate"] | {"index": sides["champion"]["index"]}}
    with pytest.raises(EncoderMismatch):
        smoke(mixed, QUERIES, k=5)
