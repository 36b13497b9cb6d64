"""Whatever a person brings: one sentence says what to do, the champion serves, a re-run goes on.

Every case is met as a user meets it: by the command line and the stages as processes.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import COMPANY, build_world
from safetensors.numpy import load_file, save_file
from small import CHECKOUT, STAGES, module_of, write_params

from perennial.data.schema import LOG_TABLES
from perennial.model.digest import directory_digest

Answer = subprocess.CompletedProcess[str]


@dataclass
class User:
    """A person in a folder with params.yaml, whose PERENNIAL_HOME has a source and a champion."""

    folder: Path
    home: Path

    def python(self, *arguments: str, **options: Any) -> Answer:
        return subprocess.run(
            [sys.executable, *arguments], **self.place() | options, text=True, capture_output=True
        )

    def place(self) -> dict[str, Any]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PERENNIAL_")}
        environment = kept | {"PERENNIAL_HOME": str(self.home), "PYTHONPATH": str(CHECKOUT)}
        return {"cwd": self.folder, "env": environment}

    def perennial(self, *arguments: str, **options: Any) -> Answer:
        return self.python("-m", "perennial.cli", *arguments, **options)

    def stage(self, name: str, **options: Any) -> Answer:
        return self.python("-m", module_of(name), **options)

    def go(self, last: str) -> tuple[str, Answer]:
        """A snapshot and the stages in order up to `last`, as long as each succeeds."""
        step, answer = "snapshot", self.perennial("snapshot")
        for stage in STAGES[: STAGES.index(last) + 1] if last != "snapshot" else ():
            if answer.returncode:
                break
            step, answer = stage, self.stage(stage)
        return step, answer

    def channel(self) -> bytes:
        return (self.home / "store" / "channels" / "production.json").read_bytes()


def said(answer: Answer) -> str:
    """What was said on stderr: sentences that begin with the program's name, never a traceback.

    A stage's own remarks begin with its name (`train [`, `judge: `); they say how it went, not what
    is wrong.
    """
    remarks = tuple(stage + mark for stage in STAGES for mark in (": ", " ["))
    lines = [line for line in answer.stderr.splitlines() if not line.startswith(remarks)]
    assert "Traceback" not in answer.stderr, answer.stderr
    assert lines and lines[0].startswith("perennial: "), answer.stderr
    if "promises are broken" not in lines[0]:
        assert len(lines) == 1, answer.stderr
    return "\n".join(lines)


@pytest.fixture
def user(company, tmp_path) -> User:
    """Somebody with a healthy company of his own."""
    for name in ("source", "store"):
        shutil.copytree(company / name, tmp_path / "home" / name)
    write_params(tmp_path / "params.yaml")
    return User(tmp_path, tmp_path / "home")


def write_log(user: User, spoil: Callable[[Any], None]) -> None:
    """The healthy world's tables with a mistake, as the source's."""
    world = build_world(**COMPANY)
    labels = pq.read_table(user.home / "source" / "judgements.parquet").to_pandas()
    world.tables["judgements"] = labels
    spoil(world)
    world.write_source(user.home / "source")


def empty(table: str) -> Callable[[Any], None]:
    def spoil(world: Any) -> None:
        world.tables[table] = world.frame(table).iloc[:0]

    return spoil


def set_value(table: str, row: int, column: str, value: Any) -> Callable[[Any], None]:
    def spoil(world: Any) -> None:
        frame = world.frame(table)
        if value is not None and frame[column].isna().all():
            frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value

    return spoil


def copy_value(table: str, column: str) -> Callable[[Any], None]:
    def spoil(world: Any) -> None:
        world.frame(table).loc[1, column] = world.frame(table).loc[0, column]

    return spoil


def nan_score(world: Any) -> None:
    """NaN, not null: pandas would make no difference."""
    table = world.arrow("impressions")
    scores = table["score"].to_numpy().copy()
    scores[3] = np.nan
    at = table.column_names.index("score")
    world.tables["impressions"] = table.set_column(at, table.schema.field(at), pa.array(scores))


def dwell(value: float) -> Callable[[Any], None]:
    def spoil(world: Any) -> None:
        events = world.frame("events")
        one = events.iloc[[0]].assign(event_id="dwell-0", type="dwell", value=value)
        world.tables["events"] = pd.concat([events.astype({"value": float}), one])

    return spoil


def no_clicks(world: Any) -> None:
    world.frame("events")["type"] = "dwell"
    world.frame("events")["value"] = 3.0


def other_world(world: Any) -> None:
    world.frame("catalogue")["doc_id"] = "their-" + world.frame("catalogue")["doc_id"]


BROKEN = {
    "an empty catalogue": (
        empty("catalogue"),
        ["catalogue: there must be at least 1 document, but there are 0; export the documents"],
    ),
    "a log with no clicks": (
        no_clicks,
        ["events: there must be at least 10 clicks, but there are 0", "lower validate.min_clicks"],
    ),
    "a doc_id twice": (
        copy_value("catalogue", "doc_id"),
        ["catalogue: doc_id must be unique, but 2 of 150 break it", "keep one row per document"],
    ),
    "a request_id twice": (
        copy_value("requests", "request_id"),
        ["requests: request_id must be unique", "keep one row per request"],
    ),
    "an event_id twice": (
        copy_value("events", "event_id"),
        ["events: event_id must be unique, but 2 of", "keep one row per event"],
    ),
    "a catalogue of another world": (
        other_world,
        ["impressions: doc_id must be in the catalogue, but", "export the missing documents"],
    ),
    "a score that is NaN": (
        nan_score,
        ["impressions: score must be a finite number, but 1 of 5,960 breaks it"],
    ),
    "a score that is Inf": (
        set_value("impressions", 3, "score", np.inf),
        ["impressions: score must be a finite number, but 1 of"],
    ),
    "a dwell time that is Inf": (dwell(np.inf), ["events: value must be a finite number"]),
    "a text of 1 MB": (
        set_value("catalogue", 3, "text", "word " * 200_000),
        ["catalogue: text must have at most 200,000 characters, but 1 of 150 breaks it", "split"],
    ),
    "a text of white space": (
        set_value("catalogue", 3, "text", " \n\t\u00a0"),
        ["catalogue: text must contain a letter or a digit, but 1 of 150", "doc-00003"],
    ),
    "a text of emoji": (
        set_value("catalogue", 3, "text", "🌱🦆"),
        ["catalogue: text must contain a letter or a digit, but 1 of 150", "leave out documents"],
    ),
    "a query of white space": (
        set_value("requests", 3, "query", "  "),
        ["requests: query must be more than white space, but 1 of", "leave out requests"],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_table_is_named_and_the_repaired_one_goes_on(user, case):
    spoil, says = BROKEN[case]
    champion = user.channel()
    write_log(user, spoil)
    step, answer = user.go("validate")
    assert (step, answer.returncode) == ("validate", 2), answer.stderr
    sentences = said(answer)
    assert all(part in sentences for part in says), sentences
    assert "work/validate/report.html" in sentences and (user.folder / "work/validate").is_dir()
    assert user.channel() == champion
    write_log(user, lambda world: None)
    step, answer = user.go("validate")
    assert (step, answer.returncode) == ("validate", 0), answer.stderr
    assert user.channel() == champion


def no_file(user: User) -> None:
    shutil.rmtree(user.home / "source" / "requests")


def no_row(user: User) -> None:
    write_log(user, lambda world: [empty(name)(world) for name in LOG_TABLES])


@pytest.mark.parametrize("forget", [no_file, no_row])
def test_an_empty_log_says_how_to_get_one(user, forget):
    forget(user)
    answer = user.perennial("snapshot")
    assert answer.returncode == 2
    assert "the log is empty" in said(answer) and "`perennial simulate`" in said(answer)
    write_log(user, lambda world: None)
    assert user.perennial("snapshot").returncode == 0


def test_an_empty_catalogue_is_refused_at_import(user, tmp_path):
    source = {p: p.read_bytes() for p in user.home.rglob("*.parquet")}
    world = build_world()
    world.tables["catalogue"] = world.frame("catalogue").iloc[:0]
    world.write_source(tmp_path / "theirs")
    answer = user.perennial("import", "parquet", "--path", "theirs")
    assert answer.returncode == 2
    assert "the catalogue of source parquet is empty" in said(answer)
    assert {p: p.read_bytes() for p in user.home.rglob("*.parquet")} == source


@pytest.mark.slow
def test_a_few_requests_about_deleted_documents_are_left_out_and_the_rest_teaches(user):
    def delete(world: Any) -> None:
        world.tables["catalogue"] = world.frame("catalogue").drop(index=[120, 121])

    write_log(user, delete)
    answer = user.perennial("snapshot")
    assert answer.returncode == 0
    assert "requests are left out: they are about documents that the catalogue no longer has" in (
        answer.stdout
    )
    step, answer = user.go("evaluate")
    assert (step, answer.returncode) == ("evaluate", 0), answer.stderr


@pytest.mark.slow
def test_a_megabyte_of_text_goes_through_where_it_is_allowed(user):
    write_log(user, set_value("catalogue", 3, "text", "word " * 200_000))
    write_params(user.folder / "params.yaml", {"validate": {"max_text_characters": 2_000_000}})
    step, answer = user.go("evaluate")
    assert (step, answer.returncode) == ("evaluate", 0), answer.stderr


@pytest.mark.slow
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_an_encoder_whose_weights_are_no_numbers_never_becomes_champion(user, value):
    assert user.perennial("snapshot").returncode == 0
    encoder = user.folder / "given"
    shutil.copytree(user.folder / "snapshot" / "champion" / "encoder", encoder)
    whole = (encoder / "model.safetensors").read_bytes()
    weights = load_file(encoder / "model.safetensors")
    weights["embedding.weight"][7] = value
    save_file(weights, encoder / "model.safetensors")
    shutil.rmtree(user.home / "store")
    answer = user.perennial("bootstrap", "--encoder", "given")
    assert answer.returncode == 2
    assert "holds NaN or Inf in 1 of" in said(answer)
    assert not (user.home / "store").exists()
    (encoder / "model.safetensors").write_bytes(whole)
    assert user.perennial("bootstrap", "--encoder", "given").returncode == 0


def edit(section: str, key: str, value: Any) -> Callable[[str], str]:
    def change(text: str) -> str:
        sections = yaml.safe_load(text)
        sections[section][key] = value
        return yaml.safe_dump(sections)

    return change


def remove(section: str, key: str | None = None) -> Callable[[str], str]:
    def change(text: str) -> str:
        sections = yaml.safe_load(text)
        sections[section].pop(key) if key else sections.pop(section)
        return yaml.safe_dump(sections)

    return change


PARAMS = {
    "misspelt": (
        lambda text: text.replace("min_examinations:", "min_examination:"),
        ["judge.min_examination is not a parameter (did you mean min_examinations?)"],
    ),
    "a misspelt section": (
        lambda text: text.replace("judge:", "jugde:"),
        ["jugde is not a parameter (did you mean judge?)", "judge is missing; add it"],
    ),
    "missing": (remove("train", "epochs"), ["train.epochs is missing; add it"]),
    "a missing section": (remove("gate"), ["gate is missing; add it"]),
    "mistyped": (
        edit("train", "epochs", "eight"),
        ["train.epochs is 'eight': input should be a valid integer"],
    ),
    "a number as text": (
        lambda text: re.sub("learning_rate: .*", "learning_rate: 2e-5", text),
        ["train.learning_rate is '2e-5'", "write 2.0e-5"],
    ),
    "yes instead of a number": (edit("index", "memory_mb", True), ["index.memory_mb is True"]),
    "out of range": (
        edit("split", "held_out_share", 1.5),
        ["split.held_out_share is 1.5: input should be less than 1"],
    ),
    "an impossible margin": (edit("train", "margin", 3.0), ["train.margin is 3.0"]),
    "an unknown metric": (edit("gate", "metric", "ndgc@10"), ["gate.metric is 'ndgc@10'"]),
    "a rule that asks two things": (
        edit("gate", "rules", {"map": {"min_gain": 0.0, "max_loss": 0.1}}),
        ["gate.rules.map is", "either min_gain or max_loss"],
    ),
    "a loss that is stopped but may pass": (
        edit("canary", "max_loss", 0.95),
        ["canary.max_loss is 0.95", "above the last step's margin of 0.9"],
    ),
    "NaN": (edit("gate", "min_gain", float("nan")), ["gate.min_gain is nan"]),
    "doubled": (
        lambda text: text.replace("\nsplit:", "\nsplit:\n  salt: one", 1),
        ["params.yaml is not YAML: key written twice: salt"],
    ),
    "not YAML": (lambda text: text + "\n  - : [", ["params.yaml is not YAML"]),
    "not a mapping": (lambda text: "- 1\n", ["must be a mapping of sections"]),
    "empty": (lambda text: "", ["must be a mapping of sections"]),
    "a section that is no mapping": (
        lambda text: yaml.safe_dump(yaml.safe_load(text) | {"mine": 3}),
        ["mine is 3"],
    ),
}


@pytest.mark.parametrize("case", PARAMS)
def test_wrong_params_are_named_before_anything_is_touched(user, case, monkeypatch, capsys):
    from perennial.cli import main

    change, says = PARAMS[case]
    path = user.folder / "params.yaml"
    whole = path.read_text()
    changed = change(whole)
    assert changed != whole
    path.write_text(changed)
    monkeypatch.chdir(user.folder)
    monkeypatch.setenv("PERENNIAL_HOME", str(user.home))
    before = directory_digest(user.home)
    for verb in (["snapshot"], ["bootstrap"], ["simulate"], ["import", "apidocs"]):
        assert main(verb) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("perennial: ") and err.count("\n") == 1
        assert all(part in err for part in says), err
    assert directory_digest(user.home) == before
    assert not (user.folder / "snapshot").exists()
    path.write_text(whole)
    assert main(["snapshot"]) == 0


@pytest.mark.slow
def test_wrong_params_stop_every_stage_and_leave_what_it_had_made(trained_workspace, tmp_path):
    shutil.copytree(trained_workspace, tmp_path / "workspace")
    user = User(tmp_path / "workspace", tmp_path / "home")
    path = user.folder / "params.yaml"
    path.write_text(edit("mine", "neighbours", "sixty")(path.read_text()))
    before = directory_digest(user.folder / "artifacts")
    for stage in STAGES:
        answer = user.stage(stage)
        assert answer.returncode == 2
        assert "mine.neighbours is 'sixty'" in said(answer)
    path.unlink()
    assert "cannot read" in said(user.stage("judge"))
    assert directory_digest(user.folder / "artifacts") == before


# Root ignores permission bits, and nobody may not read root's libraries: import, then change.
AS_NOBODY = """
import os, sys
import perennial.verbs.bootstrap, perennial.verbs.source
import perennial.serving.excerpts, perennial.serving.searcher
from perennial.cli import main
if os.getuid() == 0:
    os.setuid(65534)
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def open_folder(company):
    """A folder below which nobody, too, may look; pytest's own are closed to him."""
    from tiny_release import fast_folder

    with fast_folder() as place:
        place.chmod(0o755)
        for name in ("source", "store"):
            shutil.copytree(company / name, place / "home" / name)
        write_params(place / "params.yaml")
        yield place
        for path in [place, *place.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)


