"""The last accepted snapshot's profile: what this log is compared to, never a failed one."""

import json
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from perennial.errors import BadInput

FORMAT_VERSION = 1
NONE_YET = "no snapshot of this channel was accepted before"
Count = Annotated[int, Field(ge=0)]
Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Day(_Part):
    """A day's requests, in UTC."""

    day: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
    requests: Count


class Languages(_Part):
    """Requests by language in a sample, and what told them: other versions tell otherwise."""

    by: str
    requests: dict[str, Count]


class Reference(_Part):
    """The parts of a profile that a later log is compared to."""

    days: list[Day]
    query_characters: dict[str, Number]
    query_words: dict[str, Count]
    scripts: dict[str, Number]
    requests: Count
    languages: Languages | None = None


class _Accepted(_Part):
    format_version: int
    profile: Reference | None


def read_reference(path: Path) -> Reference | None:
    """snapshot/accepted.json's profile, None where it has none; raises BadInput."""
    try:
        accepted = _Accepted.model_validate(json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise BadInput(
            f"{path} is not there, so nobody knows what to compare the log with; "
            "run `perennial snapshot` to take a new one."
        ) from None
    except (ValueError, ValidationError) as error:
        reason = " ".join(str(error).split())[:300]
        raise BadInput(
            f"{path} does not describe an accepted snapshot ({reason}); "
            "run `perennial snapshot` to take a new one."
        ) from error
    if accepted.format_version != FORMAT_VERSION:
        raise BadInput(
            f"{path} has format_version {accepted.format_version}, this version reads "
            f"{FORMAT_VERSION}; run `perennial snapshot` to take a new one."
        )
    return accepted.profile
