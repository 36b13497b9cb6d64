"""What a runbook tells somebody to type at night works: each command is run, in its order."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perennial.cli import main
from perennial.data.schema import TABLES
from perennial.release.publishing.publish import promote
from perennial.release.stores.local import LocalStore

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_release import NOON, fast_folder, publish_folders, write_folders

ROOT = Path(__file__).parents[2]
RUNBOOKS = sorted((ROOT / "infra" / "runbooks").glob("*.md"))
_TYPED = re.compile(r"`((?:[A-Z_]+=\S+ )?(?:perennial|python -m|curl) [^`]+)`")
_SAID = re.compile(r"\.\.\.|…")
# What the tiny world refuses, and how; all else ends with 0.
REFUSED = {
    "perennial resume": "is not on hold",
    "perennial rollout pause": "rolls out",
    "perennial rollout plan": "sessions",
    "perennial import marks": "FILE",
}


def typed(path):
    return _TYPED.findall(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Three lineages, the oldest first, of two indexes each."""
    found = []
    for day in range(6):
        tag = f"release{day}"
        place = tmp_path_factory.mktemp(tag)
        found.append(write_folders(place, lineage=1 + day // 2, tag=tag, day=day))
    return found


@pytest.fixture
def world(folders, monkeypatch):
    """What stands for the runbooks' placeholders, in a home whose production was swapped."""
    for name in ("STORE", "SOURCE", "RUNS", "CACHE", "SIGNING_KEY"):
        monkeypatch.delenv(f"PERENNIAL_{name}", raising=False)
    with fast_folder() as place:
        monkeypatch.setenv("PERENNIAL_HOME", str(place / "home"))
        monkeypatch.chdir(ROOT)
        store = LocalStore(place / "home" / "store")
        ids = [publish_folders(store, each).release_id for each in folders]
        for release_id in ids:
            promote(store, "production", release_id, now=NOON, why="better", who="test")
        shutil.copytree(place / "home" / "store", place / "copy")
        (place / "home" / "source").mkdir()
        rows = [
            {"doc_id": f"other-{n}", "title": f"word{n}", "text": f"word{n}", "updated_at": NOON}
            for n in range(30)
        ]
        catalogue = pa.Table.from_pylist(rows, schema=TABLES["catalogue"])
        pq.write_table(catalogue, place / "home" / "source" / "catalogue.parquet")
        filled = {"ID": "release5-7", "A": ids[-2], "B": ids[-1], "COPY": str(place / "copy")}
        yield filled | {"NEW": str(place / "new"), "FOLDER": str(folders[-1].encoder)}


def arguments_of(command, world):
    """(environment, words) with the placeholders filled in."""
    words = [_SAID.sub("said", word) for word in shlex.split(command)]
    environment = {}
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        environment[name] = world.get(value, value)
    return environment, [world.get(word, word) for word in words[1:]]


@pytest.mark.slow
@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_each_command_of_a_runbook_does_what_it_says(path, world, monkeypatch, capsys):
    for command in typed(path):
        if "perennial" not in shlex.split(command)[:2]:
            continue
        environment, arguments = arguments_of(command, world)
        with monkeypatch.context() as with_it:
            for name, value in environment.items():
                with_it.setenv(name, value)
            code = main(arguments)
        said = capsys.readouterr()
        refused = [words for verb, words in REFUSED.items() if verb in command]
        if code == 0 or not refused:
            assert code == 0, (command, said.err)
        else:
            assert code in (1, 2) and refused[0] in said.out + said.err, (command, said.err)


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_flows_and_addresses_of_a_runbook_exist(path):
    app = (ROOT / "perennial" / "serving" / "http" / "app.py").read_text(encoding="utf-8")
    for command in typed(path):
        words = shlex.split(command)
        if words[0] == "python":
            module = ROOT.joinpath(*words[2].split(".")).with_suffix(".py")
            for option in (word for word in words[3:] if word.startswith("--")):
                assert f'"{option}"' in module.read_text(encoding="utf-8"), command
        elif words[0] == "curl":
            address = next(word for word in words if word.startswith("http:"))
            assert f'"/{address.rpartition("/")[2]}"' in app, command


def test_runbooks_name_only_files_parameters_and_variables_that_exist():
    params = (ROOT / "params.yaml").read_text(encoding="utf-8")
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for room in ("perennial", "tasks", "flows", "expectations")
        for path in (ROOT / room).rglob("*.py")
    )
    for path in RUNBOOKS:
        text = path.read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)]+)\)", text):
            assert (path.parent / link).exists(), (path.name, link)
        for variable in re.findall(r"\b(PERENNIAL_[A-Z_]+)\b", text):
            assert f'"{variable}"' in code, (path.name, variable)
        for section, name in re.findall(r"`([a-z]+)\.([a-z_]+)(?:\[\]\.\w+)?`", text):
            body = params.partition(f"\n{section}:")[2]
            assert re.search(rf"^  {name}:", re.split(r"\n(?=\w)", body)[0], re.M), (
                path.name,
                f"{section}.{name}",
            )
    named = set(re.findall(r"\]\((infra/runbooks/[^)]+)\)", (ROOT / "README.md").read_text()))
    assert {Path(each).name for each in named} <= {path.name for path in RUNBOOKS}


def test_a_test_of_the_commands_finds_them():
    found = [command for path in RUNBOOKS for command in typed(path)]
    assert len(found) > 60
    assert {shlex.split(each)[0] for each in found} >= {"perennial", "python", "curl"}
