"""A listing names files of one folder, and nothing else."""

import json

import pytest

from perennial.errors import IntegrityError
from perennial.release.remote.listing import file_key, listed

MD5 = "0123456789abcdef" * 2


def test_it_names_files_by_their_digests():
    data = json.dumps([{"md5": MD5, "relpath": "champion/encoder/..weights"}]).encode()
    assert listed(data, what="it") == {"champion/encoder/..weights": MD5}
    assert file_key(MD5) == "files/md5/01/23456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    "row",
    [
        {"md5": MD5, "relpath": "../perennial/errors.py"},
        {"md5": MD5, "relpath": "a/../../b"},
        {"md5": MD5, "relpath": "/etc/passwd"},
        {"md5": MD5, "relpath": ""},
        {"md5": MD5 + ".dir", "relpath": "a"},
        {"md5": "../../../a", "relpath": "a"},
        {"relpath": "a"},
        "a",
    ],
)
def test_what_leaves_the_folder_or_is_no_file_is_refused(row):
    with pytest.raises(IntegrityError, match=r"^it "):
        listed(json.dumps([row]).encode(), what="it")
