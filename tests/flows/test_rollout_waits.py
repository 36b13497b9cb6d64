"""A rollout that waits: what is away is looked at again, what a person must mend ends it."""

import pytest
import yaml
from tiny_shop import SECTIONS

from flows import rollout
from perennial.errors import BadInput
from perennial.quality.decision import Decision
from perennial.verbs.rolling.look import Look


def test_params_that_break_while_it_waits_end_it(tmp_path, monkeypatch):
    params, looks = tmp_path / "params.yaml", []
    params.write_text(yaml.safe_dump(SECTIONS), encoding="utf-8")

    def tick(path, channel):
        assert not looks, "it looked again"
        looks.append(channel)
        path.write_text("canary: [", encoding="utf-8")
        return Look(Decision("none", ("It waits.",), ()), (), None)

    monkeypatch.setattr(rollout, "tick", tick)
    with pytest.raises(BadInput, match="params"):
        rollout.rollout.fn(params, wait=True, poll_seconds=0.0)
    assert looks == ["production"]
