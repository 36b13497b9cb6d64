"""params.yaml, parsed once and strictly at the door; what each number means stands beside it there.

A stage gets its own section; the rooms get plain values and never see these classes.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from perennial.errors import ParamsInvalid

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


def _in_utc(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() != timedelta(0):
        raise ValueError("a time in UTC is needed, such as 2026-01-05T00:00:00Z")
    return text


def _tested_factory(name: str) -> str:
    codes = r"(Flat|SQ8|PQ[1-9]\d*(x8)?)"
    if not re.fullmatch(rf"auto|Flat|IVF[1-9]\d*,{codes}|HNSW[1-9]\d*(,Flat)?", name):
        raise ValueError(
            "not a tested index (others cannot filter dead rows, or not be merged); choose one of "
            "auto, Flat, IVFn,Flat, IVFn,SQ8, IVFn,PQm, HNSWm"
        )
    return name


class Section(BaseModel):
    """One section of params.yaml: frozen, no unknown keys, no silent conversion, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Source(Section):
    columns: dict[str, dict[str, str]]


class Split(Section):
    held_out_share: Annotated[float, Field(gt=0, lt=1)]
    salt: str


class Snapshot(Section):
    window_days: Count
    click_window_seconds: Annotated[int, Field(ge=0)]
    max_unknown_share: Share
    lineages: Count
    min_query_sessions: Count
    memory_mb: Annotated[int, Field(ge=64)]


class Validate(Section):
    max_text_characters: Count
    max_query_characters: Count
    min_requests: Count
    min_clicks: Count
    max_null_slice_share: Share
    sample_rows: Count
    on_broken_rows: Literal["strict", "quarantine"]
    max_quarantined_share: Share
    max_requests_per_minute: Count
    max_requests_per_session: Count
    max_bot_share: Share
    max_dwell_seconds: Count
    min_click_fall: NotNegative
    max_volume_change: Share
    max_query_shift: Share
    memory_mb: Annotated[int, Field(ge=64)]


class Judge(Section):
    model: Literal["auto", "position", "cascade", "plain"]
    min_links: Count
    significance: Share
    max_misfit: Share
    short_dwell_seconds: Annotated[float, Field(ge=0)]
    short_dwell_weight: Share
    calibration_labels: Count
    min_examinations: Count
    min_click_rate: Share
    max_negative_rate: Share
    confidence: Annotated[float, Field(gt=0, lt=1)]


class Mine(Section):
    max_positives: Count
    teacher: Annotated[str, Field(min_length=1)]
    search: Literal["exact", "index"]
    precision: Literal["auto", "float32", "bf16"]
    skip_neighbours: Annotated[int, Field(ge=0)]
    neighbours: Count
    negatives: Count
    log_negatives: Annotated[int, Field(ge=0)]
    random_negatives: Annotated[int, Field(ge=0)]
    max_positive_share: Share
    absolute_margin: Annotated[float, Field(ge=0, le=2)]
    similar_query: Annotated[float, Field(gt=0, le=2)]
    min_resemblance: Rate
    max_short_share: Share
    max_relevant_share: Share
    examples: Annotated[int, Field(ge=0)]
    seed: Seed


class Audit(Section):
    min_negatives: Count
    min_share: Share
    max_hub_share: Rate
    sample_rows: Count
    memory_mb: Annotated[int, Field(ge=64)]


def _kind(value: object) -> str:
    return "<schedule>" if isinstance(value, Mapping | Section) else "<value>"


_KINDS = ("<value>", "<schedule>")  # of what may change during a run; no part of a dotted name
MiningName = Literal["given", "semi-hard", "batch-hard", "batch-all"]


class MiningSwitch(Section):
    start: MiningName
    end: MiningName
    share: Share


class MarginRamp(Section):
    start: Margin
    end: Margin


class TemperatureRamp(Section):
    start: Temperature
    end: Temperature


class Lesson(Section):
    from_epoch: Annotated[int, Field(ge=0)]
    log: NotNegative
    ann: NotNegative
    random: NotNegative
    easiest: Annotated[float, Field(ge=0, lt=1)]
    hardest: Rate


class Train(Section):
    base: Annotated[str, Field(min_length=1)]
    loss: Literal["triplet", "contrastive", "infonce", "supcon", "proxy-nca"]
    mining: Annotated[
        Annotated[MiningName, Tag("<value>")] | Annotated[MiningSwitch, Tag("<schedule>")],
        Discriminator(_kind),
    ]
    distance: Literal["cosine", "euclidean"]
    margin: Annotated[
        Annotated[Margin, Tag("<value>")] | Annotated[MarginRamp, Tag("<schedule>")],
        Discriminator(_kind),
    ]
    soft_margin: bool
    temperature: Annotated[
        Annotated[Temperature, Tag("<value>")] | Annotated[TemperatureRamp, Tag("<schedule>")],
        Discriminator(_kind),
    ]
    epochs: Count
    batch_queries: Annotated[int, Field(ge=2)]
    hard_negatives: Annotated[int, Field(ge=0)]
    curriculum: list[Lesson]
    remine_every: Annotated[int, Field(ge=0)]
    learning_rate: Rate
    warmup_share: Share
    weight_decay: NotNegative
    clip_norm: NotNegative
    max_tokens: Count
    precision: Literal["float32", "bf16"]
    tokens_per_forward: Count
    gradient_caching: bool
    dropout: Annotated[float, Field(ge=0, lt=1)] | None
    freeze_layers: Annotated[int, Field(ge=0)]
    dimensions: list[Width]
    dimension: Width | None
    min_rank_share: Share
    max_norm_growth: Annotated[float, Field(gt=1)]
    validation_share: Annotated[float, Field(ge=0, lt=1)]
    patience: Count
    checkpoint_steps: Count
    replay_share: Annotated[float, Field(ge=0, lt=1)]
    seed: Seed


