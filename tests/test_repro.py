"""`perennial snapshot` and `dvc repro` on a laptop: a clean clone, no server, every byte again."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small import CHECKOUT, STAGES, write_params

from tasks.telemetry import OFF

pytestmark = pytest.mark.slow


class Laptop:
    """A clean clone with small params, and a company's home beside it."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root = root
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PERENNIAL_", "GIT_"))}
        person = {f"GIT_{role}_{what}": "a@b.c" for role in ("AUTHOR", "COMMITTER")
                  for what in ("NAME", "EMAIL")}  # fmt: skip
        self.environment = kept | OFF | person | {"PERENNIAL_HOME": str(home), "PATH": path}

    def run(self, *command: str) -> str:
        """stdout of a command that succeeds."""
        done = subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def dvc(self, *arguments: str) -> str:
        return self.run("dvc", *arguments)


@pytest.fixture(scope="module")
def laptop(company, tmp_path_factory) -> Laptop:
    root = tmp_path_factory.mktemp("laptop") / "checkout"
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout.split("\0")[:-1]
    for name in tracked:
        if (CHECKOUT / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, root / name)
    laptop = Laptop(root, company)
    write_params(root / "params.yaml")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "a clone"]):
        laptop.run("git", *command)
    laptop.run(sys.executable, "-m", "perennial.cli", "snapshot")
    said = laptop.dvc("repro")
    assert all(f"Running stage '{stage}'" in said for stage in STAGES)
    return laptop


def test_a_repro_leaves_nothing_in_the_checkout_but_its_lock(laptop):
    assert laptop.run("git", "status", "--porcelain").split() == ["??", "dvc.lock"]


def test_a_second_repro_runs_nothing(laptop):
    before = (laptop.root / "dvc.lock").read_bytes()
    assert "Running stage" not in laptop.dvc("repro")
    assert (laptop.root / "dvc.lock").read_bytes() == before
    assert "up to date" in laptop.dvc("status")


def test_a_forced_repro_of_an_equal_snapshot_gives_the_same_bytes(laptop):
    before = (laptop.root / "dvc.lock").read_bytes()
    shutil.rmtree(laptop.root / "work")
    laptop.run(sys.executable, "-m", "perennial.cli", "snapshot")
    said = laptop.dvc("repro", "-f")
    assert all(f"Running stage '{stage}'" in said for stage in STAGES)
    assert (laptop.root / "dvc.lock").read_bytes() == before


def test_metrics_params_and_plots_answer(laptop):
    laptop.run("git", "add", "dvc.lock")
    laptop.run("git", "commit", "-qm", "the first result")
    metrics = json.loads(laptop.dvc("metrics", "show", "--json"))[""]["data"]
    assert set(metrics) == {
        f"artifacts/{stage}/{'metrics' if stage == 'evaluate' else 'summary'}.json"
        for stage in STAGES
    }
    candidate = metrics["artifacts/evaluate/metrics.json"]["data"]["candidate"]
    assert 0 < candidate["ndcg@10"] <= 1

    params = laptop.root / "params.yaml"
    whole = params.read_text()
    assert "epochs: 2" in whole
    params.write_text(whole.replace("epochs: 2", "epochs: 3"))
    assert json.loads(laptop.dvc("params", "diff", "--json")) == {
        "params.yaml": {"train.epochs": {"old": 2, "new": 3, "diff": 1}}
    }
    said = laptop.dvc("repro")
    ran = [stage for stage in STAGES if f"Running stage '{stage}'" in said]
    assert ran == ["train", "index", "evaluate"]
    changed = json.loads(laptop.dvc("metrics", "diff", "--json"))
    assert changed["artifacts/train/summary.json"]["epochs"] == {"old": 2, "new": 3, "diff": 1}

    laptop.dvc("plots", "show")
    page = (laptop.root / "dvc_plots" / "index.html").read_text()
    for title in ("Training loss", "Recall by k", "Gain per held-out query"):
        assert title in page
    laptop.dvc("plots", "diff")
    params.write_text(whole)
    assert "Running stage" not in laptop.dvc("repro"), "the first result comes from the cache"
    assert laptop.run("git", "status", "--porcelain") == ""


