"""What a catalogue changed, against its slow, obvious twin."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.errors import IntegrityError
from perennial.index.changes import HeldRows, find_changes, read_held

NAMES = st.sampled_from("abcdefgh")
TEXTS = st.sampled_from(["one", "two", "three"])
SLICES = st.sampled_from([None, "", "guide"])
ROW = st.tuples(NAMES, TEXTS, SLICES, st.booleans())


def held(rows):
    columns = [pa.array([row[i] for row in rows], pa.string()) for i in range(3)]
    return HeldRows(*columns, np.array([row[3] for row in rows], dtype=bool))


def compared(catalogue, segments):
    names = sorted(catalogue)
    columns = [pa.array([catalogue[n][i] for n in names], pa.string()) for i in range(2)]
    return names, find_changes(pa.array(names, pa.string()), *columns, [held(s) for s in segments])


@given(
    st.dictionaries(NAMES, st.tuples(TEXTS, SLICES)),
    st.lists(st.lists(ROW, max_size=6), max_size=4),
)
def test_after_the_changes_the_index_holds_exactly_the_catalogue(catalogue, segments):
    names, changes = compared(catalogue, segments)
    live = [row for rows in segments for row in rows if not row[3]]
    before = {row[0] for row in live}
    texts = {row[:2] for row in live}
    after = []
    for rows, buried in zip(segments, changes.dead, strict=True):
        assert not any(rows[i][3] for i in buried), "nobody dies twice"
        after += [r[:3] for i, r in enumerate(rows) if not r[3] and i not in buried]
    stayed = list(after)
    after += [(names[row], *catalogue[names[row]]) for row in changes.fresh]
    key = str
    wanted = sorted(((name, *value) for name, value in catalogue.items()), key=key)
    assert sorted(after, key=key) == wanted
    # and no row moves without need
    kept = {row[:3] for row in live} & {(name, *value) for name, value in catalogue.items()}
    assert set(stayed) == kept and len(stayed) == len(kept)
    chosen = {kind: [names[row] for row in getattr(changes, kind)] for kind in kinds}
    assert all(name not in before for name in chosen["added"])
    assert all((name, catalogue[name][0]) in texts for name in chosen["resliced"])
    for name in chosen["changed"]:
        assert name in before and (name, catalogue[name][0]) not in texts
    for name, (segment, row) in zip(chosen["resliced"], changes.origins, strict=True):
        found = segments[segment][row]
        assert found[:2] == (name, catalogue[name][0]) and not found[3]
    assert set(changes.removed) == before - catalogue.keys()
    assert changes.live == len(live)
    assert changes.is_empty == (sorted((row[:3] for row in live), key=key) == wanted)


kinds = ("added", "changed", "resliced")


def test_a_segment_written_before_there_were_slices_has_none(tmp_path):
    table = pa.table({"doc_id": ["a", "b"], "text_digest": ["one", "two"]})
    pq.write_table(table, tmp_path / "s.parquet")
    np.save(tmp_path / "t.npy", np.array([1], dtype=np.uint32))
    rows = read_held(tmp_path, ids="s.parquet", tombstones="t.npy")
    assert rows.slices.to_pylist() == [None, None]
    assert rows.dead.tolist() == [False, True]


@pytest.mark.parametrize("broken", ["ids", "tombstones", "beyond", "columns"])
def test_damaged_files_are_one_sentence(tmp_path, broken):
    pq.write_table(pa.table({"doc_id": ["a"], "text_digest": ["one"]}), tmp_path / "s.parquet")
    np.save(tmp_path / "t.npy", np.array([7 if broken == "beyond" else 0], dtype=np.uint32))
    if broken == "ids":
        (tmp_path / "s.parquet").write_bytes(b"PAR1 torn")
    elif broken == "tombstones":
        (tmp_path / "t.npy").write_bytes(b"torn")
    elif broken == "columns":
        pq.write_table(pa.table({"doc_id": ["a"]}), tmp_path / "s.parquet")
    with pytest.raises(IntegrityError, match="missing or damaged"):
        read_held(tmp_path, ids="s.parquet", tombstones="t.npy")
