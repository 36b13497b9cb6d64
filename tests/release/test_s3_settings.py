"""`store init` on a real S3 server: what it makes, what it leaves, and who may do what then."""

import json
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from seaweed import NOBODIES, open_s3
from tiny_release import NOON, publish_folders

from perennial.cli import main
from perennial.errors import PlaceUnusable
from perennial.release.publishing.publish import promote
from perennial.release.stores.s3.documents import merged_policy, merged_rules, read_documents
from perennial.release.stores.store import PendingNote
from perennial.release.verify import verify_whole_store

ROOT = Path(__file__).parents[2]
DOCUMENTS = ROOT / "infra" / "store"
SERVICE, PIPELINE, CLEANER = (f"arn:aws:iam::000000000000:user/{name}" for name in NOBODIES)
ROLES = ["--reader", SERVICE, "--writer", PIPELINE, "--sweeper", CLEANER]
NOTE = PendingNote(1, "rel-" + "a" * 12, "2026-01-05T12:00:00Z", ())


@pytest.fixture
def init(s3_store, monkeypatch, capsys):
    """`init(*options)`: its exit code and JSON, for the store in a bucket that is not there yet."""
    bucket = f"{s3_store.bucket.name}-new"
    monkeypatch.setenv("PERENNIAL_STORE", f"s3://{bucket}/store")
    monkeypatch.chdir(ROOT)

    def init(*options):
        code = main(["store", "init", *options, "--json"])
        said = capsys.readouterr()
        return code, json.loads(said.out) if code < 2 else said.err

    init.bucket = bucket
    return init


def states(value):
    return {row["name"]: row["state"] for row in value["settings"]}


@pytest.mark.slow
def test_init_makes_the_bucket_once_and_says_what_the_endpoint_lacks(init, s3_server):
    assert init("--check")[0] == 2  # there is no bucket, and looking makes none
    code, value = init(*ROLES)
    assert code == 0, value
    assert states(value) == {
        "bucket": "set",
        "public access": "not supported",
        "encryption": "set",
        "versioning": "already so",
        "lifecycle": "set",
        "policy": "set",
    }
    client, place = s3_server.client(), {"Bucket": init.bucket}
    foreign = {"Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "s3:PutBucketTagging"}
    policy = json.loads(client.get_bucket_policy(**place)["Policy"])
    policy["Statement"].append(foreign | {"Resource": f"arn:aws:s3:::{init.bucket}"})
    client.put_bucket_policy(**place, Policy=json.dumps(policy))
    again = states(init(*ROLES)[1])
    assert set(again.values()) == {"already so", "not supported"}
    assert states(init("--reader", PIPELINE)[1])["policy"] == "set"
    after = json.loads(client.get_bucket_policy(**place)["Policy"])["Statement"]
    assert len(after) == len(policy["Statement"])
    assert sum(SERVICE in json.dumps(each) for each in after) == 0
    assert sum(CLEANER in json.dumps(each) for each in after) == 4
    assert [each["Sid"] for each in after].count("Theirs") == 1


@pytest.mark.slow
def test_what_is_of_the_whole_bucket_is_left_where_others_may_be_in_it(init, s3_server):
    client, place = s3_server.client(), {"Bucket": init.bucket}
    client.create_bucket(**place)
    code, value = init()
    assert code == 0, value
    assert states(value)["encryption"] == "left as it is" and states(value)["lifecycle"] == "set"
    (detail,) = (row["detail"] for row in value["settings"] if row["name"] == "encryption")
    assert "--whole-bucket" in detail
    with pytest.raises(ClientError, match="ServerSideEncryptionConfigurationNotFound"):
        client.get_bucket_encryption(**place)
    assert states(init("--whole-bucket")[1])["encryption"] == "set"
    assert client.get_bucket_encryption(**place)["ServerSideEncryptionConfiguration"]["Rules"]
    assert states(init()[1])["encryption"] == "already so"


@pytest.mark.slow
def test_each_role_may_do_its_work_and_no_more(init, first, monkeypatch, tmp_path):
    assert init(*ROLES)[0] == 0

    def store_of(name):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", name)
        store = open_s3(init.bucket)
        assert store.bucket.client  # with these credentials, whatever is set later
        return store

    service, pipeline, cleaner = (store_of(name) for name in NOBODIES)
    manifest = publish_folders(pipeline, first)
    promote(pipeline, "production", manifest.release_id, now=NOON, why="first", who="test")
    pipeline.write_pending(NOTE)
    pipeline.clear_pending(NOTE.release_id)
    digest = sorted(manifest.objects())[0]
    assert service.read_channel("production").stable == manifest.release_id
    assert service.size("sha256:" + "0" * 64) is None  # told as missing, not as forbidden
    service.fetch(digest, tmp_path / "object")
    assert verify_whole_store(service, key=None).findings == ()
    forbidden = [
        (service, lambda store: store.put_bytes(b"data")),
        (service, lambda store: store.delete(digest)),
        (service, lambda store: store.check_conditions()),
        (pipeline, lambda store: store.delete(digest)),
        (pipeline, lambda store: store.delete_manifest(manifest.release_id)),
        (pipeline, lambda store: store.bucket.call("delete_bucket_policy")),
        (cleaner, lambda store: store.bucket.call("get_bucket_policy")),
        (cleaner, lambda store: open_s3(init.bucket, "elsewhere").put_bytes(b"data")),
    ]
    for number, (store, act) in enumerate(forbidden):
        with pytest.raises(PlaceUnusable, match="closed to these credentials"):
            act(store)
            pytest.fail(f"number {number} was allowed")
    cleaner.delete(digest)
    assert not cleaner.has(digest)


@pytest.mark.slow
def test_whoever_may_not_is_told_and_nothing_is_half_said(init, monkeypatch):
    assert init(*ROLES)[0] == 0
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "pipeline")
    code, value = init(*ROLES)
    assert code == 1
    assert states(value)["policy"] == states(value)["lifecycle"] == "not allowed"


