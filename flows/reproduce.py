"""The reproduction: a release's encoder from its own snapshot, params and code, byte by byte."""

import tasks  # noqa: F401  first: the libraries below read their environment when imported

# isort: split
import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from prefect import flow
from prefect.logging import get_run_logger

from perennial.errors import PerennialError, Refused
from perennial.release.channels.moves import read_kept
from perennial.release.forgetting.forgotten import today
from perennial.release.stores.open import open_store
from perennial.verbs.forgetting.making import REPRODUCING, making
from perennial.workspace import Places, Workspace, signing_key
from tasks.outcome import as_a_command
from tasks.remote import pull
from tasks.reproduce import Reproduction, forgotten, forgotten_data, rebuild, run_of, unlike
from tasks.world import in_words


@flow(name="reproduce", description=__doc__, persist_result=False)
def reproduce(release: str) -> Reproduction:
    """Identical, the first stage that differs, or forgotten; a run that is gone is a failure.

    The stages run anew in a folder of their own below PERENNIAL_RUNS, and nothing is published. A
    run that is not here comes from PERENNIAL_DVC_REMOTE, with its own code, snapshot and params.
    """
    places = Places.from_environment()
    store = open_store(places.store)
    if (why := forgotten(store, release, None)) is not None:
        return Reproduction(release, "forgotten", (), None, why)
    manifest = read_kept(store, today(store, release), key=signing_key())
    workspace = run_of(places.runs, manifest)
    why = forgotten(store, release, workspace) or forgotten_data(store, manifest, key=signing_key())
    if why is not None:
        return Reproduction(release, "forgotten", (), None, why)
    if workspace is None and places.remote is None:
        raise Refused(
            f"no run in {places.runs} made {release}: it was removed, or lies on another machine; "
            "bring its folder back, or set PERENNIAL_RUNS, or PERENNIAL_DVC_REMOTE to fetch it"
        )
    places.runs.mkdir(parents=True, exist_ok=True)
    with (
        in_words(places.runs, places.tracking_uri),
        making(places.runs),
        tempfile.TemporaryDirectory(prefix=REPRODUCING, dir=places.runs) as folder,
    ):
        if workspace is None:
            workspace = pull(manifest, str(places.remote), Path(folder) / "pulled")
        built = Workspace(Path(folder) / "run")
        same, stage = rebuild(workspace, built.root, say=get_run_logger().info)
        if stage is not None:
            why = f"{stage} gave other bytes than in the run that made it"
            return Reproduction(release, "differs", same, stage, why)
        if (path := unlike(manifest, built)) is not None:
            why = f"every stage gave the same bytes, but {path} of the release is another file"
            return Reproduction(release, "differs", same, path, why)
    return Reproduction(release, "identical", same, None, "as its run made it")


def main(arguments: list[str] | None = None) -> int:
    """0 identical, 1 differs, forgotten or no longer here, 2 bad input, 3 integrity."""
    parser = argparse.ArgumentParser(prog="python -m flows.reproduce", description=__doc__)
    parser.add_argument("--release", required=True, help="its id: perennial status")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    chosen = parser.parse_args(arguments)
    try:
        with as_a_command():
            done = reproduce(chosen.release)
    except PerennialError as error:
        print(f"perennial: {error}", file=sys.stderr)
        return error.exit_code
    if chosen.json:
        print(json.dumps({"format_version": 1} | asdict(done), indent=2, sort_keys=True))
    else:
        print(f"{done.release_id} is {done.verdict}: {done.reason}.")
        print(f"The same bytes came of: {', '.join(done.same) or 'no stage'}.")
    return 0 if done.verdict == "identical" else 1


if __name__ == "__main__":
    sys.exit(main())
