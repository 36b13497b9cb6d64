"""Makes MLflow's aliases say what the channel says: the channel is the truth."""

import contextlib

from perennial.errors import BadInput, IntegrityError
from perennial.quality.decision import Decision
from perennial.release.channels.moves import read_checked_channel, read_kept
from perennial.workspace import signing_key
from tasks.registry import point_aliases, tag_version, version_of
from tasks.releases import candidate_id, serving_id
from tasks.run import Run
from tasks.step import step
from tasks.tracking import tracker


@step("mirror", retries=3)
def mirror(run: Run, decision: Decision) -> None:
    """champion and candidate as the channel has them; the outcome on the candidate's version."""
    client = tracker(run.places.tracking_uri)
    client.set_tag(run.tracked, "decision", decision.outcome)
    channel = read_checked_channel(run.store, run.channel, key=signing_key())
    if channel is not None:
        rolling_out = channel.candidate.release_id if channel.candidate else None
        lineages = {}
        for release_id in filter(None, (channel.stable, rolling_out)):
            with contextlib.suppress(BadInput, IntegrityError):  # damaged: its alias goes
                manifest = read_kept(run.store, release_id, key=signing_key())
                lineages[release_id] = manifest.lineage
        point_aliases(client, champion=channel.stable, candidate=rolling_out, lineages=lineages)
    serving = serving_id(run)
    if serving is not None:
        client.set_tag(run.tracked, "serves", serving)
    registered = (run.workspace.work("register") / "candidate.json").exists()
    if registered and (version := version_of(client, candidate_id(run))) is not None:
        tags = {"decision": decision.outcome} | ({"serves": serving} if serving else {})
        tag_version(client, str(version.version), tags)
