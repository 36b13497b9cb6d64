"""Somebody who may spoil all that is theirs."""

import shutil

import pytest
from person import User
from small import write_params


@pytest.fixture
def user(company, tmp_path, warm) -> User:
    """Somebody with a healthy company of his own."""
    for name in ("source", "store"):
        shutil.copytree(company / name, tmp_path / "home" / name)
    write_params(tmp_path / "params.yaml")
    return User(tmp_path, tmp_path / "home", warm)