def test_a_folder_is_looked_at_and_is_given_no_policy(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PERENNIAL_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)  # where no documents are
    assert main(["store", "init", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"] == []
    assert main(["store", "init", "--reader", SERVICE]) == 2
    monkeypatch.setenv("PERENNIAL_STORE", "s3://bucket/store")
    assert main(["store", "init"]) == 2
    assert "is not there; run it in the checkout" in capsys.readouterr().err


def test_two_stores_of_one_bucket_keep_their_rules_apart():
    one, other = (read_documents(DOCUMENTS, bucket="b", prefix=prefix) for prefix in ("", "other/"))
    assert "${" not in json.dumps([one, other])
    rules = merged_rules(one["lifecycle"]["Rules"], other["lifecycle"]["Rules"])
    assert len({rule["ID"] for rule in rules}) == len(rules) == 6
    who = {"reader": [SERVICE], "writer": [], "sweeper": []}
    policy = merged_policy(None, one, principals=who, deny_plain_http=True)
    both = merged_policy(policy, other, principals=who, deny_plain_http=True)
    assert len(both["Statement"]) == 2 * len(policy["Statement"]) == 8
    assert merged_policy(both, one, principals=who, deny_plain_http=True) != policy
    sids = [each["Sid"] for each in both["Statement"]]
    assert len(set(sids)) == 8 and all(sid.isalnum() for sid in sids)  # Amazon takes no others


def test_no_role_may_do_anything_but_by_name_and_only_the_sweeper_deletes_objects():
    documents = read_documents(DOCUMENTS, bucket="b", prefix="store/")
    for role in ("reader", "writer", "sweeper"):
        statements = documents[role]["Statement"]
        assert not any("*" in action for each in statements for action in each["Action"])
        deletes = [each for each in statements if "s3:DeleteObject" in each["Action"]]
        whole = ["arn:aws:s3:::b/store/*"]
        assert [each["Resource"] == whole for each in deletes] == {
            "reader": [],
            "writer": [False],
            "sweeper": [True],
        }[role]
