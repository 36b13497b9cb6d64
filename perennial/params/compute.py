"""Where the heavy parts are computed; the only section that changes no result."""

from typing import Annotated, Literal

from pydantic import Field

from perennial.params.section import Count, Positive, Section


class Compute(Section):
    backend: Literal["local", "ray"]
    cpus: Count
    ahead: Annotated[int, Field(ge=0)]
    patience_seconds: Positive
