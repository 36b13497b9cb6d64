"""What can be wrong with a bucket, a key, a clock or a server is said in one sentence each."""

from datetime import timedelta

import botocore.auth
import pytest
from lossy import FAIL, LOSE_REQUEST, lossy
from seaweed import READERS_ACCESS_KEY, open_s3

from perennial.cli import main
from perennial.errors import PlaceUnusable
from perennial.release.stores.store import PendingNote

pytestmark = pytest.mark.slow
NOTE = PendingNote(1, "rel-" + "a" * 12, "2026-01-05T12:00:00Z", ())
NOWHERE = "sha256:" + "0" * 64
LOOKS = [
    lambda store: store.read_channel("production"),
    lambda store: store.size(NOWHERE),
    lambda store: store.release_ids(),
    lambda store: store.put_bytes(b"data"),
    lambda store: store.write_pending(NOTE),
    lambda store: store.swap_record("sweep", None, b"{}"),
]


def all_say(store, sentence, looks=LOOKS):
    for look in looks:
        with pytest.raises(PlaceUnusable, match=sentence) as caught:
            look(store)
        assert str(caught.value).startswith(f"{store.place} ") and "\n" not in str(caught.value)


def test_a_wrong_access_key(s3_store, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    all_say(open_s3(s3_store.bucket.name), "does not know the access key; correct AWS_ACCESS_KEY")


def test_a_wrong_secret_key_which_is_never_printed(s3_store, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    store = open_s3(s3_store.bucket.name)
    all_say(store, r"refuses the secret key; correct AWS_SECRET_ACCESS_KEY(?!.*hunter2)")


def test_no_credentials(s3_store, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    all_say(
        open_s3(s3_store.bucket.name), "needs credentials, and none are set; set AWS_ACCESS_KEY_ID"
    )


def test_half_of_the_credentials(s3_store, monkeypatch):
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    all_say(open_s3(s3_store.bucket.name), "needs credentials, and none are set")


def test_a_missing_bucket(s3_store):
    looks = [look for i, look in enumerate(LOOKS) if i != 1]  # HEAD cannot tell it from no object
    all_say(open_s3("no-such-bucket"), "no such bucket; make it, or correct PERENNIAL_STORE", looks)


def test_credentials_that_may_not_write(s3_store, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", READERS_ACCESS_KEY)
    store = open_s3(s3_store.bucket.name)
    assert store.release_ids() == []
    all_say(store, "is closed to these credentials; allow them s3:GetObject", LOOKS[3:])


def test_a_clock_that_is_off(s3_store, monkeypatch):
    true = botocore.auth.get_current_datetime
    monkeypatch.setattr(
        botocore.auth, "get_current_datetime", lambda *a, **k: true(*a, **k) - timedelta(hours=2)
    )
    all_say(open_s3(s3_store.bucket.name), "refuses this machine's clock, .*set the clock")


def test_a_server_that_is_not_there(s3_store, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    store = open_s3(s3_store.bucket.name, attempts=1)
    all_say(store, r"does not answer at http://127.0.0.1:9 .*look at the network, at AWS_ENDPOINT")


def test_an_endpoint_that_is_no_address(s3_store, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "nonsense")
    all_say(
        open_s3(s3_store.bucket.name), "Invalid endpoint: nonsense.*correct AWS_ENDPOINT_URL_S3"
    )


def test_a_profile_that_is_not_there(s3_store, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobodys")
    all_say(open_s3(s3_store.bucket.name), "nobodys.*correct the AWS settings")


def test_an_endpoint_that_speaks_no_tls(s3_store, s3_server, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_server.endpoint.replace("http:", "https:"))
    store = open_s3(s3_store.bucket.name, attempts=1)
    all_say(store, "no certificate .* that can be trusted", LOOKS[:1])


@pytest.mark.parametrize("fault", [FAIL, LOSE_REQUEST])
def test_failures_that_pass_are_waited_out_and_lasting_ones_are_told(
    fault, s3_store, s3_server, monkeypatch
):
    with lossy(s3_server.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        store = open_s3(s3_store.bucket.name, attempts=3)
        for method in ("GET", "PUT", "HEAD"):
            proxy.times(2, fault, method, "/")
            store.put_bytes(method.encode())
            store.read_channel("production")
        proxy.fault = lambda request: fault
        with pytest.raises(PlaceUnusable, match=r"wait until the service is well|does not answer"):
            store.read_channel("production")


def test_the_command_line_says_it_in_one_line_and_exits_with_2(s3_store, monkeypatch, capsys):
    monkeypatch.setenv("PERENNIAL_STORE", "s3://no-such-bucket/search")
    assert main(["status"]) == 2
    err = capsys.readouterr().err
    assert (
        err.startswith("perennial: s3://no-such-bucket/search does not exist")
        and err.count("\n") == 1
    )
