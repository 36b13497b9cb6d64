"""Every tested type at every width, those that can be built; what serves is among them."""

import pytest

from perennial.errors import BadInput
from perennial.index.factory import Factory
from perennial.index.variants import Variant, variants

SERVING = Factory("IVF", lists=77)


def test_a_large_index_is_tried_in_every_type_and_at_every_halving():
    found, left_out = variants(rows=200_000, dimension=384, widths=(), serving=SERVING)
    assert left_out == []
    assert {each.dimension for each in found} == {384, 192, 96, 48}
    names = {each.factory.name for each in found if each.dimension == 96}
    assert names == {
        "Flat", "IVF1024,Flat", "IVF1024,SQ8", "IVF1024,PQ24", "IVF1024,PQ12", "HNSW32",
    }  # fmt: skip
    assert [each for each in found if each.factory == SERVING] == [Variant(384, SERVING)]
    assert len(set(found)) == len(found)


def test_what_so_few_rows_cannot_train_is_left_out_and_said():
    found, left_out = variants(rows=150, dimension=16, widths=[16, 8], serving=Factory("Flat"))
    assert {each.factory.name for each in found} == {"Flat", "IVF3,Flat", "IVF3,SQ8"}
    assert {each.dimension for each in found} == {16, 8}
    assert "HNSW32 needs 5,000 documents" in left_out
    assert any(each.startswith("IVF3,PQ") and "9,984" in each for each in left_out)


@pytest.mark.parametrize("width", [0, 17])
def test_a_width_that_the_vectors_do_not_have_is_refused(width):
    with pytest.raises(BadInput, match="--dimension"):
        variants(rows=150, dimension=16, widths=[width], serving=SERVING)