def test_a_clean_clone_elsewhere_pulls_every_byte_and_runs_nothing(
    laptop, tmp_path, s3_store, s3_server, monkeypatch
):
    config = tmp_path / "aws"  # DVC reads no device, as the environment of our servers names
    config.touch()
    at_s3 = s3_server.environment() | {"AWS_CONFIG_FILE": str(config)}
    monkeypatch.setattr(laptop, "environment", laptop.environment | at_s3)
    remote = ("remote", "add", "--local", "--default", "perennial")
    address = f"s3://{s3_server.new_bucket()}/dvc"
    laptop.dvc(*remote, address)
    laptop.dvc("add", "snapshot")
    laptop.dvc("push")
    laptop.run("git", "add", "snapshot.dvc", "dvc.lock")
    laptop.run("git", "commit", "-qm", "what was frozen, and what came of it")
    assert laptop.run("git", "status", "--porcelain") == ""

    clone = Laptop(tmp_path / "clone", tmp_path / "an empty home")
    clone.environment |= at_s3
    laptop.run("git", "clone", "-q", str(laptop.root), str(clone.root))
    clone.dvc(*remote, address)
    clone.dvc("pull")
    assert "Running stage" not in clone.dvc("repro")
    assert clone.run("git", "status", "--porcelain") == ""
    ours, theirs = ({p.relative_to(root): p.read_bytes() for folder in ("snapshot", "artifacts")
                     for p in (root / folder).rglob("*") if p.is_file()}
                    for root in (laptop.root, clone.root))  # fmt: skip
    champion = [path for path in ours if path.is_relative_to("snapshot/champion/encoder")]
    assert any(path.suffix == ".safetensors" for path in champion)
    assert ours == theirs
    for path in clone.root.glob(".dvc/config*"):
        assert at_s3["AWS_SECRET_ACCESS_KEY"] not in path.read_text()


def test_a_grid_of_params_is_run_and_shown_beside_what_is_there(laptop):
    laptop.run("git", "add", "dvc.lock")
    laptop.dvc("add", "snapshot")
    laptop.run("git", "add", "snapshot.dvc")
    laptop.run("git", "commit", "-qm", "before the experiments", "--allow-empty")
    grid = ("--set-param", "train.margin=0.2,0.4", "--set-param", "train.epochs=1")
    laptop.dvc("exp", "run", "--queue", *grid)
    laptop.dvc("exp", "run", "--run-all")
    (shown,) = json.loads(laptop.dvc("exp", "show", "--json"))[1:]
    (base, *_), found = [shown], [each["revs"][0] for each in shown["experiments"]]
    tried = {row["data"]["params"]["params.yaml"]["data"]["train"]["margin"]: row for row in found}
    assert set(tried) == {0.2, 0.4}
    metrics = "artifacts/evaluate/metrics.json"
    scores = {
        margin: row["data"]["metrics"][metrics]["data"]["candidate"]["ndcg@10"]
        for margin, row in tried.items()
    }
    assert all(0 < score <= 1 for score in scores.values())
    assert base["data"]["metrics"][metrics]["data"]["candidate"]["ndcg@10"] > 0
    assert "train.margin" in laptop.dvc("exp", "show", "--only-changed", "--csv")
    assert laptop.run("git", "status", "--porcelain") == ""


def test_a_teacher_whose_bytes_changed_runs_mine_again(laptop, tmp_path):
    params, teacher = laptop.root / "params.yaml", tmp_path / "teacher"
    whole = params.read_text()
    shutil.copytree(laptop.root / "snapshot" / "champion" / "encoder", teacher)
    assert "teacher: snapshot/champion/encoder" in whole
    params.write_text(whole.replace("teacher: snapshot/champion/encoder", f"teacher: {teacher}"))
    mine = ("repro", "--single-item", "mine")
    assert "Running stage 'mine'" in laptop.dvc(*mine)
    assert "Running stage" not in laptop.dvc(*mine)
    (teacher / "README.md").write_text("The same teacher, after one more lesson.")
    assert "Running stage 'mine'" in laptop.dvc(*mine)
    params.write_text(whole)
    assert "Running stage" not in laptop.dvc("repro")
