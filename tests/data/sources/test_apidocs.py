"""apidocs on a small package of our own, and (slow) on the packages that are really there."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import pandas as pd
import pytest

from perennial.data.sources.apidocs import read_apidocs
from perennial.errors import BadInput

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
FILES = {
    "__init__.py": '''
        """A garden."""
        from gardenpkg.beds import plant, Bed, Rose, water_all
        from gardenpkg import tools

        def harvest(bed):
            """Collect everything that is ripe.

            Parameters
            ----------
            bed : Bed
                Where to look for it.

            See Also
            --------
            plant : Put a seed into the ground and water it.
            Bed.dig, beds.water_all : Work that comes before a harvest.
            tools.rake : Equivalent to this with another tool.
            harvest : Collect whatever is ripe, again and again.
            nowhere : Leads to something that is not there.
            tiny : short

            Notes
            -----
            Best done in the morning.
            """

        def _hidden():
            """A private function with a docstring that is long enough."""

        def silent():
            pass
    ''',
    "beds.py": '''
        """Beds."""
        def plant(seed):
            """Put a seed into the ground, two fingers deep, and cover it."""

        def water_all():
            """Water every bed of the garden until none is dry."""

        class Bed:
            """A rectangle of soil in which things grow all summer.

            See Also
            --------
            rose : Lower-case, and so another name than the class.
            """
            def dig(self):
                """Turn the soil over so that roots find their way."""

            @property
            def area(self):
                """Square metres that this bed has, paths not counted."""

            @classmethod
            def from_plan(cls, plan):
                """Make a bed from a drawn plan of the whole garden."""

            @staticmethod
            def measure(tape):
                """Measure any bed with a tape, to the centimetre."""

            def _secret(self):
                """A private method with a docstring that is long enough."""

        class Rose(Bed):
            """A bed for roses only, which like company less."""
            def dig(self):
                """Turn the soil over so that roots find their way."""

            def prune(self):
                """Cut what is old.

                See Also
                --------
                dig : Loosen the earth around the roots.
                """
    ''',
    "tools.py": '''
        """Tools."""
        from gardenpkg.beds import plant
        import json

        __all__ = ["rake", "plant"]

        def rake():
            """Gather leaves and stones from a bed with a rake."""

        def not_exported():
            """Outside of __all__, though it has a long docstring."""
    ''',
    "_private.py": '''
        def inner():
            """A function in a private module, documented at length."""
    ''',
    "broken.py": "import a_package_that_is_not_there\n",
    "tests/__init__.py": "",
    "tests/test_beds.py": "raise SystemExit('imported a test')\n",
}


@pytest.fixture(scope="module")
def garden(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the package `gardenpkg`, importable as long as this module's tests run."""
    root = tmp_path_factory.mktemp("garden")
    for name, text in FILES.items():
        path = root / "gardenpkg" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
    sys.path.insert(0, str(root))
    yield root
    sys.path.remove(str(root))
    for name in [name for name in sys.modules if name.split(".")[0] == "gardenpkg"]:
        del sys.modules[name]


def read(garden: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    return read_apidocs(updated_at=NOON, packages=["gardenpkg"])


def test_every_documented_public_name_is_a_document_once(garden: Path) -> None:
    catalogue, _ = read(garden)
    assert catalogue["doc_id"].tolist() == [
        "gardenpkg.Bed",
        "gardenpkg.Bed.area",
        "gardenpkg.Bed.dig",
        "gardenpkg.Bed.from_plan",
        "gardenpkg.Bed.measure",
        "gardenpkg.Rose",
        "gardenpkg.Rose.prune",  # Rose.dig repeats the text of Bed.dig
        "gardenpkg.harvest",
        "gardenpkg.plant",  # as beds.plant and tools.plant are called, too
        "gardenpkg.tools.rake",
        "gardenpkg.water_all",
    ]
    assert set(catalogue["slice"]) == {"gardenpkg"}
    assert (catalogue["title"] == catalogue["doc_id"]).all()
    assert (catalogue["updated_at"] == NOON).all()


def test_a_see_also_line_is_a_query_for_the_name_it_describes(garden: Path) -> None:
    _, truth = read(garden)
    assert [tuple(row) for row in truth.to_numpy()] == [
        ("Loosen the earth around the roots.", "gardenpkg.Bed.dig", 1),
        ("Put a seed into the ground and water it.", "gardenpkg.plant", 1),
        ("Work that comes before a harvest.", "gardenpkg.Bed.dig", 1),
        ("Work that comes before a harvest.", "gardenpkg.water_all", 1),
    ]


def test_no_see_also_line_is_left_in_what_is_indexed(garden: Path) -> None:
    catalogue, truth = read(garden)
    everything = "\n".join(catalogue["text"])
    assert "See Also" not in everything
    assert not any(query in everything for query in truth["query"])
    harvest = catalogue.set_index("doc_id")["text"]["gardenpkg.harvest"]
    assert "Where to look for it." in harvest and "Best done in the morning." in harvest


def test_a_second_reading_and_another_process_give_the_same(garden: Path) -> None:
    catalogue, truth = read(garden)
    again, truth_again = read(garden)
    pd.testing.assert_frame_equal(catalogue, again)
    pd.testing.assert_frame_equal(truth, truth_again)
    program = (
        "import sys, json\n"
        f"sys.path.insert(0, {str(garden)!r})\n"
        "from datetime import datetime, UTC\n"
        "from perennial.data.sources.apidocs import read_apidocs\n"
        "catalogue, truth = read_apidocs(updated_at=datetime(2026, 1, 5, 12, tzinfo=UTC), "
        "packages=['gardenpkg'])\n"
        "print(json.dumps([catalogue.drop(columns='updated_at').to_numpy().tolist(), "
        "truth.to_numpy().tolist()]))"
    )
    root = Path(__file__).parents[3]
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root
    )
    here = [catalogue.drop(columns="updated_at").to_numpy().tolist(), truth.to_numpy().tolist()]
    assert json.loads(run.stdout) == here


def test_packages_that_are_not_there_say_so() -> None:
    with pytest.raises(BadInput, match=r"none of no_such_package_here is installed"):
        read_apidocs(updated_at=NOON, packages=["no_such_package_here"])


@pytest.mark.slow
def test_the_installed_packages_give_a_large_catalogue_and_many_queries() -> None:
    catalogue, truth = read_apidocs(updated_at=NOON)
    assert len(catalogue) > 10_000
    assert truth["query"].nunique() > 2_000
    assert catalogue["doc_id"].is_unique and catalogue["text"].is_unique
    assert not truth.duplicated(["query", "doc_id"]).any()
    assert set(truth["doc_id"]) <= set(catalogue["doc_id"])
    section = re.compile(r"^[ \t]*see also:?[ \t]*\n[ \t]*(?:[-_=~]{3,}|- )", re.I | re.M)
    left = [d for d, text in catalogue[["doc_id", "text"]].to_numpy() if section.search(text)]
    assert left == []
    assert not truth["query"].str.contains(r"\b(?:this|these|equivalent|see)\b", case=False).any()
