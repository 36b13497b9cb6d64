import hashlib
import hmac
import math
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.errors import BadInput, IntegrityError
from perennial.release.manifests.canonical import (
    canonical_json,
    check_signature,
    parse_utc,
    sign,
    utc_text,
)

AWARE = st.datetimes(timezones=st.just(UTC) | st.just(timezone(timedelta(hours=5, minutes=30))))


@given(st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False) | st.integers()))
def test_canonical_json_does_not_depend_on_the_order_of_keys(value):
    backwards = dict(reversed(value.items()))
    assert canonical_json(value) == canonical_json(backwards)


@pytest.mark.parametrize("value", [math.nan, math.inf, np.float32(1), object(), {1: 2, "1": 3}])
def test_what_json_cannot_say_is_bad_input(value):
    with pytest.raises(BadInput, match="JSON"):
        canonical_json({"health": value})


@given(AWARE)
def test_a_time_survives_its_text(moment):
    assert parse_utc(utc_text(moment)) == moment
    assert utc_text(moment).endswith("Z")


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(BadInput, match="no zone"):
        utc_text(datetime(2026, 1, 5))
    with pytest.raises(BadInput, match="no zone"):
        parse_utc("2026-01-05T00:00:00")
    with pytest.raises(BadInput, match="not an ISO 8601 time"):
        parse_utc("yesterday")


KEYS = st.binary(min_size=1).filter(lambda key: b"," not in key)


@given(payload=st.binary(), key=KEYS, other=KEYS)
def test_only_the_same_key_and_payload_make_the_signature(payload, key, other):
    check_signature(payload, sign(payload, key), key, what="it")
    with pytest.raises(IntegrityError, match="altered"):
        check_signature(payload + b"x", sign(payload, key), key, what="it")
    with pytest.raises(IntegrityError, match="not signed"):
        check_signature(payload, None, key, what="it")
    if other.rstrip(b"\0") != key.rstrip(b"\0"):  # HMAC pads short keys with zeros
        with pytest.raises(IntegrityError, match="another key"):
            check_signature(payload, sign(payload, other), key, what="it")


@given(payload=st.binary(), new=KEYS, old=KEYS)
def test_of_several_keys_the_first_signs_and_each_is_believed(payload, new, old):
    both = new + b"," + old
    assert sign(payload, both) == sign(payload, new)
    for key in (new, old):
        check_signature(payload, sign(payload, key), both, what="it")
        with pytest.raises(IntegrityError, match="altered"):
            check_signature(payload + b"x", sign(payload, key), both, what="it")


def test_keys_that_are_rotated_out_are_believed_no_longer():
    check_signature(b"it", sign(b"it", b"old"), b"new,old", what="it")
    with pytest.raises(IntegrityError, match="another key"):
        check_signature(b"it", sign(b"it", b"old"), b"new", what="it")


def test_a_key_with_a_comma_that_was_one_key_is_still_believed():
    mac = hmac.new(b"one, old key\n", b"it", hashlib.sha256).hexdigest()
    check_signature(b"it", f"hmac-sha256:{mac}", b"one, old key\n", what="it")
