"""All sections of params.yaml in one."""

from pydantic import Field

from perennial.params.compute import Compute
from perennial.params.gate import Evaluate, Gate, Report
from perennial.params.index import Bridge, Index, Reindex
from perennial.params.log import Judge, Snapshot, Source, Split, Validate
from perennial.params.mine import Audit, Mine
from perennial.params.rollout import Canary, Shadow
from perennial.params.section import Section
from perennial.params.serve import Serve, Sweep, Trigger
from perennial.params.train import Train
from perennial.params.watch import Watch
from perennial.params.world import Bootstrap, Simulate


class Params(Section):
    """The whole of params.yaml."""

    source: Source
    split: Split
    compute: Compute
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
    watch: Watch
    sweep: Sweep
    trigger: Trigger
