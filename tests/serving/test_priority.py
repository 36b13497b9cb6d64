import gc
import os
import sys
import threading

import pytest

from perennial.serving.priority import put_queries_first, step_back


@pytest.fixture
def as_before(monkeypatch):
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)
    gc.unfreeze()


def test_a_serving_process_hands_the_interpreter_over_soon_and_never_collects_what_it_loaded(
    as_before,
):
    put_queries_first()
    assert sys.getswitchinterval() < 0.001
    assert gc.get_freeze_count() > 0
    assert os.environ.pop("TOKENIZERS_PARALLELISM") == "false"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority per thread")
def test_only_the_thread_that_steps_back_runs_behind_the_others():
    before, found = os.getpriority(os.PRIO_PROCESS, 0), []

    def work():
        step_back()
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found[0] > before or before >= found[0] == 19
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
