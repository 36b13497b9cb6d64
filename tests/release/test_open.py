"""The door from an address to a store; nothing of S3 is loaded for who keeps to a folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from perennial.errors import BadInput
from perennial.release.stores.local import LocalStore
from perennial.release.stores.open import open_store
from perennial.release.stores.s3.store import S3Store

HOUSE = Path(__file__).parents[2]


def test_an_address_becomes_the_store_that_it_names(tmp_path, monkeypatch):
    monkeypatch.setenv("PERENNIAL_S3_SSE", "aws:kms")
    monkeypatch.setenv("PERENNIAL_S3_KMS_KEY_ID", "alias/search")
    store = open_store("s3://company.models/search/")
    assert isinstance(store, S3Store) and store.place == "s3://company.models/search"
    assert store.bucket.encryption == {
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "alias/search",
    }
    for place in (str(tmp_path), f"file://{tmp_path}"):
        found = open_store(place)
        assert isinstance(found, LocalStore) and found.root == tmp_path
    for wrong in ("s3://", "s3:///x", "s3://Upper/x", "gs://x/y"):
        with pytest.raises(BadInput, match="s3://bucket/prefix"):
            open_store(wrong)


def test_boto3_is_imported_in_one_module_and_only_when_a_bucket_is_asked():
    rooms = [
        path for room in ("perennial", "tasks", "flows") for path in (HOUSE / room).rglob("*.py")
    ]
    users = [path.name for path in rooms if "import boto3" in path.read_text(encoding="utf-8")]
    assert users == ["bucket.py"]
    opened = (
        "from perennial.release.stores.open import open_store; open_store('s3://bucket/prefix')"
    )
    program = f"import sys; {opened}; sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=HOUSE).returncode == 0
