"""What an S3 endpoint's refusals mean, in one sentence each, with what to do about it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from perennial.errors import PlaceUnusable


class NotThere(PlaceUnusable):
    """No object has that key."""


class NotModified(PlaceUnusable):
    """The object still has the ETag that was asked about."""


class ConditionFailed(PlaceUnusable):
    """If-Match or If-None-Match did not hold, or another write was under way."""


class NoUpload(PlaceUnusable):
    """The multipart upload was completed or aborted by somebody, or has other parts."""


class Unsupported(PlaceUnusable):
    """The service does not know that request."""


class Denied(PlaceUnusable):
    """These credentials may not do that."""


class Uncertain(PlaceUnusable):
    """No answer, or a server's failure: whether the request counted is not known."""


_KINDS: dict[str, type[PlaceUnusable]] = {
    "NoSuchKey": NotThere,
    "404": NotThere,
    "NoSuchBucketPolicy": NotThere,
    "NoSuchLifecycleConfiguration": NotThere,
    "NoSuchPublicAccessBlockConfiguration": NotThere,
    "ServerSideEncryptionConfigurationNotFoundError": NotThere,
    "304": NotModified,
    "PreconditionFailed": ConditionFailed,
    "412": ConditionFailed,
    "ConditionalRequestConflict": ConditionFailed,
    "OperationAborted": ConditionFailed,
    "409": ConditionFailed,
    "NoSuchUpload": NoUpload,
    "InvalidPart": NoUpload,
    "InvalidPartOrder": NoUpload,
    "NotImplemented": Unsupported,
    "MethodNotAllowed": Unsupported,
    "501": Unsupported,
    "AccessDenied": Denied,
    "AllAccessDisabled": Denied,
    "403": Denied,
    "SlowDown": Uncertain,
    "Throttling": Uncertain,
    "RequestTimeout": Uncertain,
    "BadDigest": Uncertain,  # the bytes were altered on their way
}
_DENIED = (
    "is closed to these credentials; allow them s3:GetObject, s3:PutObject, s3:DeleteObject, "
    "s3:ListBucket (and the same of versions, where it keeps any) and its KMS key, or set others"
)
_SESSION = "refuses the session token, which is wrong or has expired; sign in for new credentials"
_REGION = "is in another region than the requests name; set AWS_REGION to the bucket's"
_SENTENCES = {
    "InvalidAccessKeyId": "does not know the access key; correct AWS_ACCESS_KEY_ID or AWS_PROFILE",
    "SignatureDoesNotMatch": "refuses the secret key; correct AWS_SECRET_ACCESS_KEY or AWS_PROFILE",
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "403": _DENIED,
    "ExpiredToken": _SESSION,
    "InvalidToken": _SESSION,
    "NoSuchBucket": "does not exist: there is no such bucket; make it, or correct PERENNIAL_STORE "
    "or --path",
    "RequestTimeTooSkewed": "refuses this machine's clock, which is off by minutes; set the clock",
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
}


@contextmanager
def explained(place: str, endpoint: str) -> Iterator[None]:
    """Turns what boto3 raises into PlaceUnusable, or into the kinds of it above."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectionError,
        HTTPClientError,
        IncompleteReadError,
        NoCredentialsError,
        PartialCredentialsError,
        SSLError,
    )

    try:
        yield
    except ClientError as error:
        raise _refusal(place, error.response, error.operation_name) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise PlaceUnusable(
            f"{place} needs credentials, and none are set; set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        ) from error
    except SSLError as error:
        raise PlaceUnusable(
            f"{place} has no certificate at {endpoint} that can be trusted ({error}); set "
            "AWS_CA_BUNDLE to the authority that signed it, or correct AWS_ENDPOINT_URL_S3"
        ) from error
    except (ConnectionError, HTTPClientError, IncompleteReadError) as error:
        raise Uncertain(
            f"{place} does not answer at {endpoint} ({type(error).__name__}); look at the network, "
            "at AWS_ENDPOINT_URL_S3, and whether the server runs"
        ) from error
    except BotoCoreError as error:
        raise PlaceUnusable(
            f"{place} cannot be used ({error}); correct the AWS settings"
        ) from error


def _refusal(place: str, response: dict[str, Any], operation: str) -> PlaceUnusable:
    about = response.get("Error", {})
    code, message = str(about.get("Code", "")), str(about.get("Message", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if sentence := _SENTENCES.get(code):
        return _KINDS.get(code, PlaceUnusable)(f"{place} {sentence}")
    if code.startswith("KMS"):
        return PlaceUnusable(
            f"{place} cannot use the KMS key ({message}); correct PERENNIAL_S3_KMS_KEY_ID"
        )
    answer = f"{place} answers {code or status} to {operation} ({' '.join(message.split())})"
    kind = _KINDS.get(code) or (Uncertain if status >= 500 else PlaceUnusable)
    return kind(f"{answer}; {_REMEDIES.get(kind, 'run the same command again')}")


_REMEDIES = {
    Uncertain: "wait until the service is well, then run the same command again",
    Unsupported: "keep the store on a service that has it",
    PlaceUnusable: "look that up in the provider's documentation",
}
