"""What a process frees it has again without the system's help."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
from resource import RUSAGE_SELF, getrusage
from perennial.model.freed import keep_freed_memory

keep_freed_memory()
bytearray(20 << 20)
before = getrusage(RUSAGE_SELF).ru_minflt
bytearray(20 << 20)
print(getrusage(RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the option")
def test_a_block_that_was_freed_is_there_for_the_next_layer() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 500, "it has 5,120 pages"
