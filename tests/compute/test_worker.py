"""A worker whose results would differ from the asker's in the last bits does nothing."""

import faiss
import pytest
import torch

from perennial.compute.worker import Worker, versions
from perennial.errors import BadInput


class Doubling:
    def ready(self, folder):
        return lambda number: 2 * number


def test_a_worker_with_the_askers_versions_answers() -> None:
    worker = Worker(Doubling(), [])
    worker.ready(dict(versions()))
    assert worker.do(21) == 42


@pytest.mark.parametrize("name", ["device", "faiss", "numpy", "python", "torch"])
def test_a_worker_with_another_version_or_device_is_refused_and_both_are_named(name) -> None:
    problem = f"has {name} {versions()[name]} instead of other, so that its results would differ"
    with pytest.raises(BadInput) as refusal:
        Worker(Doubling(), []).ready(versions() | {name: "other"})
    assert problem in str(refusal.value)


def test_a_worker_that_lacks_a_library_of_the_asker_is_refused() -> None:
    with pytest.raises(BadInput, match="has words none instead of 7"):
        Worker(Doubling(), []).ready(versions() | {"words": "7"})


def test_the_device_is_the_one_that_torch_and_faiss_would_take() -> None:
    has_gpu = torch.cuda.is_available() or faiss.get_num_gpus() > 0
    assert versions()["device"] == ("cuda" if has_gpu else "cpu")
    assert versions()["faiss"] == faiss.__version__
