"""Bytes, tables, strangers and releases that do harm: who refuses them, and how one goes back."""

import shutil
import time
from datetime import timedelta

import boto3
import pyarrow.parquet as pq

from infra.gameday.company import retrain_params, stable
from infra.gameday.people import Asked
from infra.gameday.seen import Seen
from infra.gameday.town import Town, wait_until
from perennial.data.tables import read_table

_BUCKET, _OBJECTS = "perennial", "store/objects/"
_SILENT_HOURS = 5  # of events, in the log of a broken logger
_FORGERIES = 200


def object_is_damaged(town: Town, asked: Asked) -> Seen:
    """One byte of an object of the release that serves is turned in the bucket."""
    s3 = boto3.client(
        "s3",
        endpoint_url=town.environment["AWS_ENDPOINT_URL_S3"],
        aws_access_key_id=town.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=town.environment["AWS_SECRET_ACCESS_KEY"],
        region_name=town.environment["AWS_REGION"],
    )
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=_BUCKET, Prefix=_OBJECTS)
    largest = max((each for page in pages for each in page["Contents"]), key=lambda o: o["Size"])
    whole = s3.get_object(Bucket=_BUCKET, Key=largest["Key"])["Body"].read()
    middle = len(whole) // 2
    damaged = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    began = time.monotonic()
    s3.put_object(Bucket=_BUCKET, Key=largest["Key"], Body=damaged)
    told = town.command("perennial.cli", "verify", cwd=town.home)
    noticed, name = time.monotonic() - began, largest["Key"].rsplit("/", 1)[-1]
    is_named = told.returncode == 3 and name in told.stdout + told.stderr
    s3.put_object(Bucket=_BUCKET, Key=largest["Key"], Body=whole)
    again = town.command("perennial.cli", "verify", cwd=town.home)
    failed = len(asked.since(began).failed)
    return Seen(
        "one bit of an index is turned in the bucket",
        f"`perennial verify` ({told.returncode})",
        noticed if is_named else None,
        "its bytes, put back from a copy",
        time.monotonic() - began,
        f"{failed} answers",
        holds=is_named and again.returncode == 0 and failed == 0,
    )


def half_a_catalogue(town: Town, asked: Asked) -> Seen:
    """The export of the catalogue stopped half way."""
    path, before = town.home / "source" / "catalogue.parquet", stable(town)
    whole = pq.read_table(path)
    kept = path.with_suffix(".whole")
    path.rename(kept)
    began = time.monotonic()
    pq.write_table(whole.slice(0, len(whole) // 2), path)
    told = town.command("flows.reindex", "--params", str(town.home / "params.yaml"))
    noticed, after = time.monotonic() - began, stable(town)
    kept.replace(path)
    again = town.command("flows.reindex", "--params", str(town.home / "params.yaml"))
    failed = len(asked.since(began).failed)
    is_refused = told.returncode in (1, 2) and before == after
    return Seen(
        "half of the catalogue is exported",
        f"`reindex` refuses it ({told.returncode})",
        noticed if is_refused else None,
        "the whole export",
        time.monotonic() - began,
        f"{failed} answers, no document",
        holds=is_refused and again.returncode == 0 and failed == 0,
    )


def logger_breaks(town: Town, asked: Asked) -> Seen:
    """A log like the last month's, in which clicks stopped some hours ago."""
    source = town.home.parent / "broken-log"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(town.home / "source", source)
    command = "flows.watch", "--params", str(town.home / "params.yaml")
    before = town.command(*command, PERENNIAL_SOURCE=str(source))
    began = time.monotonic()
    for path in sorted((source / "events").rglob("*.parquet")):
        events = read_table(path)
        last = events["ts"].max()
        silent = events["ts"] > last - timedelta(hours=_SILENT_HOURS)
        pq.write_table(pq.read_table(path).filter(~silent.to_numpy()), path)
    told = town.command(*command, PERENNIAL_SOURCE=str(source))
    noticed = time.monotonic() - began
    shutil.rmtree(source)
    return Seen(
        f"clicks are not logged any more, for {_SILENT_HOURS} h",
        f"`watch`: page ({told.returncode})",
        noticed if told.returncode == 1 else None,
        "who mends the logger",
        None,
        "nothing: who has no clicks trains nothing",
        holds=before.returncode == 0 and told.returncode == 1,
    )


def strangers_call(town: Town, asked: Asked) -> Seen:
    """Forged deliveries, a stale one and a replayed one at the webhook receiver."""
    before, began = len(town.runs_of("reindex")), time.monotonic()
    codes = [
        town.deliver("reindex", reason="do it", secret=f"guess {number}")[0]
        for number in range(_FORGERIES)
    ]
    noticed = time.monotonic() - began
    allowed, _ = town.deliver("reindex", reason="the documents changed", key="once")
    replayed, _ = town.deliver("reindex", reason="the documents changed", key="once")
    started = len(town.runs_of("reindex")) - before
    refused = sum(code == 401 for code in codes)
    return Seen(
        f"{_FORGERIES} forged deliveries, and one that comes twice",
        f"the receiver: {refused} times 401",
        noticed,
        "nobody need",
        time.monotonic() - began,
        f"nothing: {started} run, of the one that was signed",
        holds=refused == _FORGERIES and allowed == 202 and replayed != 202 and started == 1,
    )


def release_is_bad(town: Town, asked: Asked) -> Seen:
    """A retrain that destroys its encoder; and, since one got through, the way back."""
    params = retrain_params(
        town, "careless", {"train": {"learning_rate": 50.0, "warmup_share": 0.0}}
    )
    before, began = stable(town), time.monotonic()
    told = town.command("flows.retrain", "--params", str(params), "--fresh")
    noticed, after = time.monotonic() - began, stable(town)
    is_noticed = told.returncode != 0 and before == after
    back_at = time.monotonic()
    back = town.command("perennial.cli", "rollback", "--reason", "a game day", cwd=town.home)
    older = stable(town)
    wait_until(
        lambda: bool(found := asked.since(back_at).answered) and found[-1][1] == older,
        seconds=60,
        what="an answer of the older release",
    )
    seconds = time.monotonic() - back_at
    town.command("perennial.cli", "resume", "--reason", "the day goes on", cwd=town.home)
    failed = len(asked.since(began).failed)
    return Seen(
        "training destroys an encoder; and a release must go",
        f"`retrain` ({told.returncode}); a person",
        noticed if is_noticed else None,
        "`perennial rollback`",
        seconds,
        f"{failed} answers",
        holds=is_noticed and back.returncode == 0 and older != before and failed == 0,
    )
