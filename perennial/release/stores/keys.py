"""The keys that every store keeps its things under, and back from a key to what it names."""

import re

from perennial.errors import BadInput

_DIGEST = re.compile(r"sha256:([0-9a-f]{2})([0-9a-f]{62})")
_OBJECT = re.compile(r"objects/([0-9a-f]{2})/(\1[0-9a-f]{62})")
RELEASE_ID = re.compile(r"rel-[0-9a-f]{12}")
CHANNEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
RECORD = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}(/[a-z0-9][a-z0-9._-]{0,62})?")


def object_key(digest: str) -> str:
    """`objects/<aa>/<hex>`; raises BadInput for what is no digest."""
    match = _DIGEST.fullmatch(digest)
    if match is None:
        raise BadInput(f"{digest!r} is not a digest; write sha256: and 64 hex digits")
    return f"objects/{match[1]}/{match[1]}{match[2]}"


def digest_of(key: str) -> str | None:
    """The digest of an object's key; None for any other key."""
    match = _OBJECT.fullmatch(key)
    return None if match is None else f"sha256:{match[2]}"


def manifest_key(release_id: str) -> str:
    """`releases/<release_id>.json`; raises BadInput for what is no release id."""
    return f"releases/{_checked_release(release_id)}.json"


def pending_key(release_id: str) -> str:
    """`pending/<release_id>.json`; raises BadInput for what is no release id."""
    return f"pending/{_checked_release(release_id)}.json"


def channel_key(name: str) -> str:
    """`channels/<name>.json`; raises BadInput for what is no channel's name."""
    if CHANNEL.fullmatch(name) is None:
        raise BadInput(f"{name!r} is not a channel name; use lower case, digits and . _ -")
    return f"channels/{name}.json"


def record_key(name: str) -> str:
    """`records/<name>.json`, the name with one slash at most; raises BadInput."""
    if RECORD.fullmatch(name) is None:
        raise BadInput(f"{name!r} is not a record's name; use lower case, digits, . _ - and one /")
    return f"records/{name}.json"


def _checked_release(release_id: str) -> str:
    if RELEASE_ID.fullmatch(release_id) is None:
        raise BadInput(
            f"{release_id!r} is not a release id (rel- and 12 hex digits); "
            "`perennial status` lists them"
        )
    return release_id
