"""A rollout to its end: a real service, people who come to it over HTTP, the flow as a process.

Document i is `word<i>`, and people ask `ask<i>` for it: how good a release is, is how many of those
words its encoder knows.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from service_process import service
from tiny_release import HEALTH, NOON
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from perennial.data.tables import write_table
from perennial.index.build import build_index
from perennial.model.digest import text_digest
from perennial.model.encoder import load_encoder
from perennial.model.static import write_static
from perennial.release.channels.moves import read_kept
from perennial.release.publishing.publish import promote, publish
from perennial.release.stores.local import LocalStore
from perennial.serving.routing import arm_of
from perennial.simulation.public import Habits
from perennial.simulation.visits import visit

from .conftest import CHECKOUT

pytestmark = pytest.mark.slow

DOCUMENTS, DIMENSION = 60, 32
CHANGES = {
    "canary": {
        "steps": [
            {"share": 0.4, "margin": 0.4, "min_hours": 0.0, "max_hours": 1.0},
            {"share": 0.5, "margin": 0.2, "min_hours": 0.0, "max_hours": 1.0},
        ],
        "shadow_min_hours": 0.001,
        "settle_seconds": 2,
        "session_seconds": 2,
        "min_baseline_sessions": 100,
        "design_loss": 0.4,
        # people come in fours here, and their answers wait for each other
        "slow_ratio": 10.0,
    },
    "snapshot": {"click_window_seconds": 1},
    # all people ask from one address
    "serve": {
        "log_rotate_seconds": 1.0,
        "explore": 0.0,
        "rate_per_second": 1e6,
        "rate_burst": 1_000_000,
    },
    "shadow": {"min_overlap": 0.0, "max_latency_ratio": 1000.0, "min_mirrored": 1},
    "reindex": {"max_imbalance": 1000.0},
}
HABITS = Habits(
    position_decay=0.3,
    click_if_relevant=1.0,
    click_if_not=0.0,
    stop_after_click=1.0,
    abandon=0.0,
    max_requests=1,
    explore=0.0,
)


@dataclass
class Town:
    """A company whose people come to its search service while its releases roll out."""

    home: Path
    port: int
    environment: dict[str, str]
    truth: pd.DataFrame
    comings: int = 0
    failed: list[str] = field(default_factory=list)

    @property
    def store(self) -> LocalStore:
        return LocalStore(self.home / "store")

    def channel(self):
        found = self.store.read_channel("production")
        assert found is not None
        return found

    def people(self, sessions: int, *, tag: str | None = None, workers: int = 4) -> None:
        self.comings += 1
        found = visit(
            f"http://127.0.0.1:{self.port}",
            self.truth,
            sessions=sessions,
            results=5,
            habits=HABITS,
            seed=self.comings,
            tag=tag or f"v{self.comings}",
            workers=workers,
        )
        self.failed += [found.first_failure] * found.failed

    def roll_out(
        self,
        release_id: str,
        *,
        params: str = "params.yaml",
        come: Callable[[], None] | None = None,
    ) -> tuple[int, str]:
        """The flow's exit code and words; people come until it ended."""
        command = ["--params", params, "--release", release_id, "--wait", "--poll-seconds", "1"]
        flow = subprocess.Popen(
            [sys.executable, "-m", "flows.rollout", *command],
            cwd=self.home,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said: list[str] = []
        reader = threading.Thread(target=lambda: said.append(flow.stdout.read()))
        reader.start()
        while flow.poll() is None:
            (come or (lambda: self.people(50)))()
        reader.join()
        flow.stdout.close()
        return flow.returncode, said[0]


@pytest.fixture(scope="module")
def town(
    prefect_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Town]:
    home = tmp_path_factory.mktemp("town")
    sections = yaml.safe_load((CHECKOUT / "params.yaml").read_text())
    for section, values in CHANGES.items():
        sections[section].update(values)
    (home / "params.yaml").write_text(yaml.safe_dump(sections))
    names = [f"doc-{i:02d}" for i in range(DOCUMENTS)]
    texts = [f"word{i}" for i in range(DOCUMENTS)]
    catalogue = pd.DataFrame({"doc_id": names, "title": "", "text": texts, "slice": None})
    (home / "source").mkdir()
    path = home / "source" / "catalogue.parquet"
    write_table(catalogue.assign(updated_at=pd.Timestamp(NOON)), path, table="catalogue")
    first = knowing(home, 0.6, seed=1)
    promote(LocalStore(home / "store"), "production", first, now=NOON, why="first", who="a test")
    queries = [f"ask{i}" for i in range(DOCUMENTS)]
    truth = pd.DataFrame({"query": queries, "doc_id": names, "grade": 1})
    with service(home, cwd=home) as (_, port):
        environment = {**prefect_server, "PERENNIAL_HOME": str(home)}
        found = Town(home, port, environment, truth)
        found.people(300, workers=1)  # how fast a quiet service is
        yield found


def knowing(home: Path, share: float, *, seed: int, more: int = 0) -> str:
    """The release id of an encoder that knows so many of the words that people ask with.

    Its index holds `more` documents than the catalogue: to search them takes long.
    """
    folder = home / f"made-{seed}"
    words = [f"{kind}{i}" for kind in ("word", "ask") for i in range(DOCUMENTS)]
    vocabulary = {word: row for row, word in enumerate(["[UNK]", *words])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    vectors = np.random.default_rng(seed).standard_normal((len(vocabulary), DIMENSION))
    vectors[0] = 0.0
    knows = round(share * DOCUMENTS)
    vectors[1 + DOCUMENTS : 1 + DOCUMENTS + knows] = vectors[1 : 1 + knows]
    write_static(folder / "encoder", tokenizer, vectors.astype(np.float32), max_tokens=32)
    encoder = load_encoder(folder / "encoder")
    texts = [f"word{i}" for i in range(DOCUMENTS)]
    rows = encoder.encode(texts)
    others = -np.repeat(rows, -(-more // DOCUMENTS), axis=0)[:more] if more else rows[:0]
    build_index(
        folder / "index",
        vectors=np.concatenate([rows, others]),
        doc_ids=[f"doc-{i:02d}" for i in range(DOCUMENTS)] + [f"x{i}" for i in range(more)],
        text_digests=[text_digest(text) for text in texts] + [text_digest("x")] * more,
        slices=[None] * (DOCUMENTS + more),
        encoder_digest=encoder.digest,
        factory="Flat",
        recall_target=0.98,
        memory_mb=4096,
        probes=rows[:10],
        seed=0,
    )
    references = folder / "references"
    references.mkdir()
    pd.DataFrame({"query": texts[:5]}).to_parquet(references / "queries.parquet")
    np.save(references / "vectors.npy", rows[:5])
    return publish(
        LocalStore(home / "store"),
        encoder=folder / "encoder",
        index=folder / "index",
        references=references,
        catalogue={
            "digest": text_digest("any"),
            "watermark": NOON.isoformat().replace("+00:00", "Z"),
            "documents": DOCUMENTS + more,
        },
        health=HEALTH,
        provenance={"git_commit": "0" * 40},
        parent=None,
        created_at=NOON,
    ).release_id


def write_params(town: Town, name: str, **changes: float) -> None:
    """The town's params with the canary's, or each of its steps', changed."""
    sections = yaml.safe_load((town.home / "params.yaml").read_text())
    canary = sections["canary"]
    for place in (canary, *canary["steps"]):
        place.update({key: value for key, value in changes.items() if key in place})
    (town.home / name).write_text(yaml.safe_dump(sections))


def lineage(town: Town, release_id: str) -> str:
    return read_kept(town.store, release_id, key=None).lineage


def test_a_candidate_that_is_slow_is_stopped_however_good_its_answers(town):
    before = town.channel().stable
    # the service must load it first
    write_params(town, "patient.yaml", shadow_min_hours=0.006, slow_ratio=1.0)
    slow = knowing(town.home, 0.95, seed=6, more=1_200_000)
    code, said = town.roll_out(slow, params="patient.yaml", come=lambda: town.people(20, workers=1))
    assert code == 1 and "rollback" in said and "slow" in said, said
    assert town.channel().stable == before
    assert town.failed == []


def test_a_worse_candidate_goes_back_at_the_first_step(town):
    before = town.channel().stable
    code, said = town.roll_out(knowing(town.home, 0.15, seed=2))
    assert code == 1 and "rollback" in said, said
    assert (town.channel().stable, town.channel().candidate) == (before, None)
    assert town.failed == []


def test_an_equal_candidate_with_too_few_sessions_goes_back_at_the_deadline(town):
    before = town.channel().stable
    write_params(town, "short.yaml", max_hours=0.004)

    def few_come():
        town.people(2)
        time.sleep(1)

    code, said = town.roll_out(knowing(town.home, 0.6, seed=3), params="short.yaml", come=few_come)
    assert code == 1 and "inconclusive" in said, said
    assert (town.channel().stable, town.channel().candidate) == (before, None)
    assert town.failed == []


@pytest.mark.parametrize(("share", "seed"), [(0.6, 4), (0.95, 5)])
def test_an_equal_candidate_and_a_better_one_become_stable(town, share, seed):
    before = town.channel().stable
    release_id = knowing(town.home, share, seed=seed)
    code, said = town.roll_out(release_id)
    assert code == 0 and "promote" in said, said
    after = town.channel()
    assert after.stable != before and after.candidate is None
    # The swap may bring in today's catalogue first: another release of the same encoder.
    assert lineage(town, after.stable) == lineage(town, release_id)
    assert town.failed == []


def test_a_router_that_favours_one_arm_is_noticed_before_anything_else(town):
    before = town.channel().stable

    def biased():
        """Of many names for a visit, one whose sessions nearly all land on the candidate."""
        rollout = town.channel().candidate
        salt = rollout.salt if rollout else ""
        tags = [f"b{town.comings}-{number}" for number in range(200)]
        sent = {
            tag: sum(arm_of(f"{tag}-{i}", salt=salt, share=0.4) == "candidate" for i in range(10))
            for tag in tags
        }
        town.people(10, tag=max(sent, key=sent.get))

    code, said = town.roll_out(knowing(town.home, 0.95, seed=7), come=biased)
    assert code == 1 and "rollback" in said and "biased" in said, said
    assert town.channel().stable == before
    assert town.failed == []
