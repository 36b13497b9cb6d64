"""A folder for work that spills: gone with its process, or with the next where that was killed."""

import signal
import subprocess
import sys

from perennial.data.scratch import own_folder

_HOLDER = """
import sys, time
from pathlib import Path
from perennial.data.scratch import own_folder
with own_folder(Path(sys.argv[1]), prefix="log-") as folder:
    (folder / "words").write_text("what people asked")
    print(folder, flush=True)
    time.sleep(600)
"""


def hold(place):
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, place], stdout=subprocess.PIPE, text=True
    )
    return holder, holder.stdout.readline().strip()


def test_what_a_killed_process_left_goes_and_what_a_living_one_holds_stays(tmp_path):
    killed, its = hold(tmp_path)
    living, theirs = hold(tmp_path)
    try:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        with own_folder(tmp_path, prefix="log-") as ours:
            assert ours.stat().st_mode & 0o777 == 0o700
            assert {str(each) for each in tmp_path.iterdir()} == {str(ours), theirs}
        assert [str(each) for each in tmp_path.iterdir()] == [theirs] != [its]
    finally:
        for each in (killed, living):
            each.kill()
            each.wait()
            each.stdout.close()


def test_other_folders_of_the_place_are_nobodys_to_remove(tmp_path):
    (tmp_path / "vectors").mkdir()
    with own_folder(tmp_path, prefix="log-"):
        pass
    assert [each.name for each in tmp_path.iterdir()] == ["vectors"]
