"""What comes after a purge: `analyzer purge verify`, `list`, `show` and `restore`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analyzer.cli import options, output, purging
from analyzer.cli.deployment import Chosen, choosing
from analyzer.config import Settings
from analyzer.errors import EXIT_BAD, EXIT_OK, EXIT_UNKNOWN, UsageError

if TYPE_CHECKING:
    from analyzer.purge.restore import Rehearsal


@click.command()
@click.argument("path", metavar="PLAN_OR_RECEIPT", type=click.Path(path_type=Path, dir_okay=False))
@choosing
@options.settings("deployment")
@options.output_format("text", "json")
def verify(*, settings: Settings, chosen: Chosen, path: Path, fmt: str) -> int:
    """Look whether everything that was deleted is gone, and nothing refers to it. Reads only.

    Exit code 1: no. 4: a plan that was not carried out to its end.
    """
    from analyzer.purge import told
    from analyzer.purge import verify as proof
    from analyzer.report import purge_text

    found = told.read(path)
    name, left = str(found.receipt["deployment"]), found.left + len(found.unsettled)
    with purging.source(chosen, settings) as source:
        if source.connection.deployment.name != name:
            raise UsageError(f"{path} is of {name}, and {source.connection.deployment.name} answers")
        verdict = proof.verify(source, found.deleted, ignored=found.receipt.get("ignored", []))
    data = verdict.as_data() | {"left": left}
    if fmt == "json":
        output.write_json({"schema": "verify/1", "deployment": name} | data)
    else:
        output.write(purge_text.verdict_text(data))
    if left:
        output.narrate(f"to go on: analyzer purge apply {path}")
    if not verdict.is_good:
        return EXIT_BAD
    return EXIT_UNKNOWN if left else EXIT_OK


@click.command("list")
@options.settings("db", "deployment", "wait")
@options.output_format("text", "json")
def list_(*, settings: Settings, fmt: str) -> int:
    """List the purges that this store knows of."""
    from analyzer.report import purge_text
    from analyzer.store import Store

    with Store.read(settings.store, wait_s=settings.wait_s) as store:
        found = store.receipts.all(settings.deployment)
    if fmt == "json":
        output.write_json({"schema": "receipts/1", "receipts": found})
    else:
        output.write(purge_text.receipts_text(found))
    return EXIT_OK


@click.command()
@click.argument("receipt_id", metavar="RECEIPT")
@options.settings("db", "wait")
@options.output_format("text", "md", "html", "json")
def show(*, settings: Settings, receipt_id: str, fmt: str) -> int:
    """Show a receipt, by its id in the store or by its file: what was deleted, by whom, why, and how it was proven."""
    from analyzer.purge import receipt
    from analyzer.report import purge_text
    from analyzer.store import Store

    if Path(receipt_id).is_file():
        found = receipt.read(Path(receipt_id))
    else:
        with Store.read(settings.store, wait_s=settings.wait_s) as store:
            found = store.receipts.get(receipt_id)
    if fmt == "json":
        output.write_json(found)
    else:
        render = {"text": purge_text.receipt_text, "md": purge_text.receipt_md, "html": purge_text.receipt_html}[fmt]
        try:
            shown = render(found)
        except (KeyError, TypeError, AttributeError, ValueError) as problem:  # of another make, or cut by hand
            raise UsageError(f"{receipt_id} is damaged: it lacks fields of a receipt", hint=receipt.HINT) from problem
        output.write(shown)
    return EXIT_OK


@click.command()
@click.argument("path", metavar="RECEIPT_OR_PLAN", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--confirm", metavar="STRING", help="The confirmation that the rehearsal shows, for scripts.")
@click.option("--pause", is_flag=True, help="Pause the app, and give documents that stayed their references back.")
@choosing
@options.settings("deployment")
def restore(*, settings: Settings, chosen: Chosen, path: Path, confirm: str | None, pause: bool) -> int:
    """Put back what a receipt says was deleted, from its backup, with NEW ids; needs no store.

    Of a purge that did not come to its end there is no receipt yet: name its plan, and what is gone comes back.

    Rehearses first and says what cannot come back: the old ids, and references to what is gone since. References
    among the restored documents are rewritten, creation times kept, and the map from old to new ids is written beside
    the receipt before anything is sent. Started again after a crash, it sends only what is missing. Documents that
    stayed and lost references get them back with --pause, if nobody changed them since.

    To get the old ids back, a whole table has to be replaced: `npx convex import --replace` with an export of all
    that the table holds now and the documents of the backup. What is written meanwhile is lost; pause the app first.
    Needs a key with ImportBackups and ViewBackups.
    """
    from analyzer.flows import purge as flow
    from analyzer.purge import restore as restoring
    from analyzer.units import count, visible

    def ask(found: Rehearsal) -> str | None:
        output.narrate(f"{count(len(found.missing), 'document')} would be put back under new ids")
        if found.put_backs:
            how = "would get references back" if pause else "would get references back with --pause alone"
            output.narrate(f"{count(len(found.put_backs), 'document')} that stayed {how}")
        for lost in found.lost:
            output.narrate(f"cannot come back: {visible(lost)}")
        output.narrate(f"to confirm: {visible(found.confirm)}")
        if confirm is not None or not output.is_terminal(sys.stdin):
            return confirm
        text: str = click.prompt("type the confirmation to restore", err=True)
        return text

    with purging.source(chosen, settings, writes=True) as source:
        consent = purging.consent(settings, source.connection.deployment.name)
        rehearsed = restoring.rehearse(source.connection, path, consent)
        with flow.restore_barrier(source.connection, path, consent, output.narrate, pauses=pause) as barrier:
            made = restoring.restore(source.connection, path, rehearsed, ask(rehearsed), barrier=barrier)
    for lost in made["lost_references"]:
        output.narrate(f"warning: {visible(lost)}")
    output.write(f"{count(made['sent'], 'document')} put back; old and new ids: {restoring.path_of(path)}")
    return EXIT_OK if made["verified"]["ok"] else EXIT_BAD
