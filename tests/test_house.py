"""The house is as the README draws it: names, floors, inputs, and no trace of one machine."""

import ast
import importlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import grimp
import pytest
import yaml

import perennial.errors
from perennial.params.gate import Gate
from perennial.params.whole import Params
from perennial.quality.metrics import METRICS
from perennial.workspace import Workspace

ROOT = Path(__file__).parents[1]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
STAGES = ["validate", "judge", "mine", "audit", "train", "index", "evaluate"]
PLACES = {"compute"}  # says where, not what: another place gives the same bytes, and no new run
TRACKED = subprocess.run(
    ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
).stdout.split("\0")[:-1]


def sections() -> set[str]:
    return {field.alias or name for name, field in Params.model_fields.items()}


def entry(stage: str) -> str:
    outside = {"validate": "expectations.__main__", "audit": "expectations.audit"}
    return outside.get(stage, f"perennial.stages.{stage}")


@pytest.mark.parametrize("stage", STAGES)
def test_one_word_names_a_stage_everywhere(stage):
    assert stage in sections(), "a section of params.yaml"
    assert PIPELINE[stage]["cmd"] == f"python -m {entry(stage).removesuffix('.__main__')}"
    outs = [*PIPELINE[stage].get("outs", []), *PIPELINE[stage]["metrics"]]
    assert all(out.startswith(f"artifacts/{stage}/") for out in outs)
    assert Workspace(Path("w")).artifacts(stage) == Path("w/artifacts") / stage
    task = getattr(importlib.import_module("tasks.stages"), stage)
    assert task.name == stage, "a Prefect task"


def test_the_pipeline_has_these_stages_in_this_order():
    assert list(PIPELINE) == STAGES


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph("perennial", "expectations", cache_dir=None)


@pytest.mark.parametrize("stage", STAGES)
def test_dvc_knows_every_module_that_a_stage_imports(stage, imports):
    real = {entry(stage), *imports.find_upstream_modules(entry(stage))}
    wanted = {f"{module.replace('.', '/')}.py" for module in real}
    declared = {dep for dep in PIPELINE[stage]["deps"] if dep.endswith(".py")}
    assert declared == wanted


@pytest.mark.parametrize("stage", STAGES)
def test_dvc_knows_every_section_that_a_stage_reads(stage):
    modules = [d for d in PIPELINE[stage]["deps"] if d.endswith(".py") and "params" not in d]
    text = "\n".join((ROOT / module).read_text() for module in modules)
    read = {name.rstrip("_") for name in re.findall(r"\bparams\.([a-z_]+)", text)}
    declared = {name.split(".")[0] for name in PIPELINE[stage]["params"]}
    assert read & sections() - PLACES == declared


def test_every_parameter_says_what_it_is_for():
    bare = []
    section_comment = False
    for line in (ROOT / "params.yaml").read_text().splitlines():
        if re.match(r"\w", line):
            section_comment = "#" in line
        elif re.match(r"  \w", line) and "#" not in line and not section_comment:
            bare.append(line.strip())
    # These names are the field's own words, and say it themselves.
    known = {"seed", "epochs", "learning_rate", "sessions", "days", "dimension", "batch_queries"}
    known |= {"confidence", "margin"}
    assert [line for line in bare if line.split(":")[0] not in known] == []


def test_the_gate_knows_the_metrics_that_evaluate_measures():
    assert get_args(Gate.model_fields["metric"].annotation) == METRICS


def test_the_error_tree_in_the_docstring_is_the_real_one():
    drawn = re.findall(r"(\w+) +(\d+)\b", perennial.errors.__doc__ or "")
    real = {
        name: str(kind.exit_code)
        for name, kind in vars(perennial.errors).items()
        if isinstance(kind, type) and name != "PerennialError"
    }
    assert {name: code for name, code in drawn if name in real} == real


def test_no_pickle_and_no_mock_stands_in_the_code():
    for path in (p for p in TRACKED if p.endswith(".py")):
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            forbidden = {"pickle", "dill", "joblib", "shelve", "unittest.mock"}
            assert not forbidden & set(names), f"{path} imports {names}"


