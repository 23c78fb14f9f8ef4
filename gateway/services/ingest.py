"""Ledger in: customers, entries and links from an accounting system, in one transaction, idempotent on its own ids.

Reading the same again changes nothing (L11). A stored entry never changes amount, customer or day (L5): such a record is
rejected with both values, and nothing is overwritten. Work goes in batches, so that a hundred thousand lines cost a few
hundred statements.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, select, update

from gateway.db import audit
from gateway.db.bulk import batches, insert_rows, refresh_statistics, table_of, take_ids
from gateway.db.ledger_sql import IN_LIST_MAX, agreements_to_look, lock_books, queue_groups, refresh_open
from gateway.db.tables import Agreement, Customer, LedgerEntry
from gateway.domain.exchange import Finding, Severity
from gateway.domain.identifiers import account_key
from gateway.domain.ledger import (
    CustomerRecord,
    EntryKind,
    EntryRecord,
    LedgerRecord,
    LinkRecord,
    OrderStatus,
    Rejected,
)
from gateway.domain.reasons import said
from gateway.errors import ConfigurationError, DataError, PluginError, Refused
from gateway.services.cards import agreement_of, refresh_checks
from gateway.services.house import House
from gateway.services.joining import NOT_OURS, find_postings
from gateway.services.marks import refuse_if_sent
from gateway.services.regroup import Regrouping, regroup_all
from gateway.services.reminder_numbers import ROOM_FROM, ReminderNumbers, leaves_no_room

BATCH = 2000
STATISTICS_GROWTH = 3
"""The planner hears of new rows each time they have multiplied by this, so that later batches are still looked up."""
REJECTED_MAX = 1000
"""Faults listed from one reading; past this the list helps nobody and costs memory."""

_CARD_FIELDS = (
    "customer_number", "name", "organisation_number", "address1", "address2", "postcode", "city", "country", "email",
    "phone", "language",
)  # fmt: skip
_ENTRY_COLUMNS = (
    "id", "creditor_id", "source", "external_id", "customer_id", "kind", "number", "amount_minor", "currency", "booked",
    "due", "payment_reference", "order_number", "order_status", "invoiced_at", "voucher_number", "voucher_kind",
    "line_number", "text", "credits", "credits_number", "reverses", "counter_account", "is_bank", "bank_reference",
    "paid_from_account", "charge_kind", "hold_code", "document_form", "group_id", "open_minor", "closed_at",
    "do_not_transfer", "do_not_transfer_by", "do_not_transfer_at", "reminder_number", "reminder_date",
    "reminder_deadline", "received_at", "content_hash", "origin",
)  # fmt: skip
_MANUAL = frozenset({EntryKind.OTHER, EntryKind.WRITE_OFF})
MAY_NOT_CHANGE, FIXED_ONCE_INVOICED = "wrong.may_not_change", "wrong.fixed_once_invoiced"
"""Codes of the reasons for refusing another amount, day or customer (L5)."""
_FIXED = ("kind", "amount_minor", "currency", "booked")
"""What an entry that is in the books may never change (L5); its customer neither."""


@dataclass(slots=True)
class IngestResult:
    """What a reading did. *created*, *changed* and *unchanged* count records of all kinds."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    customers: int = 0
    entries: int = 0
    links: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


class IngestRejected(DataError):
    """At least one record could not be taken, so none was."""

    def __init__(self, rejected: Sequence[Rejected]) -> None:
        self.rejected = list(rejected)
        first = self.rejected[0]
        super().__init__(
            f"{len(self.rejected)} rejected; first: {first.place}, {first.field}: {first.reason}: {first.value!r}"
        )