@pytest.mark.slow
def test_a_read_only_store_is_said_and_still_searched(open_folder):
    user = User(open_folder, open_folder / "home")
    store = user.home / "store"
    assert user.perennial("snapshot").returncode == 0
    encoder = str(user.folder / "snapshot" / "champion" / "encoder")
    for path in [*user.home.rglob("*"), *user.folder.rglob("snapshot/**/*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    for path in [store, *store.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    (open_folder / "cache").mkdir()
    (open_folder / "cache").chmod(0o777)
    environment = user.place()["env"] | {"PERENNIAL_CACHE": str(open_folder / "cache")}
    before = directory_digest(store)
    again = ["bootstrap", "--channel", "staging", "--encoder", encoder]
    answer = user.python("-c", AS_NOBODY, *again, env=environment)
    assert answer.returncode == 2
    assert f"{store} is read-only or closed to this user; change its permissions" in said(answer)
    found = user.python("-c", AS_NOBODY, "search", "anything", "--json", env=environment)
    assert found.returncode == 0, found.stderr
    assert directory_digest(store) == before
    for path in [store, *store.rglob("*")]:
        path.chmod(0o777 if path.is_dir() else 0o666)
    done = user.python("-c", AS_NOBODY, *again, env=environment)
    assert done.returncode == 0, done.stderr


def limit_files(size: int) -> Callable[[], None]:
    """Runs in the child: no file may grow beyond `size`, as on a disk that is full."""
    import resource

    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["bootstrap", "--channel", "staging"], ["snapshot"]])
