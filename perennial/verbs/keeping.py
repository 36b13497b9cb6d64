"""The verbs that look after a store: verify, sweep, forget, store init."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from perennial.errors import BadInput
from perennial.params.reading import load_params
from perennial.release.stores.open import open_store
from perennial.verbs.progress import bytes_bar, warn
from perennial.workspace import Places

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def register_keeping(
    app: typer.Typer, *, key: Callable[[], bytes | None], who: Callable[[], str]
) -> None:
    """Add the verbs to the command line; `key` and `who` read the environment when they run."""
    store_app = typer.Typer(no_args_is_help=True, help="The place that releases are kept in.")
    app.add_typer(store_app, name="store")

    @store_app.command()
    def init(
        reader: Annotated[
            list[str] | None, typer.Option(help="An ARN that may read, the service's; repeatable.")
        ] = None,
        writer: Annotated[
            list[str] | None, typer.Option(help="One that publishes, the pipeline's; repeatable.")
        ] = None,
        sweeper: Annotated[
            list[str] | None, typer.Option(help="One that sweeps and forgets; repeatable.")
        ] = None,
        documents: Annotated[
            Path, typer.Option(help="The folder of the bucket's documents.")
        ] = Path("infra/store"),
        whole_bucket: Annotated[
            bool, typer.Option("--whole-bucket", help="Close and encrypt an older one as well.")
        ] = False,
        check: Annotated[
            bool, typer.Option("--check", help="Change nothing, only look whether it will do.")
        ] = False,
        as_json: Json = False,
    ) -> None:
        """Make the store's bucket and apply its documents; exit 1 if that is not allowed.

        The public access block and default encryption are of the whole bucket: of one that was
        there before they change with --whole-bucket only.

        Of a folder, and with --check, it only looks whether it can be written, and loses no update
        without saying so.
        """
        from perennial.verbs.preparing import is_refused, prepare, show_prepared

        value = prepare(
            open_store(Places.from_environment().store),
            documents=None if check else documents,
            principals={"reader": reader or [], "writer": writer or [], "sweeper": sweeper or []},
            whole_bucket=whole_bucket,
        )
        _print_json(value) if as_json else show_prepared(value)
        if is_refused(value):
            raise typer.Exit(1)

    @app.command()
    def verify(
        release_id: Annotated[str | None, typer.Argument(help="One release; default: all.")] = None,
        as_json: Json = False,
    ) -> None:
        """Read every byte of the store again, compare it with its name; exit 3 if one differs."""
        from perennial.release.verify import verify_release, verify_whole_store
        from perennial.verbs.kept import show_release, show_store, verification_value

        store = open_store(Places.from_environment().store)
        if not store.release_ids() and not store.channel_names():
            raise BadInput(
                f"the store {store.place} holds no release; run `perennial bootstrap` first"
            )
        total = sum(each.bytes for each in store.objects()) if release_id is None else 0
        with bytes_bar("verifying", total, is_shown=not as_json) as progress:
            if release_id is not None:
                findings = verify_release(store, release_id, key=key(), progress=progress)
                value = verification_value([release_id], findings)
            else:
                found = verify_whole_store(store, key=key(), progress=progress)
                findings = list(found.findings)
                value = verification_value(store.release_ids(), findings, found)
        if as_json:
            _print_json(value)
        else:
            show_release(value) if release_id is not None else show_store(value)
        if findings:
            raise typer.Exit(3)

    @app.command()
    def sweep(
        delete: Annotated[
            bool, typer.Option("--delete", help="Do it; without it only the plan is shown.")
        ] = False,
        as_json: Json = False,
    ) -> None:
        """Show what no kept release and no publication needs; --delete deletes it."""
        from perennial.release.sweeping.sweep import plan_sweep
        from perennial.release.sweeping.sweep import sweep as sweep_store
        from perennial.verbs.kept import show_sweep, sweep_value

        section = load_params(Path("params.yaml")).sweep
        store = open_store(Places.from_environment().store)
        keep: dict[str, Any] = {
            "releases": section.releases,
            "lineages": section.lineages,
            "grace": timedelta(hours=section.grace_hours),
            "pending": timedelta(hours=section.pending_hours),
            "key": key(),
        }
        plan = plan_sweep(store, now=datetime.now(UTC), **keep)
        if delete:
            with bytes_bar("deleting", plan.bytes, is_shown=not as_json) as progress:
                plan = sweep_store(store, progress=progress, say=warn, **keep)
        value = sweep_value(plan, deleted=delete)
        _print_json(value) if as_json else show_sweep(value, Console())

    @app.command()
    def forget(
        doc: Annotated[
            list[str] | None, typer.Option("--doc", help="The document's id; repeatable.")
        ] = None,
        session: Annotated[
            str | None, typer.Option("--session", help="A session's id in the log, or its hash.")
        ] = None,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="With --session: only show what would go.")
        ] = False,
        reason: Annotated[
            str, typer.Option("--reason", help="Why; the audit log keeps it.")
        ] = "asked to",
        as_json: Json = False,
    ) -> None:
        """Remove documents from every release, cache and byte of the store; exit 1 if one is left.

        Or a session, from logs, snapshots, runs, caches and the queries that releases carry.

        Runs of retrains that still hold them are named, with the command that removes each. It
        cannot be undone. Remove them from the source first, or the next reindex brings them
        back.
        """
        from perennial.release.audit import write_deed
        from perennial.release.forgetting.forget import forget as forget_documents
        from perennial.verbs.caches import clear_caches
        from perennial.verbs.forgetting.remote import forget_in_remote
        from perennial.verbs.kept import forgetting_value, show_forgetting, still_in_source
        from perennial.verbs.remains import find_remains, owe_nothing_of

        if session is not None:
            if doc:
                raise BadInput("forget takes --doc or --session, not both; run it twice")
            from perennial.verbs.forgetting.command import forget_one

            how: dict[str, Any] = {"plan": dry_run, "why": reason, "as_json": as_json}
            if not forget_one(session, who=who(), key=key(), **how):
                raise typer.Exit(1)
            return
        if not doc or dry_run:
            raise BadInput("forget needs --doc ID, or --session HASH, which also takes --dry-run")
        places = Places.from_environment()
        store, cleared, sought = open_store(places.store), [0], list[Any]()
        pending = timedelta(hours=load_params(Path("params.yaml")).sweep.pending_hours)

        def clear(traces: Any, digests: Any) -> None:
            cleared[0] = clear_caches(places.cache, traces, digests)
            sought.append(traces)

        done = forget_documents(
            store,
            doc,
            who=who(),
            clear_caches=clear,
            pending=pending,
            key=key(),
            say=(lambda line: None) if as_json else warn,
        )

        def tell(snapshots: frozenset[str]) -> None:
            about = {"documents": len(doc or []), "releases": [e.release_id for e in done.releases]}
            said: dict[str, Any] = {"what": "forgot documents", "why": reason}
            said["about"] = about | {"snapshots": sorted(snapshots)}
            write_deed(store, who=who(), now=datetime.now(UTC), key=key(), **said)

        if done.releases or done.objects:
            tell(frozenset())
        remains = find_remains(places, sought[0])
        owe_nothing_of(remains, places.runs)
        pushed = forget_in_remote(places, sought[0], key=key(), say_first=tell)
        kept = still_in_source(places.source, doc)
        value = forgetting_value(
            done, doc, cached=cleared[0], pushed=pushed, in_source=kept, remains=remains
        )
        _print_json(value) if as_json else show_forgetting(value, Console())
        if done.hits or done.in_flight:
            raise typer.Exit(1)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, sort_keys=True))
