"""What every section of params.yaml is, and the kinds of numbers in them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Width = Annotated[int, Field(ge=2)]  # of one coordinate only the sign is left
Positive = Annotated[float, Field(gt=0)]
Rate = Annotated[float, Field(gt=0, le=1)]
Margin = Annotated[float, Field(gt=0, le=2)]  # no two unit vectors are further apart
Temperature = Annotated[float, Field(ge=0.001)]  # below it exp(1 / temperature) is beyond float64
Seed = Annotated[int, Field(ge=0, lt=2**32)]
NotNegative = Annotated[float, Field(ge=0)]
Metric = Literal["recall@1", "recall@10", "recall@100", "mrr@10", "ndcg@10", "map"]


class Section(BaseModel):
    """One section of params.yaml: frozen, no unknown keys, no silent conversion, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