@pytest.mark.parametrize("size", [100, 20_000])
def test_a_full_disk_is_said_and_a_rerun_succeeds(user, arguments, size):
    before = user.channel()
    answer = user.perennial(*arguments, preexec_fn=limit_files(size))
    assert answer.returncode == 2, answer
    assert "free some space" in said(answer)
    assert user.channel() == before
    assert not (user.folder / "snapshot").exists()
    assert user.perennial(*arguments).returncode == 0
    assert user.perennial("verify").returncode == 0


@pytest.mark.slow
def test_a_full_disk_stops_any_stage_with_a_sentence_and_a_rerun_gives_the_same_bytes(
    trained_workspace, tmp_path
):
    shutil.copytree(trained_workspace, tmp_path / "workspace")
    user = User(tmp_path / "workspace", tmp_path / "home")
    for stage in STAGES:
        shutil.rmtree(user.folder / "work" / stage, ignore_errors=True)
        wanted = directory_digest(user.folder / "artifacts" / stage)
        for size in (8, 700):  # 8: some libraries, when imported, try four bytes in /tmp
            answer = user.stage(stage, preexec_fn=limit_files(size))
            assert answer.returncode == 2, (stage, size, answer.stderr)
            assert "free some space" in said(answer)
        assert user.stage(stage).returncode == 0
        assert directory_digest(user.folder / "artifacts" / stage) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_killed_in_its_work_leaves_nothing_that_a_rerun_could_mistake(
    trained_workspace, tmp_path, stage
):
    shutil.copytree(trained_workspace, tmp_path / "workspace")
    user = User(tmp_path / "workspace", tmp_path / "home")
    wanted = directory_digest(user.folder / "artifacts")
    for part in ("artifacts", "work"):
        shutil.rmtree(user.folder / part / stage, ignore_errors=True)
    for wait in (0.0, 0.05, 0.1, 0.2):
        process = subprocess.Popen(
            [sys.executable, "-m", module_of(stage)], **user.place(), stderr=subprocess.DEVNULL
        )
        begun = user.folder / ("work" if stage == "validate" else "artifacts") / stage
        while process.poll() is None and not begun.exists():
            time.sleep(0.002)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert user.stage(stage).returncode == 0
    assert directory_digest(user.folder / "artifacts") == wanted
