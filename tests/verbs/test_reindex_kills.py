"""A reindex killed all along its changes: a reader finds the old release or the new, whole,
and the next call finishes."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tiny_release import fast_folder
from tiny_shop import Shop

from perennial.release.verify import verify_store

from .reindexer import SETTINGS

REINDEXER = Path(__file__).with_name("reindexer.py")


@pytest.mark.slow
def test_a_reindex_killed_on_its_way_leaves_the_old_or_the_new_and_is_finished_by_the_next():
    with fast_folder() as place:
        shop = Shop(place / "shop", settings=SETTINGS)
        shop.open_with(count=30)
        for round_ in range(2):  # so that the last reindex, which is killed, also compacts
            shop.documents[f"more-{round_}"] = (f"word{round_} word9", None)
            del shop.documents[f"doc-00{round_}"]
            shop.export()
            if round_ == 0:
                shop.reindex(settings={"fanout": 9, "max_segments": 9})
        shop.documents["doc-010"] = (shop.documents["doc-010"][0], "guide")
        shop.export()
        old, before = shop.channel().stable, shop.held()
        wanted = shop.built_at_once()
        done = subprocess.run(
            [sys.executable, str(REINDEXER), str(shop.root), str(place / "graves")],
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        deaths = done.stdout.split()
        copies = sorted((place / "graves").iterdir())
        assert len(deaths) == len(copies)
        # every third of: two new segments of two files, tombstones, a note, manifest and channel
        died = Counter(deaths)
        assert (
            died["os.rename"] >= 2
            and died["open"] >= 2
            and done.stderr.split().count("fsync") >= 14
        )
        seen = []
        for copy in copies:
            survivor = Shop(copy, shop.documents, SETTINGS)
            found = survivor.held()
            assert found in (before, wanted)
            seen.append(found == wanted)
            assert (survivor.channel().stable == old) == (found == before)
            again = survivor.reindex()
            assert again.decision.outcome == ("none" if seen[-1] else "promote")
            assert survivor.held() == wanted
            assert verify_store(survivor.store) == []
            assert not list((copy / "cache" / "reindex" / "production").glob("work/*"))
        assert seen == sorted(seen) and not seen[0] and seen[-1], "once new, never old again"
