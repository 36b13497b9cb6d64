"""Wrong params are named before anything is touched, by every verb and stage."""

import re
import shutil
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from person import User, said
from small import STAGES

from perennial.model.digest import directory_digest


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
def test_wrong_params_stop_every_stage_and_leave_what_it_had_made(
    trained_workspace, tmp_path, warm
):
    shutil.copytree(trained_workspace, tmp_path / "workspace")
    user = User(tmp_path / "workspace", tmp_path / "home", warm)
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
