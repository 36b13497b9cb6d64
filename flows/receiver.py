"""The webhook receiver: monitoring says in a signed delivery why a retrain or reindex should run.

It starts the deployments of infra/prefect.yaml, so it needs their server, and nothing else.
"""

import tasks  # noqa: F401  first: the libraries below read their environment when imported

# isort: split
import argparse
import logging
import os
import sys
import time
from pathlib import Path

from perennial.errors import BadInput, PerennialError
from perennial.params.reading import load_params
from perennial.serving.http.hosts import Hosts
from perennial.serving.http.server import listen
from perennial.workspace import Places, hosts
from tasks.receiving.app import create_app
from tasks.receiving.decide import Receiver, Rule
from tasks.receiving.deployments import PrefectStarter
from tasks.receiving.ledger import Ledger
from tasks.receiving.review import ring_for_reviews
from tasks.receiving.secrets import FILE, VARIABLE, Secrets

HOUR = 3600.0
_MAX_CONNECTIONS = 200
_DRAIN_SECONDS = 15.0


def receive(*, host: str, port: int, params: Path) -> None:
    """Take deliveries until SIGTERM; raises BadInput, PlaceUnusable."""
    if not os.environ.get("PREFECT_API_URL"):
        raise BadInput(
            "PREFECT_API_URL names no server whose deployments could be started; set it, such as "
            "http://127.0.0.1:4200/api"
        )
    section, places = load_params(params).trigger, Places.from_environment()
    path = os.environ.get(FILE)
    ledger = Ledger(
        places.home / "receiver" / "ledger.db", remember_seconds=section.remember_hours * HOUR
    )
    receiver = Receiver(
        secrets=Secrets(os.environ.get(VARIABLE, ""), Path(path) if path else None),
        ledger=ledger,
        starter=PrefectStarter(),
        rules={
            name: Rule(rule.min_evidence, rule.cooldown_hours * HOUR)
            for name, rule in (
                ("retrain", section.retrain),
                ("reindex", section.reindex),
                ("rollout", section.rollout),
            )
        },
        fresh_seconds=section.fresh_seconds,
        min_observations=section.min_observations,
        now=time.time,
    )
    app = create_app(
        receiver,
        hosts=Hosts(host, hosts()),
        max_body_bytes=section.max_body_bytes,
        heard=lambda source, body: ring_for_reviews(places.home, body),
    )
    try:
        listen(
            app,
            host=host,
            port=port,
            max_connections=_MAX_CONNECTIONS,
            unready_seconds=0.0,
            drain_seconds=_DRAIN_SECONDS,
            say=lambda address: print(f"deliveries are taken at {address}/triggers/", flush=True),
        )
    finally:
        ledger.close()


def subscribe_to_reviews(url: str) -> str:
    """Has the registry of MLFLOW_TRACKING_URI send its answers to `url`, signed with our secret of
    `mlflow`; the newest, where there are several."""
    from tasks.tracking import tracker  # with it comes MLflow, which takes seconds
    from tasks.webhook import subscribe
    from tasks.world import in_words

    path, places = os.environ.get(FILE), Places.from_environment()
    pairs = Secrets(os.environ.get(VARIABLE, ""), Path(path) if path else None).pairs()
    keys = [key for source, key in pairs if source == "mlflow"]
    if not keys:
        raise BadInput(f"{VARIABLE} has no `mlflow=SECRET` to sign with; add one")
    if not places.tracking_uri.startswith("http"):
        raise BadInput(
            "only a server of MLflow sends webhooks, and MLFLOW_TRACKING_URI names none; set it"
        )
    with in_words(places.home, places.tracking_uri):
        return subscribe(tracker(places.tracking_uri), url=url, secret=keys[-1])


def main(arguments: list[str] | None = None) -> int:
    """0 after SIGTERM or Ctrl-C; else as errors.py says."""
    parser = argparse.ArgumentParser(prog="python -m flows.receiver", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090, help="0: any free one")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument(
        "--subscribe",
        metavar="URL",
        help="have MLflow's server send answers to reviews there, such as "
        "http://127.0.0.1:8090/triggers/rollout, and end",
    )
    chosen = vars(parser.parse_args(arguments))
    url = chosen.pop("subscribe")
    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("tasks.receiving").setLevel(logging.INFO)
    try:
        if url:
            print(f"webhook {subscribe_to_reviews(url)} of the registry is sent to {url}")
        else:
            receive(**chosen)
    except PerennialError as error:
        print(f"perennial: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