def ingest(
    house: House,
    creditor_id: int,
    source: str,
    records: Iterable[tuple[str, LedgerRecord]],
    *,
    actor: str,
    all_or_nothing: bool = True,
    conclude: Callable[[Connection, IngestResult], None] = lambda *_: None,
) -> IngestResult:
    """Take ledger records of one creditor.

    Args:
        house: the house.
        creditor_id: whose ledger.
        source: name of the accounting system; part of every record's identity.
        records: (place, record) pairs; a customer stands before its entries, entries before the links that name them.
        actor: who sends them.
        all_or_nothing: with any rejected record commit nothing.
        conclude: what the caller writes in the same transaction, last of all, such as the answer it will give.

    Raises:
        IngestRejected: with *all_or_nothing*, listing every fault found.
    """
    with house.database.write() as connection:
        lock_books(connection, creditor_id)
        reading = _Reading(house, connection, creditor_id, source, actor)
        for batch in batches(records, BATCH):
            reading.take(batch)
        reading.finish()
        result = reading.result
        if result.rejected and all_or_nothing:
            raise IngestRejected(result.rejected)
        if result.created or result.changed:
            counts = {"created": result.created, "changed": result.changed, "source": source}
            audit.record(connection, creditor_id, reading.now, actor, "ledger.ingested", "ledger", source, **counts)
        conclude(connection, result)
    house.ring()
    return result


