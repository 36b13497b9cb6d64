import time

import numpy as np
import psutil
import pytest
from tiny_release import fast_folder

from infra.bench.pauses import pauses_watched, undisturbed
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


def test_a_query_is_disturbed_by_when_it_was_due_alone():
    pauses = np.array([[10.0, 10.5], [2.0, 2.02], [2.01, 2.03]])  # of two watchers, say
    due = np.array([0.0, 1.99, 1.996, 2.05, 2.09, 9.99, 10.54, 10.56])
    kept = [True, True, False, False, True, True, False, True]
    assert undisturbed(due, pauses).tolist() == kept
    assert undisturbed(due, np.zeros((0, 2))).all()


@pytest.mark.slow
def test_a_machine_that_stands_still_is_noticed(tmp_path):
    with pauses_watched(tmp_path / "pauses") as pauses:
        watcher = next(
            p for p in psutil.Process().children() if "infra.bench.pauses" in p.cmdline()
        )
        time.sleep(1.0)
        began = time.perf_counter()
        watcher.suspend()
        time.sleep(0.2)
        watcher.resume()
        ended = time.perf_counter()
        time.sleep(0.1)
        found = pauses()
    assert any(began - 0.05 < a < ended and b - a > 0.15 for a, b in found)
