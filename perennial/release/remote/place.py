"""From the address that the environment names to the bucket of DVC's remote."""

from perennial.release.stores.open import bucket_of
from perennial.release.stores.s3.bucket import Bucket
from perennial.workspace import s3_encryption

_CONNECTIONS = 8
_TIMEOUT_SECONDS = 30.0
_ATTEMPTS = 5


def open_remote(address: str) -> Bucket:
    """The prefix of the bucket; nothing is sent yet. Raises BadInput for another address.

    Endpoint, region and credentials are boto3's to find in the environment, as the store's are.
    """
    name, prefix = bucket_of(address, what="PERENNIAL_DVC_REMOTE")
    sse, kms_key_id = s3_encryption()
    return Bucket(
        name,
        prefix,
        sse=sse,
        kms_key_id=kms_key_id,
        connections=_CONNECTIONS,
        timeout_seconds=_TIMEOUT_SECONDS,
        attempts=_ATTEMPTS,
    )