class _Reading:
    """State of one reading: which groups it touched, what it counted."""

    def __init__(self, house: House, connection: Connection, creditor_id: int, source: str, actor: str) -> None:
        self.house, self.connection, self.creditor_id, self.source = house, connection, creditor_id, source
        self.actor, self.now, self.result = actor, house.now(), IngestResult()
        self.touched: set[int] = set()
        self.cards: set[int] = set()
        self._analysed = BATCH
        self.fresh: set[int] = set()
        self.numbers = ReminderNumbers(connection, creditor_id)

    def take(self, batch: Sequence[tuple[str, LedgerRecord]]) -> None:
        """Take one batch: cards first, then entries, then links."""
        if self.result.created >= self._analysed * STATISTICS_GROWTH:
            refresh_statistics(self.connection, self.result.created, Customer, LedgerEntry)
            self._analysed = self.result.created
        self._customers([(place, r) for place, r in batch if isinstance(r, CustomerRecord)])
        self._entries([(place, r) for place, r in batch if isinstance(r, EntryRecord)])
        self._links([(place, r) for place, r in batch if isinstance(r, LinkRecord)])

    def finish(self) -> None:
        """Check new cards (T1), bring open amounts up to date and tell the next run what to look at."""
        for agreement_id, _ in agreements_to_look(self.connection, self.creditor_id):
            agreement, _row = agreement_of(self.connection, agreement_id)
            with suppress(PluginError, ConfigurationError):  # one broken plugin does not shut the ledger (P18)
                refresh_checks(self.house, self.connection, agreement, self.cards)
        refresh_statistics(self.connection, self.result.created, Customer, LedgerEntry)
        refresh_open(self.connection, self.touched - self.fresh, self.now)
        queue_groups(self.connection, self.creditor_id, self.touched, self.now)
        self.numbers.finish()

    def reject(self, place: str, field_: str, reason: str, value: object) -> None:
        """Note a record that cannot be taken."""
        if len(self.result.rejected) < REJECTED_MAX:
            self.result.rejected.append(Rejected(place, field_, reason, str(value)[:200]))

    def _known(self, mapped: Any, external_ids: Iterable[str]) -> dict[str, Any]:
        known: dict[str, Any] = {}
        columns = table_of(mapped).columns
        for some in batches(sorted(set(external_ids)), IN_LIST_MAX):
            query = select(*columns).where(
                columns.creditor_id == self.creditor_id, columns.source == self.source, columns.external_id.in_(some)
            )
            known.update((row.external_id, row) for row in self.connection.execute(query))
        return known

    # --- customers ---------------------------------------------------------------------------------------------------

    def _customers(self, records: Sequence[tuple[str, CustomerRecord]]) -> None:
        if not records:
            return
        last = {record.external_id: record for _, record in records}
        known = self._known(Customer, last)
        new = [record for external_id, record in last.items() if external_id not in known]
        rows = []
        for customer_id, record in zip(take_ids(self.connection, len(new)), new, strict=True):
            self.cards.add(customer_id)
            rows.append((customer_id, *self._card(record).values()))
        if new:
            insert_rows(self.connection, Customer, ("id", *self._card(new[0])), rows)
        for external_id, record in last.items():
            if external_id in known:
                self._change_card(known[external_id], record)
        self.result.created += len(new)
        self.result.customers += len(last)

    def _card(self, record: CustomerRecord) -> dict[str, Any]:
        box = self.house.secrets
        values: dict[str, Any] = {name: getattr(record, name) for name in _CARD_FIELDS}
        return values | {
            "creditor_id": self.creditor_id,
            "source": self.source,
            "external_id": record.external_id,
            "kind": record.kind.value if record.kind else None,
            "national_id_encrypted": box.encrypt(record.national_id) if record.national_id else None,
            "national_id_hash": box.keyed_hash(record.national_id) if record.national_id else None,
            "content_hash": _hash(record),
            "changed_at": self.now,
        }

    def _change_card(self, row: Any, record: CustomerRecord) -> None:
        if row.content_hash == _hash(record):
            self.result.unchanged += 1
            return
        values = self._card(record) | {"version": row.version + 1}
        # What a bookkeeper mended here stands until the source says something itself (R-CD-07).
        kept = {name: value for name, value in row.corrected.items() if not values.get(name)}
        values |= kept | {"corrected": kept}
        self.connection.execute(update(Customer).where(Customer.id == row.id).values(**values))
        self.cards.add(row.id)
        self.result.changed += 1

    # --- entries -----------------------------------------------------------------------------------------------------

    def _entries(self, records: Sequence[tuple[str, EntryRecord]]) -> None:
        if not records:
            return
        last = self._one_each(records)
        customers = self._known(Customer, (record.customer_external_id for _, record in last.values()))
        known = self._known(LedgerEntry, last)
        self.result.findings += self.numbers.look((record for _, record in last.values()), known)
        new: list[tuple[EntryRecord, int]] = []
        for external_id, (place, record) in last.items():
            customer = customers.get(record.customer_external_id)
            if customer is None:
                self.reject(place, "customer", said("wrong.unknown"), record.customer_external_id)
            elif external_id in known:
                self._change_entry(place, known[external_id], record, customer.id)
            elif record.kind is EntryKind.INVOICE and not record.number:
                self.reject(place, "number", said("wrong.missing"), "")
            elif leaves_no_room(record):
                self.reject(
                    place, "reminder_number", said("wrong.must_be_below", most=ROOM_FROM), record.reminder_number
                )
            else:
                new.append((record, customer.id))
        self._insert_entries(self._join(new))
        self._warn_of_half_marked(last.values(), known)
        self._reversals([record for record, _ in new if record.reverses])
        self.result.entries += len(last)

    def _join(self, new: Sequence[tuple[EntryRecord, int]]) -> list[tuple[EntryRecord, int]]:
        """Let records that repeat what was posted here join it (L12); return the others."""
        postings = find_postings(self.connection, self.creditor_id, new)
        left = []
        for record, customer_id in new:
            ours = postings.get(record.external_id)
            if ours is None:
                left.append((record, customer_id))
                continue
            self._overwrite(ours, record, customer_id)
            facts = {"external_id": record.external_id, "posting": ours.external_id}
            audit.record(
                self.connection, self.creditor_id, self.now, self.actor, "payment.joined", "entry", ours.id, **facts
            )
        return left

    def _warn_of_half_marked(self, records: Iterable[tuple[str, EntryRecord]], known: Mapping[str, Any]) -> None:
        """Say of a write-off voucher that some of its lines are marked and others not (R-VL-05); it is taken anyway."""
        vouchers: dict[str, list[tuple[str, bool]]] = {}
        for place, r in records:
            if r.voucher_number and r.kind in _MANUAL and not r.is_bank and r.amount_minor < 0:
                row = known.get(r.external_id)
                is_marked = r.do_not_transfer or bool(row and row.do_not_transfer)
                vouchers.setdefault(r.voucher_number, []).append((place, is_marked))
        for voucher, lines in vouchers.items():
            unmarked = [place for place, is_marked in lines if not is_marked]
            if unmarked and len(unmarked) < len(lines):
                self.result.findings.append(
                    Finding(Severity.WARNING, "writeoff.line_not_marked", unmarked[0], voucher, {"voucher": voucher})
                )

    def _one_each(self, records: Sequence[tuple[str, EntryRecord]]) -> dict[str, tuple[str, EntryRecord]]:
        """Take each id once; two different amounts under one id in one reading contradict each other (L5)."""
        last: dict[str, tuple[str, EntryRecord]] = {}
        for place, record in records:
            _, before = last.setdefault(record.external_id, (place, record))
            fixed = [name for name in _FIXED if getattr(before, name) != getattr(record, name)]
            if fixed and before.order_status is OrderStatus.INVOICED:
                self.reject(place, fixed[0], said("wrong.differs_from", place=place), getattr(record, fixed[0]))
            else:
                last[record.external_id] = (place, record)
        return last

    def _insert_entries(self, new: Sequence[tuple[EntryRecord, int]]) -> None:
        ids = take_ids(self.connection, len(new))
        rows = [
            self._entry_row(entry_id, record, customer_id)
            for entry_id, (record, customer_id) in zip(ids, new, strict=True)
        ]
        insert_rows(self.connection, LedgerEntry, _ENTRY_COLUMNS, rows)
        self.result.created += len(new)
        self.touched.update(ids)
        self.fresh.update(ids)

    def _entry_row(self, entry_id: int, r: EntryRecord, customer_id: int) -> tuple[Any, ...]:
        invoiced = r.order_status is OrderStatus.INVOICED
        open_minor = r.amount_minor if r.kind is EntryKind.INVOICE and invoiced else 0
        closed_at = self.now if r.kind is EntryKind.INVOICE and invoiced and not r.amount_minor else None
        marked = (True, f"source:{self.source}", self.now) if r.do_not_transfer else (False, "", None)
        return (
            entry_id, self.creditor_id, self.source, r.external_id, customer_id, r.kind.value, r.number, r.amount_minor,
            r.currency, r.booked, r.due, r.payment_reference, r.order_number, r.order_status.value,
            self.now if invoiced else None, r.voucher_number, r.voucher_kind, r.line_number, r.text, list(r.credits),
            r.credits[0] if len(r.credits) == 1 else "", r.reverses, r.counter_account, r.is_bank, r.bank_reference,
            r.paid_from_account, r.charge_kind, r.hold_code or (NOT_OURS if r.back_reference else ""), r.document_form,
            entry_id, open_minor, closed_at, *marked, self.numbers.of(r), r.reminder_date, r.reminder_deadline, self.now, _hash(r), self._origin(r),
        )  # fmt: skip

    def _origin(self, record: EntryRecord) -> str:
        """Money from an agency's own account is the agency's: it knows of it, and is never told (R-OP-04)."""
        account = record.paid_from_account
        is_agencys = bool(account) and account_key(account) in self._agency_accounts
        return "agency" if is_agencys else "creditor"

    @cached_property
    def _agency_accounts(self) -> frozenset[str]:
        query = select(Agreement.agency_accounts).where(Agreement.creditor_id == self.creditor_id)
        lists = self.connection.execute(query).scalars()
        return frozenset(account_key(account) for accounts in lists for account in accounts)

    def _change_entry(self, place: str, row: Any, record: EntryRecord, customer_id: int) -> None:
        if row.content_hash == _hash(record):
            self.result.unchanged += 1
            return
        if row.order_status == OrderStatus.INVOICED.value:
            for name in _FIXED:
                value = getattr(record, name)
                if (value.value if isinstance(value, EntryKind) else value) != getattr(row, name):
                    self.reject(place, name, said(MAY_NOT_CHANGE, stored=getattr(row, name)), value)
                    return
            if customer_id != row.customer_id or record.order_status is not OrderStatus.INVOICED:
                self.reject(place, "customer or order_status", said(FIXED_ONCE_INVOICED), record.external_id)
                return
        self._overwrite(row, record, customer_id)

    def _overwrite(self, row: Any, record: EntryRecord, customer_id: int) -> None:
        """Let what the source says now stand in a stored entry, but for what is ours to say."""
        values = dict(zip(_ENTRY_COLUMNS, self._entry_row(row.id, record, customer_id), strict=True))
        for name in ("id", "group_id", "received_at", "closed_at", "open_minor", "origin"):
            del values[name]
        if row.invoiced_at is not None:
            values["invoiced_at"] = row.invoiced_at
        if row.do_not_transfer or not record.do_not_transfer or self._is_sent(row):
            for name in ("do_not_transfer", "do_not_transfer_by", "do_not_transfer_at"):
                del values[name]  # the mark is ours; a later reading never takes it away (neutral model, LedgerLine)
        values["reminder_number"] = row.reminder_number or values["reminder_number"]
        for name in ("reminder_date", "reminder_deadline"):
            values[name] = values[name] or getattr(row, name)
        if row.hold_code != NOT_OURS:
            values["hold_code"] = record.hold_code
        self.connection.execute(update(LedgerEntry).where(LedgerEntry.id == row.id).values(**values))
        self.touched.add(row.group_id)
        self.fresh.discard(row.group_id)
        self.result.changed += 1

    def _is_sent(self, row: Any) -> bool:
        """Say whether an agency has the entry: then it is too late for the source's mark as well (R-FA-11, R-VL-11)."""
        try:
            refuse_if_sent(self.connection, row)
        except Refused as refused:
            finding = Finding(Severity.WARNING, refused.code, row.external_id, row.number, refused.values)
            self.result.findings.append(finding)
            return True
        return False

    def _reversals(self, records: Sequence[EntryRecord]) -> None:
        """Tell the reversed entry who reversed it; an unlinked one and its reversal belong together (R-RV-05)."""
        targets = self._known(LedgerEntry, (record.reverses for record in records))
        mine = self._known(LedgerEntry, (record.external_id for record in records))
        for record in records:
            target, reversal = targets.get(record.reverses), mine[record.external_id]
            if target is None:
                self.result.findings.append(_unknown_reversal(record))
                continue
            self.connection.execute(
                update(LedgerEntry).where(LedgerEntry.id == target.id).values(reversed_by_id=reversal.id)
            )
            if target.group_id == target.id and target.kind != EntryKind.INVOICE.value:
                self.connection.execute(
                    update(LedgerEntry)
                    .where(LedgerEntry.id == reversal.id)
                    .values(group_id=target.id, linked_at=self.now)
                )
            self.touched.add(target.group_id)

    # --- links -------------------------------------------------------------------------------------------------------

    def _links(self, records: Sequence[tuple[str, LinkRecord]]) -> None:
        if not records:
            return
        last = {record.external_id: (place, record) for place, record in records}
        named = self._known(LedgerEntry, (entry for _, record in last.values() for entry in record.entries))
        current = self._current_links(last)
        wanted: list[tuple[str, list[Any], list[Any]]] = []
        taken: dict[str, str] = {}
        for external_id, (place, record) in last.items():
            fault = next((entry for entry in record.entries if entry not in named), None)
            twice = next(
                (entry for entry in record.entries if taken.setdefault(entry, external_id) != external_id), None
            )
            if fault is not None or twice is not None:
                in_two = said("wrong.in_another_link", link=taken[twice or ""]) if twice is not None else ""
                reason = said("wrong.unknown") if fault is not None else in_two
                self.reject(place, "entries", reason, fault or twice)
                continue
            currencies = {named[entry].currency for entry in record.entries}
            if len(currencies) > 1:  # their sum would be an amount of nothing
                self.reject(place, "entries", said("wrong.several_currencies"), ", ".join(sorted(currencies)))
                continue
            wanted.append((external_id, [named[entry] for entry in record.entries], current.get(external_id, [])))
        links = [Regrouping(external_id, members, before) for external_id, members, before in wanted]
        for link, touched in zip(links, regroup_all(self.connection, links, self.now), strict=True):
            self.touched |= touched
            self.fresh -= touched
            name = "changed" if touched and link.before else "created" if touched else "unchanged"
            setattr(self.result, name, getattr(self.result, name) + 1)
        self.result.links += len(last)

    def _current_links(self, external_ids: Mapping[str, Any]) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        columns = table_of(LedgerEntry).columns
        for some in batches(sorted(external_ids), IN_LIST_MAX):
            query = select(*columns).where(
                columns.creditor_id == self.creditor_id, columns.source == self.source, columns.link_ref.in_(some)
            )
            for row in self.connection.execute(query):
                found.setdefault(row.link_ref, []).append(row)
        return found


def _unknown_reversal(record: EntryRecord) -> Finding:
    return Finding(Severity.WARNING, "reversal.unknown_entry", record.external_id, record.reverses)


def _hash(record: CustomerRecord | EntryRecord) -> str:
    return hashlib.blake2b(repr(astuple(record)).encode(), digest_size=16).hexdigest()
