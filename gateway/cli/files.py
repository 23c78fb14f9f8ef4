"""Files: taken into the ledger, explained, read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection, select

from gateway.accounting.documents import DocumentKind
from gateway.accounting.files import CreditorFacts, Document, decode_file, to_records
from gateway.accounting.jsonlines import LinesRejected
from gateway.cli import DONE, REFUSED, WAITS
from gateway.cli.common import actor, as_json, creditor_id, opened_house, plain, say, say_rows
from gateway.db.tables import Creditor, InboundFile
from gateway.domain import reasons
from gateway.domain.ledger import Rejected
from gateway.errors import DataError, GatewayError, Refused
from gateway.formats.detect import PROFILES
from gateway.formats.explain import explain_to
from gateway.formats.view import FIRST
from gateway.services import documents, inbound
from gateway.services.creditors import add_creditor
from gateway.services.house import House
from gateway.services.ingest import IngestRejected
from gateway.services.ingest import ingest as ingest_records
from gateway.services.progress import under_way

PRACTICE_KEY = "practice"
"""Creditor made on the first ``ingest`` of an installation that has none; it takes files of any supplier."""

_BANK_OUTCOMES = {"quarantined": WAITS, "refused": REFUSED}
_OUTCOMES = {"taken": DONE, "not_a_claim": DONE, "held": WAITS, "refused": REFUSED}
RECORDS_MAX = 10_000
"""Records one call of 'explain' shows: they are held in memory until the file has been read."""


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--creditor", "key", help="Key of the creditor; not needed while there is only one.")
@click.option("--source", default="file", show_default=True, help="Name of the accounting system the files come from.")
@click.option("--lang", default="en", type=click.Choice(reasons.LANGUAGES), help="Language of the sentences.")
@as_json
def ingest(files: tuple[Path, ...], key: str | None, source: str, lang: str, *, as_json: bool) -> int:
    """Take ledger files: Peppol BIS 3 / EHF 3 invoices and credit notes (UBL), and JSON Lines.

    Each file is all or nothing and a second reading changes nothing. Outcome of a file: taken; not_a_claim (a reminder:
    recognised, makes no invoice); held (a person must look before it can be a claim); refused. Exit code: 0 all taken,
    2 some held, 3 some refused. An installation without any creditor gets one called 'practice' that takes the files
    of any supplier.
    """
    worst = DONE
    with opened_house() as house:
        owner = _owner(house, key)
        for path in files:
            result = _ingest_one(house, owner, source, path, lang)
            worst = max(worst, _OUTCOMES[result["outcome"]])
            say(result, as_json=as_json, text=_taken_line)
    return worst


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--lang", default="en", type=click.Choice(reasons.LANGUAGES), help="Language of the sentences.")
@click.option(
    "--profile", "profiles", multiple=True, type=click.Choice(PROFILES),
    help="Read a format that nobody has confirmed, by this profile.",
)  # fmt: skip
@click.option(
    "--html", "as_html", is_flag=True, help="One page of HTML that needs nothing but itself, to open or print."
)
@click.option(
    "--records", default=FIRST, show_default=True, type=click.IntRange(0, RECORDS_MAX),
    help="How many records to show from the beginning; those with a finding are shown wherever they stand.",
)  # fmt: skip
@as_json
def explain(file: Path, lang: str, profiles: tuple[str, ...], records: int, *, as_html: bool, as_json: bool) -> int:
    """Say what a payment file holds: format, totals, every payment, and what is wrong with it. Changes nothing.

    The file is shown record by record as well: fixed columns under a ruler, camt and CREMUL as a tree, each field named.

    Exit code: 0 the file would be accepted, 2 it would go to quarantine, 3 it would be refused.
    """
    try:
        return explain_to(
            file, style="json" if as_json else "html" if as_html else "text", write=click.echo, language=lang,
            name=str(file), profiles=profiles, records=records,
        )  # fmt: skip
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}") from error


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--creditor", "key", help="Key of the creditor; not needed while there is only one.")
@as_json
def bank_file(files: tuple[Path, ...], key: str | None, *, as_json: bool) -> int:
    """Take payment files of the creditor's own bank: OCR giro, camt and whatever else 'explain' knows.

    The payments stand under Bank - Incoming payments without an agency's name. Bytes that came before are not read again.
    Exit code: 0 all taken, 2 some in quarantine, 3 some refused.
    """
    worst = DONE
    with opened_house() as house:
        owner = creditor_id(house, key)
        for path in files:
            result = _bank_file(house, owner, path)
            worst = max(worst, _BANK_OUTCOMES.get(result["state"], DONE))
            say(result, as_json=as_json, text=lambda r: f"{r['file']}: {r['state']}, {r['transactions']} payments")
    return worst


def _bank_file(house: House, owner: int, path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            stored = inbound.store_own(house, owner, "file", path.name, stream)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    inbound.process(house, stored.inbound_file_id)
    columns = (InboundFile.state, InboundFile.format, InboundFile.transactions)
    with house.database.read() as connection:
        row = connection.execute(select(*columns).where(InboundFile.id == stored.inbound_file_id)).one()
    return {"file": str(path), "inbound_file": stored.inbound_file_id, "duplicate": not stored.is_new, **row._asdict()}


@click.command()
@click.argument("inbound_file_ids", nargs=-1, type=int, required=True)
@as_json
def replay(inbound_file_ids: tuple[int, ...], *, as_json: bool) -> None:
    """Read stored inbound files again, for example after a correction. What was posted is not posted twice."""
    with opened_house() as house:
        for file_id in inbound_file_ids:
            inbound.replay(house, file_id, actor())
            say(
                {"inbound_file": file_id, "replayed": True},
                as_json=as_json,
                text=lambda r: f"{r['inbound_file']}: will be read again",
            )


@click.command()
@click.option("--creditor", "key", help="Key of the creditor; without it the files of all are shown.")
@as_json
def progress(key: str | None, *, as_json: bool) -> None:
    """Show the files that are being stored or read, or wait for it: stage, per cent of that stage, rows found so far."""
    with opened_house() as house:
        rows = under_way(house, None if key is None else [creditor_id(house, key)])
    say_rows([plain(row) for row in rows], as_json=as_json, empty="no file is being read")


def _owner(house: House, key: str | None) -> tuple[int, CreditorFacts]:
    with house.database.read() as connection:
        has_none = connection.execute(select(Creditor.id).limit(1)).first() is None
    if key is None and has_none:
        _add_practice(house)
    chosen = creditor_id(house, key)
    query = select(Creditor.key, Creditor.organisation_number, Creditor.name, Creditor.country)
    with house.database.read() as connection:
        row = connection.execute(query.where(Creditor.id == chosen)).one()
    facts = CreditorFacts(row.organisation_number, row.name, row.country, accepts_any_supplier=row.key == PRACTICE_KEY)
    return chosen, facts


def _add_practice(house: House) -> None:
    add_creditor(
        house,
        key=PRACTICE_KEY,
        name="Practice ledger",
        organisation_number="",
        country="NO",
        currency="NOK",
        time_zone="Europe/Oslo",
        actor=actor(),
    )
    click.echo(f"no creditor yet: made '{PRACTICE_KEY}', which takes the files of any supplier", err=True)


def _ingest_one(house: House, owner: tuple[int, CreditorFacts], source: str, path: Path, lang: str) -> dict[str, Any]:
    try:
        stream = path.open("rb")
    except OSError as error:
        return _refusal({"file": str(path)}, "file.unreadable", str(error.strerror))
    with stream:
        document = decode_file(stream, path.name)
        about = {"file": str(path), **{name: value for name, value in document.as_dict(lang).items() if name != "file"}}
        if document.kind is DocumentKind.REFUSED:
            return {"outcome": "refused", **about}

        def keep(connection: Connection, _: object) -> None:
            if document.entry is not None:
                documents.keep(connection, owner[0], source, document.entry.external_id, stream)

        try:
            result = ingest_records(
                house, owner[0], source, to_records(document, owner[1]), actor=actor(), conclude=keep
            )
        except GatewayError as error:
            return _not_taken(about, error, lang)
    counts = {
        name: getattr(result, name) for name in ("created", "changed", "unchanged", "customers", "entries", "links")
    }
    return {"outcome": _outcome(document), **about, **counts}


def _not_taken(about: dict[str, Any], error: GatewayError, lang: str) -> dict[str, Any]:
    if isinstance(error, LinesRejected | IngestRejected):
        return {"outcome": "refused", **about, "rejected": [plain(_in(lang, fault)) for fault in error.rejected]}
    if isinstance(error, Refused):
        return _refusal(about, error.code, reasons.sentence(error.code, lang, error.values))
    return _refusal(about, "ingest.failed", str(error))


def _outcome(document: Document) -> str:
    if document.kind is DocumentKind.REMINDER:
        return "not_a_claim"
    return "held" if document.hold_code or document.kind is DocumentKind.HELD else "taken"


def _in(lang: str, fault: Rejected) -> Rejected:
    return fault._replace(reason=reasons.told(fault.reason, lang))


def _refusal(about: dict[str, Any], code: str, sentence: str) -> dict[str, Any]:
    return {"outcome": "refused", **about, "error": {"code": code, "text": sentence}}


def _taken_line(result: dict[str, Any]) -> str:
    line = f"{result['file']}: {result['outcome']}, {result.get('format') or 'unknown'}"
    if "created" in result:
        line += f", {result['created']} new, {result['changed']} changed, {result['unchanged']} unchanged"
    if result.get("payable"):
        line += f", {result['number']} {result['payable']} {result['currency']} due {result['due_date'] or '-'}"
    said = [f"  {finding['severity']}: {finding['text']}" for finding in result.get("findings", ())]
    said += [
        f"  {fault['place']} {fault['field']}: {fault['reason']}: {fault['value']!r}"
        for fault in result.get("rejected", ())
    ]
    said += [f"  {result['error']['text']}"] if "error" in result else []
    return "\n".join([line, *said])
