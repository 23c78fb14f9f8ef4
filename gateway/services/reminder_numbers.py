"""Reminder numbers that an accounting system gives: never one that another invoice of the creditor has (R-LK-05).

Two series meet here, the source's and ours. Ours goes on above the highest number the source has given; a number that
the source gives later and that is taken, by whichever of the two, is not kept, and a person is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select, update

from gateway.db.bulk import batches
from gateway.db.ledger_sql import IN_LIST_MAX
from gateway.db.tables import Agreement, Claim, Creditor, LedgerEntry
from gateway.domain.exchange import Finding, Severity
from gateway.domain.ledger import EntryKind, EntryRecord

ROOM_FROM = 10**17
"""Source numbers end below this. Ours follow the highest of them, and no count of invoices ever climbs out of the room."""


class ReminderNumbers:
    """What one reading says about reminder numbers, with the creditor's books locked.

    Args:
        connection: the reading's transaction.
        creditor_id: whose numbers.
    """

    def __init__(self, connection: Connection, creditor_id: int) -> None:
        self._connection, self._creditor_id = connection, creditor_id
        mine = select(Creditor.next_reminder_number).where(Creditor.id == creditor_id)
        self._next: int = connection.execute(mine).scalar_one()
        self._highest = 0
        self._refused: set[str] = set()

    def look(self, records: Iterable[EntryRecord], known: Mapping[str, Any]) -> list[Finding]:
        """Learn which numbers of a batch are taken; return a finding for each.

        Args:
            records: of the batch.
            known: rows of those that are in the ledger already, by external id.
        """
        wanted: dict[str, str] = {}
        findings: list[Finding] = []
        for record in records:
            if not record.reminder_number or record.kind is not EntryKind.INVOICE:
                continue
            if wanted.setdefault(record.reminder_number, record.external_id) != record.external_id:
                findings.append(self._refuse(record.external_id, record.reminder_number))
        owners = {row.id: external_id for external_id, row in known.items()}
        for number, entry_id in self._taken(wanted):
            if owners.get(entry_id) != wanted[number] and wanted[number] not in self._refused:
                findings.append(self._refuse(wanted[number], number))
        return findings

    def of(self, record: EntryRecord) -> str:
        """Return the number to keep for a record, empty when it is another invoice's."""
        if record.external_id in self._refused:
            return ""
        if _is_counted(record.reminder_number):
            self._highest = max(self._highest, int(record.reminder_number))
        return record.reminder_number

    def finish(self) -> None:
        """Let our own series go on above the source's."""
        behind = (Creditor.id == self._creditor_id, Creditor.next_reminder_number <= self._highest)
        self._connection.execute(update(Creditor).where(*behind).values(next_reminder_number=self._highest + 1))

    def _refuse(self, external_id: str, number: str) -> Finding:
        self._refused.add(external_id)
        return Finding(Severity.WARNING, "reminder.number_taken", external_id, number, {"number": number})

    def _taken(self, wanted: Mapping[str, str]) -> Iterable[tuple[str, int]]:
        """Yield (number, entry id) of the invoices that have one of these numbers, from the books or from us."""
        e, c = LedgerEntry, Claim
        here = (e.creditor_id == self._creditor_id, e.kind == EntryKind.INVOICE.value, e.reminder_number != "")
        for some in batches(sorted(wanted), IN_LIST_MAX):
            query = select(e.reminder_number, e.id).where(*here, e.reminder_number.in_(some))
            yield from self._connection.execute(query)
        given = sorted(n for n in wanted if _is_counted(n) and int(n) < self._next)  # all others cannot be ours
        for some in batches(given, IN_LIST_MAX):
            ours = select(c.reminder_number, c.entry_id).join(Agreement, Agreement.id == c.agreement_id)
            query = ours.where(Agreement.creditor_id == self._creditor_id, c.reminder_number.in_(some))
            yield from self._connection.execute(query)


def leaves_no_room(record: EntryRecord) -> bool:
    """Say whether a number is so high that our own series, which follows the source's, could meet it."""
    return _is_decimal(record.reminder_number) and int(record.reminder_number) >= ROOM_FROM


def _is_counted(number: str) -> bool:
    return _is_decimal(number) and int(number) < ROOM_FROM


def _is_decimal(number: str) -> bool:
    return number.isascii() and number.isdigit()
