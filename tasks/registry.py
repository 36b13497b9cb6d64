"""The encoder as a registered model version in MLflow; its aliases mirror the channel."""

from collections.abc import Mapping

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

MODEL = "perennial-encoder"
CHAMPION, CANDIDATE, APPROVED, REJECTED = "champion", "candidate", "approved", "rejected"


def register_version(
    client: MlflowClient, *, run_id: str, release_id: str, tags: Mapping[str, str], page: str
) -> str:
    """The version of this release, made from the run's `encoder/` artifacts if it is new."""
    try:
        client.get_registered_model(MODEL)
    except MlflowException:
        client.create_registered_model(MODEL, description="Encoders that Perennial trained.")
    version = version_of(client, release_id)
    if version is None:
        version = client.create_model_version(
            MODEL,
            source=f"runs:/{run_id}/encoder",
            run_id=run_id,
            tags={**tags, "release_id": release_id},
            description=page,
        )
    client.set_registered_model_alias(MODEL, CANDIDATE, version.version)
    return str(version.version)


def version_of(client: MlflowClient, release_id: str) -> ModelVersion | None:
    """The version that is tagged with this release."""
    found = client.search_model_versions(f"name='{MODEL}' and tags.release_id='{release_id}'")
    return found[0] if found else None


def version_of_lineage(client: MlflowClient, lineage: str | None) -> ModelVersion | None:
    """The newest version of this encoder: a reindex makes releases, but no model."""
    if lineage is None:
        return None
    found = client.search_model_versions(f"name='{MODEL}' and tags.lineage='{lineage}'")
    return max(found, key=lambda version: int(version.version), default=None)


def point_aliases(
    client: MlflowClient,
    *,
    champion: str | None,
    candidate: str | None,
    lineages: Mapping[str, str] | None = None,
) -> None:
    """Points the aliases at the versions of these releases, or takes them away.

    The channel is the truth: a release whose encoder, named in `lineages`, was never registered
    leaves its alias unset.
    """
    try:
        aliases = dict(client.get_registered_model(MODEL).aliases)
    except MlflowException:
        return
    for alias, release_id in ((CHAMPION, champion), (CANDIDATE, candidate)):
        version = version_of(client, release_id) if release_id else None
        if version is None and release_id:
            version = version_of_lineage(client, (lineages or {}).get(release_id))
        if version is not None:
            client.set_registered_model_alias(MODEL, alias, version.version)
        elif alias in aliases:
            client.delete_registered_model_alias(MODEL, alias)


def tag_version(client: MlflowClient, version: str, tags: Mapping[str, str]) -> None:
    """Sets each tag on the version."""
    for key, value in tags.items():
        client.set_model_version_tag(MODEL, version, key, value)


def answer_of_review(client: MlflowClient, version: str, gate_digest: str) -> bool | None:
    """True where a person approved exactly this gate's table, False where one rejected the version,
    None while nobody has answered.

    Approval is the tag `approved` with the table's digest (or its first 12 hex digits), or the
    alias `approved` on the version, whose own tag `gate` names the table that was on the page.
    """
    found = client.get_model_version(MODEL, version)
    if REJECTED in found.tags:
        return False
    short = gate_digest.removeprefix("sha256:")[:12]
    if found.tags.get(APPROVED) in {gate_digest, short}:
        return True
    # `aliases` is empty on a version read directly from some stores: ask the model.
    aliases = client.get_registered_model(MODEL).aliases
    approved = str(aliases.get(APPROVED)) == str(version)
    return True if approved and found.tags.get("gate") == gate_digest else None