class Index(Section):
    factory: Annotated[str, AfterValidator(_tested_factory)]
    memory_mb: Count
    recall_target: Rate
    lexical: bool
    reference_queries: Count
    reference_vectors: Count
    batch_size: Count
    seed: Seed


class Evaluate(Section):
    bootstrap_samples: Annotated[int, Field(ge=100)]
    randomisations: Annotated[int, Field(ge=99, lt=1_000_000)]
    neighbours: Count
    neighbour_documents: Count
    confidence: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed


class Rule(Section):
    min_gain: float | None = None
    max_loss: NotNegative | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "Rule":
        if (self.min_gain is None) == (self.max_loss is None):
            raise ValueError("a rule is either min_gain or max_loss; give one of them")
        return self


class Gate(Section):
    metric: Metric
    min_gain: float
    max_loss: NotNegative
    rules: dict[Metric, Rule]
    floors: dict[Metric, Share]
    max_slice_loss: NotNegative
    min_slice_queries: Count
    max_lexical_loss: NotNegative
    min_queries: Count
    min_judged: Share
    judged_gap: Share
    min_ann_recall: Share
    min_coverage: Share
    min_self_retrieval: Share
    max_imbalance: Positive
    min_effective_rank: Positive
    max_mean_similarity: Share
    max_latency_ratio: Positive
    smoke_queries: Annotated[int, Field(ge=20)]
    review: Literal["auto", "required"]


class Report(Section):
    examples: Count
    ordinary: Count
    unjudged: Count
    seed: Seed


class Shadow(Section):
    queries: Count
    mirrored: Count
    min_mirrored: Count
    persistence: Annotated[float, Field(gt=0, lt=1)]
    min_overlap: Share
    max_latency_ratio: Positive
    max_zero_results: Share
    max_failed_share: Share
    max_click_loss: NotNegative
    pages: Count
    max_weight: Annotated[float, Field(ge=1)]
    min_effective: NotNegative
    min_seen: Share
    examples: Count
    seed: Seed


class CanaryStep(Section):
    share: Annotated[float, Field(gt=0, lt=1)]
    margin: Annotated[float, Field(gt=0, lt=1)]
    min_hours: NotNegative
    max_hours: Positive


class CanarySplit(Section):
    ratio: Rate
    slow: Rate
    failed: Rate
    empty: Rate
    loss: Rate
    advance: Rate


def _whole(split: CanarySplit) -> CanarySplit:
    total = sum(split.model_dump().values())
    if abs(total - 1) > 1e-9:
        raise ValueError(f"the parts of alpha must add up to 1, not {total:g}")
    return split


def _growing(steps: list[CanaryStep]) -> list[CanaryStep]:
    for before, after in itertools.pairwise(steps):
        if after.share <= before.share or after.margin > before.margin:
            raise ValueError("each step must have a greater share, and no greater margin")
    return steps


class Canary(Section):
    method: Literal["sessions", "interleaving"]
    shadow_min_hours: NotNegative
    shadow_max_hours: Positive
    steps: Annotated[list[CanaryStep], Field(min_length=1), AfterValidator(_growing)]
    max_loss: Annotated[float, Field(ge=0, lt=1)]
    design_loss: Annotated[float, Field(gt=0, lt=1)]
    alpha: Annotated[float, Field(gt=0, lt=1)]
    split: Annotated[CanarySplit, AfterValidator(_whole)]
    slow_ratio: Positive
    max_slow: Share
    max_failed: Share
    max_empty: Share
    success_dwell_seconds: NotNegative
    session_seconds: NotNegative
    settle_seconds: NotNegative
    baseline_days: Count
    min_baseline_sessions: Count
    memory_mb: Annotated[int, Field(ge=64)]
    sessions: Annotated[int, Field(ge=2)]
    seed: Seed

    @field_validator("max_loss")
    @classmethod
    def _below_every_margin(cls, loss: float, known: ValidationInfo) -> float:
        steps = known.data.get("steps")
        if steps and loss > steps[-1].margin:
            raise ValueError(
                f"above the last step's margin of {steps[-1].margin:g}, what is stopped would "
                "change from step to step, and alpha would be spent more than once; give it that "
                "margin at most"
            )
        return loss