def test_the_repository_names_no_machine_and_no_registry():
    # Not behind a variable or a pattern: each workspace has a folder of that name.
    machine = re.compile(r"(?<![\w.*}])/(work|root|home/\w+)/")
    registry = re.compile(r"https?://[^ )\"]*(/simple(/|$)|\.whl)|--(extra-)?index-url|find-links")
    for path in TRACKED:
        if path.endswith((".py", ".yaml", ".md", ".txt", ".toml", "Makefile", "run")):
            text = (ROOT / path).read_text()
            if path != "tests/test_house.py":
                assert not machine.search(text), path
                assert not registry.search(text), path


def test_the_readme_names_only_commands_that_exist():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"\bmake ([a-z][a-z-]+)", readme)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    verbs = set(re.findall(r"^perennial ([a-z]+)", readme, re.MULTILINE))
    help_text = subprocess.run(
        [sys.executable, "-m", "perennial.cli", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert verbs, "the README shows the command line"
    for verb in verbs:
        assert re.search(rf"\b{verb}\b", help_text), verb
    for module in set(re.findall(r"python -m ([\w.]+)", readme)):
        assert importlib.util.find_spec(module), module
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", readme):
        assert (ROOT / link).exists(), link


def test_the_readme_draws_every_room():
    readme = (ROOT / "README.md").read_text()
    rooms = [p.parent.name for p in (ROOT / "perennial").glob("*/__init__.py")]
    for room in [*rooms, "flows", "tasks", "expectations", "infra", "tests"]:
        assert f"{room}/" in readme, room


def test_every_package_says_in_a_sentence_what_it_is_for():
    for path in (p for p in TRACKED if p.endswith(".py") and not p.startswith("tests/")):
        assert ast.get_docstring(ast.parse((ROOT / path).read_text())), path


@pytest.mark.slow
def test_each_stage_runs_with_nothing_but_its_declared_inputs(trained_workspace, tmp_path):
    """A stage that reads what dvc.yaml does not declare would serve a stale result one day."""
    for stage in STAGES:
        alone = tmp_path / stage
        shutil.copytree(ROOT / "perennial", alone / "perennial", ignore=only_inits)
        shutil.copytree(ROOT / "expectations", alone / "expectations", ignore=only_inits)
        shutil.copy(trained_workspace / "params.yaml", alone / "params.yaml")
        for dep in PIPELINE[stage]["deps"]:
            dep = resolved(dep)
            if (alone / dep).exists():  # teacher and base are both the champion's encoder
                continue
            home = ROOT if dep.startswith(("perennial/", "expectations/")) else trained_workspace
            (alone / dep).parent.mkdir(parents=True, exist_ok=True)
            if (home / dep).is_dir():
                shutil.copytree(home / dep, alone / dep)
            else:
                shutil.copy(home / dep, alone / dep)
        module = PIPELINE[stage]["cmd"].split()[-1]
        done = subprocess.run(
            [sys.executable, "-m", module], cwd=alone, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (stage, done.stderr)
        for out in [*PIPELINE[stage].get("outs", []), *PIPELINE[stage]["metrics"]]:
            assert (alone / out).exists(), out
            assert same_bytes(alone / out, trained_workspace / out), out


def resolved(dep: str) -> str:
    """A dependency that params.yaml names, such as ${mine.teacher}, as the path it is."""
    if not dep.startswith("${"):
        return dep
    section, _, name = dep[2:-1].partition(".")
    return str(yaml.safe_load((ROOT / "params.yaml").read_text())[section][name])


def only_inits(folder: str, names: list[str]) -> set[str]:
    return {n for n in names if n != "__init__.py" and not (Path(folder) / n).is_dir()} | {
        "__pycache__"
    }


def same_bytes(one: Path, other: Path) -> bool:
    if one.is_file():
        return one.read_bytes() == other.read_bytes()
    names = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    return names == sorted(p.relative_to(other) for p in other.rglob("*") if p.is_file()) and all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in names
    )


def test_everything_that_is_installed_is_pinned():
    def plain(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    lines = (ROOT / "constraints.txt").read_text().split()
    pinned = {plain(name) for name in (line.split("==")[0] for line in lines)}
    found = {plain(each.name) for each in importlib.metadata.distributions()}
    assert found <= pinned | {"perennial", "setuptools"}
