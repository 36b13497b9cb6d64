"""A verb in processes of its own, each in a copy of a folder and killed one change later:
python killed_verb.py FOLDER GRAVES STRIDE VERB [ARGUMENT ...]"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import boto3  # noqa: F401  what the verbs import only when they work
from killing import die_at_every_step

import perennial.verbs.snapshot
import perennial.verbs.source  # noqa: F401
from perennial.cli import main


def work(copy: Path) -> None:
    os.chdir(copy)
    assert main(sys.argv[4:]) == 0


if __name__ == "__main__":
    die_at_every_step(Path(sys.argv[1]), Path(sys.argv[2]), work, stride=int(sys.argv[3]))
