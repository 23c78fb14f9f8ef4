"""What the next run will send and hold, with reasons: the run's own code, with nothing kept (P13)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, select

from gateway.db.tables import Customer, LedgerEntry
from gateway.domain.exchange import Claim
from gateway.domain.transfer import Hold
from gateway.services import sealing
from gateway.services.house import House
from gateway.services.plan import Judged, judged_groups, ledger_facts, refresh_pending_checks
from gateway.services.plan_context import PlanContext, context
from gateway.services.plan_rows import left_unlinked
from gateway.services.run import Tally, next_seal
from gateway.services.spool import NullSink


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """One linked item that goes; *amount_minor* is positive, *direction* says what it does to the claim."""

    entry_id: int
    kind: str
    amount_minor: int
    direction: str


@dataclass(frozen=True, slots=True)
class PlannedInvoice:
    """One claim that goes: new, or with later items. Amounts in minor units of *currency*."""

    entry_id: int
    invoice_number: str
    customer_id: int
    customer_name: str
    original_minor: int
    open_minor: int
    currency: str
    is_new: bool
    items: tuple[PlannedItem, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """One entry that does not go (or, among warnings, that goes although something looks wrong)."""

    entry_id: int
    group_id: int
    number: str
    customer_id: int
    customer_name: str
    amount_minor: int
    currency: str
    code: str
    values: Mapping[str, object]
    is_exclusion: bool
    next_date: date | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The next run of one agreement."""

    agreement_id: int
    cutoff: datetime
    next_run_at: datetime | None
    invoices: tuple[PlannedInvoice, ...]
    held: tuple[Held, ...]
    warnings: tuple[Held, ...]
    not_linked: tuple[Held, ...]

    @property
    def invoice_count(self) -> int:
        """New claims that go."""
        return sum(invoice.is_new for invoice in self.invoices)

    @property
    def item_count(self) -> int:
        """Linked items that go."""
        return sum(len(invoice.items) for invoice in self.invoices)

    @property
    def sum_minor(self) -> int:
        """Sum of the invoice totals of new claims, minor units."""
        return sum(invoice.original_minor for invoice in self.invoices if invoice.is_new)


def preview(house: House, agreement_id: int) -> Plan:
    """Return exactly what the next run will send and hold; raises ``NotFound``."""
    with house.database.write() as connection:
        # Checks of changed cards are the one thing a preview writes: the run would write the same.
        ctx = context(house, connection, agreement_id)
        refresh_pending_checks(house, connection, ctx)
    with house.database.read() as connection:
        ctx = context(house, connection, agreement_id, ctx.cutoff)
        tally = _Preview(house, ctx)
        tally.until_it_fits(connection, partial(tally.look, connection))
        not_linked = _not_linked(connection, ctx)
    return Plan(
        agreement_id=agreement_id,
        cutoff=ctx.cutoff,
        next_run_at=ctx.row.next_run_at,
        invoices=tuple(tally.invoices),
        held=tuple(tally.held),
        warnings=tuple(tally.warnings),
        not_linked=not_linked,
    )


class _Preview(Tally):
    """Collects what the run would do, writing the files to nowhere so that it meets the same errors."""

    def __init__(self, house: House, ctx: PlanContext) -> None:
        super().__init__(house, ctx, 1)
        self.look_again()

    def look_again(self) -> None:
        self.invoices: list[PlannedInvoice] = []
        self.held: list[Held] = []
        self.warnings: list[Held] = []

    def look(self, connection: Connection) -> None:
        self.look_again()
        seal, ledger = next_seal(connection, self.ctx, self.house), ledger_facts(connection, self.ctx)
        for are_known in (False, True):
            with closing(judged_groups(connection, self.ctx, ledger, are_known=are_known)) as groups:
                claims, sink = self.claims(groups), NullSink()
                sealing.export(self.house, self.ctx.agreement, seal, claims, sink, are_new=not are_known)

    def noted(self, judged: Judged) -> None:
        self.held += [_held(judged, hold, self.ctx) for hold in judged.verdict.holds]
        self.warnings += [_held(judged, hold, self.ctx) for hold in judged.verdict.warnings]

    def going(self, judged: Judged, claim: Claim) -> None:
        verdict = judged.verdict
        assert verdict.invoice is not None
        items = tuple(
            PlannedItem(i.member.entry_id, i.kind.value, abs(i.member.amount_minor), i.direction.value)
            for i in verdict.items
        )
        self.invoices.append(
            PlannedInvoice(
                entry_id=verdict.invoice.entry_id,
                invoice_number=claim.invoice_number,
                customer_id=judged.customer.card_id,
                customer_name=judged.customer.name,
                original_minor=claim.original_minor,
                open_minor=claim.open_minor,
                currency=self.ctx.agreement.currency,
                is_new=verdict.sends_invoice,
                items=items,
            )
        )


def _held(judged: Judged, hold: Hold, ctx: PlanContext) -> Held:
    row = judged.rows[hold.entry_id]
    return Held(
        entry_id=hold.entry_id,
        group_id=judged.verdict.group_id,
        number=row.number or row.voucher_number,
        customer_id=judged.customer.card_id,
        customer_name=judged.customer.name,
        amount_minor=row.amount_minor,
        currency=str(hold.values.get("currency", ctx.agreement.currency)),
        code=hold.code,
        values=hold.values,
        is_exclusion=hold.is_exclusion,
        next_date=ctx.cutoff.date(),
    )


NOT_LINKED_MAX = 500
"""Rows of the list "Not linked"; a bookkeeper with more of them needs the ledger, not a preview."""


def _not_linked(connection: Connection, ctx: PlanContext) -> tuple[Held, ...]:
    """Return payments and credit notes linked to no invoice (R-LS-07), oldest first."""
    e = LedgerEntry
    query = (
        select(e.id, e.number, e.voucher_number, e.amount_minor, e.customer_id, Customer.name)
        .join(Customer, Customer.id == e.customer_id)
        .where(
            e.creditor_id == ctx.agreement.creditor_id,
            e.currency == ctx.agreement.currency,
            e.group_id == e.id,
            e.kind.in_(("payment", "credit_note")),
            e.reversed_by_id.is_(None),
            e.order_status == "invoiced",
            left_unlinked(e) != 0,
        )
        .order_by(e.booked, e.id)
        .limit(NOT_LINKED_MAX)
    )
    return tuple(_not_linked_row(row, ctx) for row in connection.execute(query))


def _not_linked_row(row: Any, ctx: PlanContext) -> Held:
    return Held(
        entry_id=row.id,
        group_id=row.id,
        number=row.number or row.voucher_number,
        customer_id=row.customer_id,
        customer_name=row.name,
        amount_minor=row.amount_minor,
        currency=ctx.agreement.currency,
        code="link.not_linked",
        values={},
        is_exclusion=False,
        next_date=None,
    )
