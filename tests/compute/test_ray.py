"""Shards on a real Ray cluster: what comes back is what one process makes, whatever dies."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ray_cluster import QUIET, STORE_BYTES, end, ray_machines
from ray_driver import CHUNK, TEXTS, texts
from tiny_encoder import write_encoder

from perennial.model.encoder import load_encoder
from perennial.model.vectors import VectorCache

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
FILL = """
import sys
import numpy as np
from perennial.compute.cluster import RayCluster, joined
from perennial.compute.crew import Crew
class Zeros:
    def ready(self, folder):
        return lambda count: np.zeros(count, dtype=np.uint8)
with joined(sys.argv[1]):
    crew = Crew(RayCluster(Zeros(), {}, cpus=1), ahead=1, patience_seconds=600)
    print(sum(len(answer) for _, answer in crew.answers([(8_000_000,)] * 40)))
    crew.leave()
"""
# Ray reads its token when it is imported: joined() imports it.
TWICE = """
from perennial.compute.cluster import joined
for number in range(2):
    with joined(None):
        import ray
        print(ray.get(ray.remote(num_cpus=1)(lambda: number).remote()), flush=True)
"""


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def alone(encoder):
    """What this process makes of all texts at once."""
    return load_encoder(encoder).encode(texts())


@pytest.fixture(scope="module")
def machines():
    """Two machines of one CPU each: the first is the head."""
    with ray_machines(head_cpus=1) as found:
        found.add(cpus=1)
        yield found


@pytest.fixture
def start():
    """Starts a Python of its own; whatever a test starts ends with it."""
    started = []

    def one(*arguments, environment=None):
        tests = Path(__file__).parents[1]
        path = os.pathsep.join([str(tests.parent), str(tests)])
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=(environment or os.environ) | QUIET | {"PYTHONPATH": path},
        )
        started.append(process)
        return process

    yield one
    for process in started:
        end(process)
        process.communicate()


@pytest.fixture
def driver(start, machines, encoder, tmp_path):
    """Starts a process that has the texts embedded, and spends so many seconds at each chunk."""

    def one(*, seconds):
        given = ("-m", "ray_driver", encoder, tmp_path / "vectors", tmp_path / "made.npy", seconds)
        return start(*given, machines.address, environment=machines.environment)

    return one


def ended(process):
    said, problem = process.communicate(timeout=1000)
    assert process.returncode == 0, problem
    return said.splitlines()


def kept(encoder, vectors):
    """How many vectors a cache holds."""
    loaded = load_encoder(encoder)
    about = {"encoder_digest": loaded.digest, "dimension": loaded.dimension}
    with VectorCache.open(vectors, **about) as cache:
        return len(cache)


def test_a_driver_that_is_killed_goes_on_with_the_shards_that_it_lacks(
    driver, encoder, alone, tmp_path
):
    first = driver(seconds=0.3)
    for _ in range(5):
        assert first.stdout.readline() == f"{CHUNK}\n", first.communicate()
    first.send_signal(signal.SIGKILL)
    first.communicate()
    whole = kept(encoder, tmp_path / "vectors")
    assert 5 * CHUNK <= whole < TEXTS and whole % CHUNK == 0, "whole shards only"
    said = ended(driver(seconds=0))
    assert f"asked for {(TEXTS - whole) // CHUNK}" in said
    np.testing.assert_array_equal(np.load(tmp_path / "made.npy"), alone)


def test_four_times_what_the_object_store_holds_goes_through_it(machines, start):
    said = ended(start("-c", FILL, machines.address, environment=machines.environment))
    assert int(said[-1]) == 320_000_000 > 3 * STORE_BYTES


def test_a_machine_that_is_killed_costs_no_shard_and_changes_no_byte(
    machines, driver, alone, tmp_path
):
    ours = driver(seconds=0.3)
    for _ in range(5):
        assert ours.stdout.readline() == f"{CHUNK}\n", ours.communicate()
    machines.until_it_works(machines.started[1])
    assert ours.poll() is None
    machines.kill(machines.started[1])
    said = ended(ours)
    assert said.count(f"{CHUNK}") == TEXTS // CHUNK - 5
    assert f"asked for {TEXTS // CHUNK}" in said
    np.testing.assert_array_equal(np.load(tmp_path / "made.npy"), alone)


def test_without_an_address_it_starts_its_own_and_leaves_nothing_at_home(
    start, encoder, alone, tmp_path
):
    environment = os.environ | {"HOME": str(tmp_path)}
    given = ("-m", "ray_driver", encoder, tmp_path / "vectors", tmp_path / "made.npy", 0)
    ended(start(*given, environment=environment))
    np.testing.assert_array_equal(np.load(tmp_path / "made.npy"), alone)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.npy", "vectors"]


def test_an_address_where_nobody_is_is_one_sentence(start, encoder, tmp_path):
    given = ("-m", "ray_driver", encoder, tmp_path / "vectors", tmp_path / "made.npy", 0)
    problem = start(*given, "127.0.0.1:1").communicate(timeout=1000)[1]
    assert "BadInput: RAY_ADDRESS is 127.0.0.1:1, where no Ray cluster" in problem


def test_a_process_starts_a_cluster_of_its_own_as_often_as_it_needs_one(start):
    assert ended(start("-c", TWICE)) == ["0", "1"]
