import pytest
from tiny_release import fast_folder

from infra.bench.swap_world import CLASSES, is_right
from infra.bench.swaps import load_rows

OLD, NEW = f"one-base-{CLASSES + 7}", f"one-7-{CLASSES + 7}"


@pytest.mark.parametrize(
    ("found", "generation", "right"),
    [
        ([OLD, "one-base-3"], 3 + CLASSES, False),  # 3 was replaced in that generation
        ([OLD, "one-103-3"], 3 + CLASSES, True),
        ([NEW, "one-base-3"], 7, True),
        ([OLD, "one-base-3"], 7, False),  # the answer itself is of an older release
        ([NEW, "one-6-6"], 7, False),  # what stands behind it is of another one
        ([OLD, "one-base-0"], 0, True),  # the first release replaced nothing
        (["other-base-107"], 0, False),
        (["one-base-3", OLD], 0, False),
        ([], 0, False),
    ],
)
def test_an_answer_that_is_mixed_or_wrong_is_found(found, generation, right):
    assert is_right(CLASSES + 7, found, tag="one", generation=generation) is right


@pytest.mark.slow
def test_every_swap_is_served_and_no_answer_is_wrong():
    with fast_folder() as folder:
        rows = {r["row"]: r for r in load_rows(folder, swaps=4, documents=400, pause=0.2)}
    (served,) = (row for name, row in rows.items() if name.startswith("swaps served"))
    assert (served["value"], served["ratio"]) == (4, 1)
    assert rows["answers that failed"]["holds"]
    assert rows["answers that were mixed or wrong"]["holds"]
