"""A reindex in processes of its own, each killed three steps later: reindexer.py SHOP GRAVES"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from killing import die_at_every_step
from tiny_shop import Shop

SETTINGS = {"max_segments": 2, "fanout": 2}  # so that it compacts, too

if __name__ == "__main__":
    die_at_every_step(
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        lambda copy: Shop(copy, settings=SETTINGS).reindex(),
        stride=3,  # odd: a file is opened, then moved into place
    )
