"""What came of the evening: the numbers of the demo's last line, the comparison of ledgers, the state as a whole."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select
from sqlalchemy.orm import aliased

from gateway.db.blobs import CHUNK_BYTES, open_blob
from gateway.db.tables import (
    Agreement,
    Claim,
    Creditor,
    Customer,
    Envelope,
    InboundFile,
    IncomingPayment,
    LedgerEntry,
    RunHold,
    TransferItem,
    TransferRun,
)
from gateway.db.uow import Database
from gateway.demo.office import Desk
from gateway.demo.stage import Stage
from gateway.domain.exchange import LinkKind


@dataclass(frozen=True, slots=True)
class Comparison:
    """Our agency balances against the sandbox's own ledger; *differences* are claims on which the two disagree."""

    claims: int
    differences: tuple[str, ...]


def compare(stage: Stage, desks: Iterable[Desk]) -> Comparison:
    """Hold every claim an agency has against its sandbox's ledger, in both directions (R-VL-08)."""
    claims, differences = 0, []
    for desk in desks:
        theirs = stage.their_balances(desk.creditor.agency_key)
        ours = _our_balances(stage, desk, theirs)
        claims += len(theirs)
        differences += [
            f"{desk.creditor.agency_key} {claim}: we {ours.get(claim)}, agency {theirs.get(claim)}"
            for claim in sorted({*ours, *theirs})
            if ours.get(claim) != theirs.get(claim)
        ]
    return Comparison(claims, tuple(differences))


def _our_balances(stage: Stage, desk: Desk, theirs: Mapping[str, int]) -> dict[str, int]:
    """Return told less paid of every claim the agency has taken, by the name it is known by there."""
    query = (
        select(Claim.claim_id, LedgerEntry.number, Claim.told_minor - Claim.agency_paid_minor)
        .join(LedgerEntry, LedgerEntry.id == Claim.entry_id)
        .where(Claim.agreement_id == desk.agreement_id, Claim.state != "rejected")
    )
    with stage.house.database.read() as connection:
        ours = {called(row[0], row[1], theirs): int(row[2]) for row in connection.execute(query)}
        for note, claim, minor in _noted_apart(connection, desk, theirs):
            ours[note], ours[claim] = -minor, ours[claim] + minor
    return ours


def _noted_apart(connection: Connection, desk: Desk, theirs: Mapping[str, int]) -> Iterable[tuple[str, str, int]]:
    """Return (credit note, invoice, amount) of credit notes that stand by themselves there: their layout names no invoice."""
    t, note, invoice = TransferItem, aliased(LedgerEntry), aliased(LedgerEntry)
    query = (
        select(note.number, invoice.number, t.amount_minor)
        .join(note, note.id == t.entry_id)
        .join(invoice, invoice.id == t.claim_entry_id)
        .where(t.agreement_id == desk.agreement_id, t.kind == LinkKind.CREDIT_NOTE.value)
    )
    rows = connection.execute(query.distinct()).all()
    return [(row[0], row[1], int(row[2])) for row in rows if theirs.get(row[0], 0) < 0]


def called(claim_id: str, number: str, theirs: Mapping[str, int]) -> str:
    """Return how an agency that keeps the ledger *theirs* calls a claim: a layout may have room for the invoice's number only."""
    return number if number in theirs else claim_id


def numbers(database: Database) -> dict[str, Any]:
    """Return the counts of the demo's last line, from the tables themselves."""
    with database.read() as connection:
        return {
            "exported": _sum(connection, TransferRun.invoices_sent),
            "items_exported": _sum(connection, TransferRun.items_sent),
            "held": _held(connection),
            "delivered": _count(connection, Envelope.delivered_at.is_not(None)),
            "receipts_accepted": _count(connection, TransferItem.state == "accepted"),
            "receipts_rejected": _count(connection, TransferItem.state == "rejected"),
            "payments_imported": _count(connection, IncomingPayment.id > 0),
            "payments_matched": _count(connection, IncomingPayment.match_rule.not_in(("", "equal_amount"))),
            "payments_posted": _count(connection, IncomingPayment.state == "posted"),
            "invoices_closed": _count(connection, LedgerEntry.closed_at.is_not(None), LedgerEntry.kind == "invoice"),
            "inbound_files": _count(connection, InboundFile.state == "imported"),
        }


def _sum(connection: Connection, column: Any) -> int:
    return int(connection.execute(select(func.coalesce(func.sum(column), 0))).scalar_one())


def _count(connection: Connection, *which: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).where(*which)).scalar_one()


def _held(connection: Connection) -> list[dict[str, Any]]:
    """Count the entries held in the first evening by reason code: the second evening holds most of them again."""
    first = select(func.min(TransferRun.id)).group_by(TransferRun.agreement_id)
    query = (
        select(RunHold.code, func.count())
        .where(RunHold.run_id.in_(first))
        .group_by(RunHold.code)
        .order_by(RunHold.code)
    )
    return [{"code": code, "count": count} for code, count in connection.execute(query)]


# --- the state as a whole --------------------------------------------------------------------------------------------


