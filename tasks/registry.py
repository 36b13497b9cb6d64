"""The encoder as a registered model version in MLflow; its aliases mirror the channel."""

from collections.abc import Mapping

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

MODEL = "perennial-encoder"
CHAMPION, CANDIDATE, APPROVED, REJECTED = "champion", "candidate", "approved", "rejected"
REVIEWER = "reviewer"  # the tag with the name of who approved or rejected


def register_version(
    client: MlflowClient, *, run_id: str, release_id: str, tags: Mapping[str, str], page: str
) -> str:
    """The version of this release, made from the run's `encoder/` artifacts if it is new.

    A known one whose gate has another table now gets the new page, and loses its approval: who gave
    it read another table. The next reviewer may be somebody else.
    """
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
    elif version.tags.get("gate") != tags.get("gate"):
        _withdraw_approval(client, version)
        tag_version(client, str(version.version), tags)
        client.update_model_version(MODEL, version.version, description=page)
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


def _withdraw_approval(client: MlflowClient, version: ModelVersion) -> None:
    """A rejection stays, with its name: it is about the release, and wins."""
    aliases = client.get_registered_model(MODEL).aliases
    if str(aliases.get(APPROVED)) == str(version.version):
        client.delete_registered_model_alias(MODEL, APPROVED)
    void = {APPROVED} if REJECTED in version.tags else {APPROVED, REVIEWER}
    for key in sorted(void & version.tags.keys()):
        client.delete_model_version_tag(MODEL, version.version, key)


def tag_version(client: MlflowClient, version: str, tags: Mapping[str, str]) -> None:
    """Sets each tag on the version."""
    for key, value in tags.items():
        client.set_model_version_tag(MODEL, version, key, value)
