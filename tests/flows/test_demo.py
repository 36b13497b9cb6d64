"""The demo: it takes only a folder of its own, and counts what it took."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.demo import MARK, claim, stay_at_home
from perennial.errors import BadInput
from perennial.workspace import Places
from tasks.memory import PeakMemory, tree_megabytes
from tasks.totals import RunningTotals

from .conftest import CHECKOUT


def test_a_folder_that_no_demo_made_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match="holds what no demo made"):
        claim(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_demo_never_leaves_its_folder_whatever_the_environment_names(tmp_path, monkeypatch):
    real = tmp_path / "real"
    for name in ("STORE", "SOURCE", "RUNS", "CACHE"):
        monkeypatch.setenv(f"PERENNIAL_{name}", str(real / name.lower()))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://tracker.example")
    monkeypatch.setenv("PERENNIAL_HOME", str(tmp_path / "demo"))
    ignored = stay_at_home(os.environ)
    assert len(ignored) == 5 and "MLFLOW_TRACKING_URI" in ignored
    places = Places.from_environment()
    for place in (places.store, places.source, places.runs, places.cache):
        assert Path(place).is_relative_to(tmp_path / "demo")
    assert places.tracking_uri.startswith(f"sqlite:///{tmp_path}/demo/")
    assert stay_at_home(os.environ) == []


def test_the_screen_says_which_variables_the_demo_ignores(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")  # so that it ends before it begins
    environment = {**os.environ, "PERENNIAL_HOME": str(tmp_path), "PERENNIAL_STORE": "/real/store"}
    command = [sys.executable, "-m", "flows.demo"]
    done = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "ignores PERENNIAL_STORE." in done.stdout


def test_a_demo_that_ended_is_begun_anew_and_one_that_was_killed_continues(tmp_path):
    home = tmp_path / "demo"
    claim(home)
    (home / "source").mkdir()
    claim(home)
    assert (home / "source").is_dir()
    (home / "summary.json").write_text("{}")
    claim(home)
    assert [path.name for path in home.iterdir()] == [MARK]


def test_a_continued_demo_counts_what_it_took_before_it_was_killed(tmp_path):
    claim(tmp_path)
    first = RunningTotals(tmp_path / MARK, clock=iter([1000.0, 1100.0]).__next__)
    first.add("import", 30.0)
    first.save(peak_memory_mb=900.0)
    claim(tmp_path)
    again = RunningTotals(tmp_path / MARK, clock=iter([5.0, 25.0, 25.0]).__next__)
    again.add("import", 1.0)
    again.add("simulate", 2.0)
    again.save(peak_memory_mb=100.0)
    assert again.seconds == 120.0
    assert again.verbs == {"import": 31.0, "simulate": 2.0}
    assert json.loads((tmp_path / MARK).read_text()) == {
        "format_version": 1,
        "made_by": "flows.demo",
        "seconds": 120.0,
        "verbs": {"import": 31.0, "simulate": 2.0},
        "peak_memory_mb": 900.0,
    }


def test_the_peak_counts_what_a_child_held_for_a_moment():
    program = "held = bytearray(200 * 2**20)\nheld[::4096] = b'x' * len(held[::4096])\nimport time"
    with PeakMemory(sample_seconds=0.02) as memory:
        before = tree_megabytes()
        subprocess.run([sys.executable, "-c", program + "\ntime.sleep(0.5)"], check=True)
    assert memory.megabytes - before > 190