def state(database: Database) -> dict[str, list[Any]]:
    """Return the business state in a form that two installations share that lived through the same events.

    Ids, moments and hashes over them are left out; everything is named by what people call it and sorted. Envelope
    contents count with their ids and moments masked.
    """
    with database.read() as connection:
        names = _Names(connection)
        return {
            "entries": names.entries(),
            "claims": names.claims(),
            "items": names.items(),
            "holds": names.holds(),
            "payments": names.payments(),
            "files": names.files(),
            "envelopes": [*_envelopes(database, connection, names)],
        }


def state_hash(dump: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a state."""
    return hashlib.sha256(json.dumps(dump, sort_keys=True).encode()).hexdigest()


class _Names:
    """Reads tables and names rows by creditor key and external id."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        creditors = {row.id: row.key for row in connection.execute(select(Creditor.id, Creditor.key))}
        self.agreements = {
            row.id: f"{creditors[row.creditor_id]}/{row.agency_key}"
            for row in connection.execute(select(Agreement.id, Agreement.creditor_id, Agreement.agency_key))
        }
        self._rows = connection.execute(
            select(LedgerEntry.__table__, Customer.customer_number).join(
                Customer, Customer.id == LedgerEntry.customer_id
            )
        ).all()
        payments = connection.execute(select(IncomingPayment.id, IncomingPayment.creditor_id, IncomingPayment.key))
        keys = {row.id: row.key for row in payments}
        self.of = {row.id: f"{creditors[row.creditor_id]}/{_lasting(row, keys)}" for row in self._rows}

    def entries(self) -> list[Any]:
        return sorted(
            [
                self.of[row.id], row.kind, row.number, row.amount_minor, row.currency, row.open_minor,
                row.closed_at is not None, self.of.get(row.group_id, ""), row.origin, row.do_not_transfer,
                row.customer_number,
            ]
            for row in self._rows
        )  # fmt: skip

    def claims(self) -> list[Any]:
        query = select(Claim.agreement_id, Claim.entry_id, Claim.state, Claim.told_minor, Claim.agency_paid_minor)
        rows = self._connection.execute(query)
        return sorted([self.agreements[row[0]], self.of[row[1]], *row[2:]] for row in rows)

    def items(self) -> list[Any]:
        t = TransferItem
        columns = (
            t.agreement_id,
            t.entry_id,
            t.claim_entry_id,
            t.kind,
            t.direction,
            t.amount_minor,
            t.version,
            t.state,
        )
        rows = self._connection.execute(select(*columns))
        return sorted([self.agreements[row[0]], self.of[row[1]], self.of[row[2]], *row[3:]] for row in rows)

    def holds(self) -> list[Any]:
        query = select(TransferRun.agreement_id, TransferRun.business_date, RunHold.entry_id, RunHold.code).join(
            TransferRun, TransferRun.id == RunHold.run_id
        )
        rows = self._connection.execute(query)
        return sorted([self.agreements[row[0]], str(row[1]), self.of[row[2]], row[3]] for row in rows)

    def payments(self) -> list[Any]:
        p = IncomingPayment
        columns = (
            p.position, p.amount_minor, p.principal_minor, p.currency, p.direction, p.reference, p.state, p.match_rule,
            p.difference,
        )  # fmt: skip
        query = select(p.agreement_id, p.entry_id, InboundFile.filename, *columns)
        rows = self._connection.execute(query.join(InboundFile, InboundFile.id == p.file_id))
        return sorted([self.agreements.get(row[0] or 0, ""), self.of.get(row[1] or 0, ""), *row[2:]] for row in rows)

    def files(self) -> list[Any]:
        f = InboundFile
        rows = self._connection.execute(select(f.agreement_id, f.filename, f.state, f.kind, f.format, f.transactions))
        return sorted([self.agreements[row[0]], *row[1:]] for row in rows)


def _lasting(row: Any, payment_keys: Mapping[int, str]) -> str:
    """Name an entry by its source's id; ours of posted payments hold a row number, so their key stands for it."""
    if row.payment_id is not None:
        return f"{row.kind}:{payment_keys.get(row.payment_id, '')}:{row.amount_minor}"
    return re.sub(r"\d{6,}", "#", row.external_id) if row.source != "demo" else row.external_id


_DRAWN = re.compile(rb'((?:createdAt|fileId|claimId|itemId|unlinksItemId|caseNumber|created|messageId)=")[^"]*(")')
"""Attributes of a file that hold a moment or a drawn id."""


def _envelopes(database: Database, connection: Connection, names: _Names) -> Iterable[list[Any]]:
    rows = connection.execute(select(Envelope.__table__).order_by(Envelope.agreement_id, Envelope.id)).all()
    for row in rows:
        content = b""
        with open_blob(database, row.blob_id) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                content += chunk
        masked = hashlib.sha256(_DRAWN.sub(rb"\1\2", content)).hexdigest()
        yield [
            names.agreements[row.agreement_id], row.kind, row.sequence, row.filename, row.claims, row.items,
            row.debit_minor, row.credit_minor, row.state, masked,
        ]  # fmt: skip
