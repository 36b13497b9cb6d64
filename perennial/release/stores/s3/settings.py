"""A bucket made fit for a store: made, encrypted, closed to the public, tidied, shared by role."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from perennial.release.stores.s3.bucket import Bucket
from perennial.release.stores.s3.documents import merged_policy, merged_rules
from perennial.release.stores.s3.errors import Denied, NotThere, Unsupported

State = Literal["set", "already so", "left as it is", "not supported", "not allowed"]
_WHOLE = "the bucket was there before; --whole-bucket changes it for all that is in it"


@dataclass(frozen=True)
class Setting:
    """What became of one setting, in a sentence."""

    name: str
    state: State
    detail: str


def prepare_bucket(
    bucket: Bucket,
    documents: Mapping[str, Any],
    *,
    principals: Mapping[str, Sequence[str]],
    whole_bucket: bool = False,
) -> list[Setting]:
    """Make the bucket where there is none, and apply the documents; again, it changes nothing.

    Public access and default encryption are of everything in the bucket, others' prefixes too: of
    a bucket that was there before they are left as they are, except with `whole_bucket`.
    What the endpoint does not know, or these credentials may not do, is told and goes no further;
    raises PlaceUnusable where the bucket cannot be reached or made.
    """
    made = _made(bucket)
    may = whole_bucket or made.state == "set"
    steps: dict[str, Callable[[], Setting]] = {
        "public access": lambda: _public_access(bucket, documents["public-access-block"], may),
        "encryption": lambda: _encryption(bucket, documents["encryption"], may),
        "versioning": lambda: _versioning(bucket),
        "lifecycle": lambda: _lifecycle(bucket, documents["lifecycle"]),
        "policy": lambda: _policy(bucket, documents, principals),
    }
    found = [made]
    for name, step in steps.items():
        try:
            found.append(step())
        except Unsupported:
            found.append(Setting(name, "not supported", "the endpoint does not know it"))
        except Denied:
            detail = "these credentials may not; run it again as the bucket's owner"
            found.append(Setting(name, "not allowed", detail))
    return found


def _made(bucket: Bucket) -> Setting:
    try:
        bucket.call("head_bucket")
    except NotThere:
        region = bucket.client.meta.region_name
        # Amazon refuses the name of its first region here, and asks for that of any other.
        if region == "us-east-1":
            bucket.call("create_bucket")
        else:
            bucket.call("create_bucket", CreateBucketConfiguration={"LocationConstraint": region})
        return Setting("bucket", "set", f"made in {region}")
    return Setting("bucket", "already so", "it is there")


def _public_access(bucket: Bucket, wanted: Mapping[str, bool], may: bool) -> Setting:
    current = _current(bucket, "get_public_access_block", "PublicAccessBlockConfiguration")
    if current == wanted:
        return Setting("public access", "already so", "blocked")
    if not may:
        return Setting("public access", "left as it is", f"not blocked; {_WHOLE}")
    bucket.call("put_public_access_block", PublicAccessBlockConfiguration=wanted)
    return Setting("public access", "set", "blocked")


def _encryption(bucket: Bucket, document: Mapping[str, Any], may: bool) -> Setting:
    """The document's rule with the environment's key; a KMS key is never taken back to none."""
    (rule,) = document["Rules"]
    wanted = dict(rule["ApplyServerSideEncryptionByDefault"])
    if bucket.encryption:
        wanted["SSEAlgorithm"] = bucket.encryption["ServerSideEncryption"]
        if key := bucket.encryption.get("SSEKMSKeyId"):
            wanted["KMSMasterKeyID"] = key
    current = _current(bucket, "get_bucket_encryption", "ServerSideEncryptionConfiguration")
    rules = (current or {}).get("Rules", [])
    default = rules[0].get("ApplyServerSideEncryptionByDefault", {}) if rules else {}
    algorithm = default.get("SSEAlgorithm", "none")
    if default == wanted:
        return Setting("encryption", "already so", algorithm)
    if algorithm.startswith("aws:kms") and wanted["SSEAlgorithm"] == "AES256":
        detail = f"{algorithm}, which is stronger; PERENNIAL_S3_SSE names another"
        return Setting("encryption", "left as it is", detail)
    if not may:
        return Setting("encryption", "left as it is", f"{algorithm}; {_WHOLE}")
    rules = [rule | {"ApplyServerSideEncryptionByDefault": wanted}]
    bucket.call("put_bucket_encryption", ServerSideEncryptionConfiguration={"Rules": rules})
    return Setting("encryption", "set", wanted["SSEAlgorithm"])


def _versioning(bucket: Bucket) -> Setting:
    """Only told: objects never change, and what is deleted must be gone in every version."""
    status = bucket.call("get_bucket_versioning").get("Status")
    if status is None:
        return Setting("versioning", "already so", "off: nothing is ever overwritten but channels")
    detail = f"{status.lower()}: sweep and forget remove every version, the rest ages out"
    return Setting("versioning", "left as it is", detail)


def _lifecycle(bucket: Bucket, document: Mapping[str, Any]) -> Setting:
    current = _current(bucket, "get_bucket_lifecycle_configuration", "Rules") or []
    wanted = merged_rules(current, document["Rules"])
    names = ", ".join(rule["ID"].split("-", 2)[2] for rule in document["Rules"])
    if _by_name(current) == _by_name(wanted):
        return Setting("lifecycle", "already so", names)
    bucket.call("put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": wanted})
    return Setting("lifecycle", "set", names)


def _policy(
    bucket: Bucket, documents: Mapping[str, Any], principals: Mapping[str, Sequence[str]]
) -> Setting:
    named = [role for role, who in principals.items() if who]
    if not named:
        detail = "nobody was named; name --reader, --writer and --sweeper, or attach the documents"
        return Setting("policy", "left as it is", detail)
    text = _current(bucket, "get_bucket_policy", "Policy")
    current = json.loads(text) if text else None
    # Behind a proxy that ends TLS a look-alike sees plain HTTP, and would shut everybody out.
    host = urlsplit(bucket.client.meta.endpoint_url).hostname or ""
    wanted = merged_policy(
        current,
        documents,
        principals=principals,
        deny_plain_http=host.endswith((".amazonaws.com", ".amazonaws.com.cn")),
    )
    detail = ", ".join(f"{role} for {', '.join(principals[role])}" for role in named)
    if current is not None and _by_sid(current) == _by_sid(wanted):
        return Setting("policy", "already so", detail)
    bucket.call("put_bucket_policy", Policy=json.dumps(wanted))
    return Setting("policy", "set", detail)


def _current(bucket: Bucket, operation: str, field: str) -> Any:
    try:
        return bucket.call(operation).get(field)
    except NotThere:
        return None


def _by_name(rules: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted(json.dumps(rule, sort_keys=True, default=str) for rule in rules)


def _by_sid(policy: Mapping[str, Any]) -> list[str]:
    def plain(value: Any) -> Any:
        """A list of one is given back as the one by some, and in another order by others."""
        if isinstance(value, dict):
            return {name: plain(each) for name, each in value.items()}
        if isinstance(value, list):
            return sorted(map(str, value))  # actions, resources, principals
        return [value] if isinstance(value, str) else value

    statements = policy.get("Statement", [])
    return sorted(json.dumps(plain(each), sort_keys=True) for each in statements)