class Reindex(Section):
    max_removed_share: Share
    lexical_first: Annotated[int, Field(ge=0)]
    fanout: Annotated[int, Field(ge=2)]
    max_segments: Count
    max_dead_share: Annotated[float, Field(gt=0, le=1)]
    probes: Count
    min_ann_recall: Share
    min_coverage: Share
    min_self_retrieval: Share
    max_imbalance: Annotated[float, Field(ge=1)]
    max_imbalance_growth: Annotated[float, Field(ge=1)]
    max_recall_loss: Share
    max_codes_loss: Share
    confidence: Annotated[float, Field(gt=0, lt=1)]
    cache_mb: Count
    seed: Seed


class Bootstrap(Section):
    dimension: Count
    vocabulary: Annotated[int, Field(ge=300)]
    epochs: Count
    batch_queries: Annotated[int, Field(ge=2)]
    learning_rate: Rate
    margin: Margin
    seed: Seed


class Bridge(Section):
    sample: Count
    held_out_share: Annotated[float, Field(gt=0, lt=1)]
    queries: Count
    ridge: NotNegative
    rank: Count | None
    min_recall: Share
    seed: Seed


class Simulate(Section):
    start: Annotated[str, AfterValidator(_in_utc)]
    days: Count
    sessions: Count
    results: Annotated[int, Field(ge=2)]
    position_decay: NotNegative
    click_if_relevant: Share
    click_if_not: Share
    stop_after_click: Share
    abandon: Share
    max_requests: Count
    explore: Share
    seed: Seed


class Serve(Section):
    explore: Share
    max_queries: Count
    max_k: Count
    max_query_characters: Count
    max_body_bytes: Count
    rate_per_second: Annotated[float, Field(gt=0)]
    rate_burst: Count
    batch_queries: Count
    batch_wait_ms: NotNegative
    max_waiting: Count
    search_threads: Count
    fuse: bool
    log_queue: Count
    log_flush_seconds: Annotated[float, Field(gt=0)]
    log_rotate_seconds: Annotated[float, Field(gt=0)]
    log_rotate_rows: Count
    max_connections: Count
    unready_seconds: NotNegative
    drain_seconds: Annotated[float, Field(gt=0)]


class Sweep(Section):
    releases: Count
    lineages: Count
    grace_hours: Annotated[float, Field(gt=0)]
    pending_hours: Annotated[float, Field(gt=0)]


class Params(Section):
    """The whole of params.yaml."""

    source: Source
    split: Split
    snapshot: Snapshot
    validate_: Validate = Field(alias="validate")  # `validate` is a method of pydantic's models
    judge: Judge
    mine: Mine
    audit: Audit
    train: Train
    index: Index
    evaluate: Evaluate
    gate: Gate
    report: Report
    shadow: Shadow
    canary: Canary
    reindex: Reindex
    bootstrap: Bootstrap
    bridge: Bridge
    simulate: Simulate
    serve: Serve
    sweep: Sweep


def load_params(path: Path) -> Params:
    """params.yaml to Params; raises ParamsInvalid naming every wrong key by its dotted name."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ParamsInvalid(f"cannot read {path}: {error.strerror}; run from a checkout") from error
    except UnicodeDecodeError as error:
        raise ParamsInvalid(f"{path} is not UTF-8 ({error.reason}); save it as UTF-8") from error
    try:
        raw = yaml.load(text, Loader=_StrictLoader)  # noqa: S506  a SafeLoader
    except yaml.YAMLError as error:
        raise ParamsInvalid(f"{path.name} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise ParamsInvalid(f"{path.name} must be a mapping of sections")
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise ParamsInvalid(f"{path.name}: " + "; ".join(_complaints(error, raw))) from error


def _complaints(error: ValidationError, raw: dict[str, Any]) -> Iterator[str]:
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"] if part not in _KINDS)
        if problem["type"] == "extra_forbidden":
            yield f"{name} is not a parameter{_closest(problem['loc'], raw)}; remove or rename it"
        elif problem["type"] == "missing":
            yield f"{name} is missing; add it"
        else:
            yield f"{name} is {problem['input']!r}: {problem['msg'].lower()}{_pointless(problem)}"


def _pointless(problem: Mapping[str, Any]) -> str:
    """A hint where YAML took a number for a text: 2e-5 lacks its point."""
    if problem["type"] == "float_type" and isinstance(problem["input"], str):
        mantissa, exponent, power = problem["input"].lower().partition("e")
        if exponent and mantissa.lstrip("+-").isdigit():
            return f" (YAML reads it as a text; write {mantissa}.0e{power})"
    return ""


def _closest(location: tuple[int | str, ...], raw: dict[str, Any]) -> str:
    import difflib

    fields: dict[str, Any] = {f.alias or n: f for n, f in Params.model_fields.items()}
    if len(location) > 1 and str(location[0]) in fields:
        fields = fields[str(location[0])].annotation.model_fields
    near = difflib.get_close_matches(str(location[-1]), list(fields), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


class _StrictLoader(yaml.SafeLoader):
    """A key written twice is an error: plain YAML silently keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"key written twice: {', '.join(map(str, twice))}", node.start_mark
            )
        return super().construct_mapping(node, deep)
