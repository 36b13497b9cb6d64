"""A service that ignores conditions is refused; where answers are lost, the winner still knows."""

import os

import pytest
from careless import careless
from lossy import FAIL, FAIL_AFTER, LOSE_ANSWER, LOSE_REQUEST, STALL, lossy, patience
from seaweed import open_s3

from perennial.errors import Conflict, PlaceUnusable
from perennial.release.channels.transitions import Signed, promoted

pytestmark = pytest.mark.slow
A, B = "rel-" + "a" * 12, "rel-" + "b" * 12
EVERYTHING = [LOSE_REQUEST, LOSE_ANSWER, FAIL, FAIL_AFTER, STALL]


def swap_to(channel, release_id, who="test"):
    by = Signed(at="now", who=who, write_id=os.urandom(8).hex())
    return promoted(channel, release_id, name="production", lineage=None, why="", by=by)


@pytest.fixture
def proxy(s3_server):
    with lossy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def far(request, s3_store, proxy, monkeypatch):
    """A store behind the proxy that never retries a request by itself."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
    store = open_s3(s3_store.bucket.name, attempts=1, timeout_seconds=patience(request))
    store.bucket.client  # noqa: B018  built while the environment leads to the proxy
    return store


def test_a_good_service_is_asked_once_and_keeps_no_probe(s3_store, proxy, far):
    far.compare_and_swap("production", None, one := swap_to(None, A))
    asked = len(proxy.seen)
    assert asked <= 10
    far.compare_and_swap("production", one, swap_to(one, B))
    assert [request.method for request in proxy.seen[asked:]] == ["GET", "PUT"]
    keys = [row["Key"] for row in s3_store.bucket.list("")]
    assert keys == ["channels/production.json"]


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
def test_a_service_that_ignores_a_condition_is_refused_with_the_reason(
    header, s3_store, monkeypatch
):
    with careless(header) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.endpoint)
        store = open_s3("bucket")
        with pytest.raises(PlaceUnusable, match=f"ignores {header}: .* Amazon S3 or SeaweedFS"):
            store.compare_and_swap("production", None, swap_to(None, A))
        with pytest.raises(PlaceUnusable, match=f"ignores {header}"):
            store.swap_record("sweep", None, b"x")
        assert server.objects == {}


def test_a_service_that_takes_bare_etags_only_is_understood(s3_store, monkeypatch):
    with careless(bare_tags=True) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.endpoint)
        store = open_s3("bucket")
        store.compare_and_swap("production", None, one := swap_to(None, A))
        store.compare_and_swap("production", one, two := swap_to(one, B))
        with pytest.raises(Conflict):
            store.compare_and_swap("production", one, swap_to(one, A))
        assert store.read_channel("production") == two


@pytest.mark.parametrize("fault", EVERYTHING)
@pytest.mark.parametrize("first", [True, False])
def test_a_winner_whose_answer_is_lost_knows_that_it_won(fault, first, far, proxy):
    far.check_conditions()
    before = None
    if not first:
        far.compare_and_swap("production", None, before := swap_to(None, A))
    new = swap_to(before, B)
    proxy.once(fault, "PUT", "channels/")
    far.compare_and_swap("production", before, new)
    assert far.read_channel("production") == new


@pytest.mark.parametrize("fault", [LOSE_ANSWER, FAIL_AFTER])
def test_a_winner_who_was_overtaken_before_it_could_look_knows_too(fault, far, s3_store, proxy):
    far.compare_and_swap("production", None, start := swap_to(None, A))
    ours = swap_to(start, B)

    def overtaken(request):
        if request.method == "PUT" and "channels/" in request.path:
            proxy.fault = before_the_next_look
            return fault
        return "pass"

    def before_the_next_look(request):
        proxy.fault = lambda request: "pass"
        s3_store.compare_and_swap("production", ours, swap_to(ours, A, who="the others"))
        return "pass"

    far.check_conditions()
    proxy.fault = overtaken
    far.compare_and_swap("production", start, ours)
    assert far.read_channel("production").generation == 3


@pytest.mark.parametrize("fault", EVERYTHING)
def test_a_loser_is_told_so_whatever_is_lost(fault, far, s3_store, proxy):
    far.compare_and_swap("production", None, start := swap_to(None, A))

    def raced(request):
        if request.method == "PUT" and "channels/" in request.path:
            proxy.fault = lambda request: "pass"
            s3_store.compare_and_swap("production", start, swap_to(start, B, who="the others"))
            return fault
        return "pass"

    far.check_conditions()
    proxy.fault = raced
    with pytest.raises(Conflict, match=f"{B}.* by the others: somebody else wrote first"):
        far.compare_and_swap("production", start, swap_to(start, A))
    assert far.read_channel("production").generation == 2


def test_a_service_that_stays_silent_leaves_the_write_open_and_says_so(far, proxy):
    far.check_conditions()
    proxy.fault = lambda request: LOSE_ANSWER
    with pytest.raises(PlaceUnusable, match=r"does not answer at http.*whether the server runs"):
        far.compare_and_swap("production", None, swap_to(None, B))  # it could not even look

    def after_the_write(request):
        if request.method == "PUT":
            proxy.fault = lambda request: LOSE_ANSWER
            return LOSE_ANSWER
        return "pass"

    proxy.fault = after_the_write
    with pytest.raises(PlaceUnusable, match=r"does not say whether the write of channels/produc"):
        far.compare_and_swap("production", None, swap_to(None, A))
    proxy.fault = lambda request: "pass"
    assert far.read_channel("production").stable == A


@pytest.mark.parametrize("fault", EVERYTHING)
def test_a_record_too_is_swapped_once_whatever_is_lost(fault, far, proxy):
    far.check_conditions()
    proxy.once(fault, "PUT", "records/")
    far.swap_record("sweep", None, b"mine")
    proxy.once(fault, "PUT", "records/")
    far.swap_record("sweep", b"mine", None)
    assert far.read_record("sweep") is None


@pytest.mark.parametrize("fault", EVERYTHING)
def test_the_check_itself_survives_lost_answers(fault, s3_store, proxy, monkeypatch, request):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
    for step in range(1, 5):
        store = open_s3(s3_store.bucket.name, attempts=3, timeout_seconds=patience(request))
        store.bucket.client  # noqa: B018
        first = len(proxy.seen)
        proxy.fault = lambda request: fault if request.number == first + step else "pass"  # noqa: B023
        store.check_conditions()


def test_polling_a_channel_that_did_not_move_brings_no_bytes(far, proxy, s3_store):
    far.compare_and_swap("production", None, one := swap_to(None, A))
    first = far.read_channel("production")
    answers = []
    far.bucket.client.meta.events.register(
        "response-received.s3.GetObject",
        lambda response_dict, **_: answers.append(response_dict["status_code"]),
    )
    assert far.read_channel("production") is first == one
    s3_store.compare_and_swap("production", one, two := swap_to(one, B))
    assert far.read_channel("production") == two
    assert far.read_channel("production") == two
    assert answers == [304, 200, 304]
