"""Files of every tested type are what their index.json says, or are refused before they leave."""

import faiss
import pytest
from tiny_index import DIMENSION, FACTORIES, ROWS, build, grow, named, unit

from perennial.errors import IntegrityError
from perennial.index.description import read_description
from perennial.index.fit import check_segment_files


@pytest.mark.parametrize("factory", FACTORIES)
def test_what_was_built_and_grown_fits_and_a_row_more_does_not(tmp_path, factory):
    count = ROWS if factory.endswith("PQ8") else 400
    build(tmp_path, unit(count), named(count), factory=factory, recall_target=0.5)
    grow(tmp_path, unit(20, seed=1), named(20, start=count))
    segments = read_description(tmp_path)["segments"]
    assert len(segments) == 2
    check_segment_files(tmp_path, segments, dimension=DIMENSION)
    for number in range(2):
        wrong = [row | {"rows": row["rows"] + (i == number)} for i, row in enumerate(segments)]
        with pytest.raises(IntegrityError, match=segments[number]["vectors"]):
            check_segment_files(tmp_path, wrong, dimension=DIMENSION)


def test_files_that_lie_elsewhere_are_not_looked_at_and_torn_ones_are_named(tmp_path):
    build(tmp_path, unit(40), named(40))
    segments = read_description(tmp_path)["segments"]
    check_segment_files(tmp_path / "elsewhere", segments, dimension=DIMENSION)
    path = tmp_path / segments[0]["vectors"]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(IntegrityError, match=path.name):
        check_segment_files(tmp_path, segments, dimension=DIMENSION)


@pytest.mark.parametrize("metric", [faiss.METRIC_L2, faiss.METRIC_INNER_PRODUCT])
def test_another_dimension_or_metric_is_refused(tmp_path, metric):
    build(tmp_path, unit(40), named(40))
    segments = read_description(tmp_path)["segments"]
    other = faiss.IndexFlat(DIMENSION // 2, metric)
    other.add(unit(40, dimension=DIMENSION // 2))
    faiss.write_index(other, str(tmp_path / segments[0]["vectors"]))
    says = "metric 1" if metric == faiss.METRIC_L2 else f"{DIMENSION // 2} dimensions"
    with pytest.raises(IntegrityError, match=says):
        check_segment_files(tmp_path, segments, dimension=DIMENSION)
