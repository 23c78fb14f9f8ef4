"""The statements behind a plan: members of the pending groups with everything known of them, in the file's order."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, case, func, literal, null, or_, select

from gateway.db.bulk import table_of
from gateway.db.ledger_sql import agency_has
from gateway.db.tables import Agreement as AgreementRow
from gateway.db.tables import (
    Claim,
    CustomerCheck,
    LedgerEntry,
    Pending,
    TransferItem,
)
from gateway.db.tables import Customer as CustomerRow
from gateway.db.tables.base import Instant
from gateway.domain.exchange import LinkKind
from gateway.domain.transfer import Member
from gateway.services.entries import SOURCE
from gateway.services.plan_context import PlanContext

_E = table_of(LedgerEntry).alias("e")
_T = table_of(TransferItem)
_CARD = table_of(CustomerRow)
_EXTRA_COLUMNS = (
    "payment_reference", "voucher_number", "bank_reference", "text", "charge_kind", "reminder_number",
)  # fmt: skip


def _member_columns(cut: datetime, *, is_former: bool) -> list[Any]:
    """One expression per field of `Member`, in its order, so that a row's head is a member without further work."""
    arrived = func.coalesce(_E.c.invoiced_at, _E.c.received_at)
    moment = bindparam("b_cutoff", cut, Instant())
    linked_late = and_(_E.c.kind != "invoice", func.coalesce(_E.c.linked_at, arrived) >= moment)
    was_kept = and_(_T.c.kind == LinkKind.UNLINK.value, _T.c.state == "rejected")
    told = or_(func.coalesce(_T.c.kind, "") != LinkKind.UNLINK.value, was_kept)
    made = {
        "entry_id": _E.c.id,
        "is_late": or_(arrived >= moment, linked_late),
        "is_marked": _E.c.do_not_transfer,
        "marked_by": _E.c.do_not_transfer_by,
        "marked_at": _E.c.do_not_transfer_at,
        "credits": case((_E.c.kind == "credit_note", _E.c.credits), else_=None),
        "is_judged_payment": _E.c.judged_payment_by != "",
        "is_reversed": _E.c.reversed_by_id.is_not(None),
        "is_made_here": _E.c.source == SOURCE,
        "sent_kind": case((told, func.coalesce(_T.c.kind, "")), else_=""),
        "sent_claim": func.coalesce(_T.c.claim_entry_id, 0),
        "sent_version": func.coalesce(_T.c.version, 0),
        "sent_item_id": case((was_kept, _kept_item_id()), else_=func.coalesce(_T.c.item_id, "")),
        "is_rejected": func.coalesce(_T.c.state, "") == "rejected",
        "is_mended": func.coalesce(_CARD.c.changed_at > _T.c.answered_at, literal(value=False)),
        "rejected_because": func.coalesce(_T.c.reason_text, ""),
        "is_former": literal(is_former),
    }
    return [(made[name] if name in made else _E.c[name]).label(name) for name in Member._fields]


def _kept_item_id() -> Any:
    """The id under which an agency counts an item that it refused to take off: that of the version before the refusals."""
    before = table_of(TransferItem).alias("before")
    same = and_(before.c.agreement_id == _T.c.agreement_id, before.c.entry_id == _T.c.entry_id)
    told = and_(same, before.c.kind != LinkKind.UNLINK.value, before.c.state != "rejected")
    return select(before.c.item_id).where(told).order_by(before.c.version.desc()).limit(1).scalar_subquery()


def rows_query(ctx: PlanContext, are_known: bool) -> Select[Any]:
    """Members of the pending groups, with card, check, claim and what was last sent about each, in the file's order."""
    agreement_id = ctx.agreement.agreement_id
    pending, anchor = table_of(Pending), table_of(LedgerEntry).alias("anchor")
    known = _is_known(agreement_id, pending.c.group_id)
    name = _plain_order(ctx, _CARD.c.customer_number), _CARD.c.id, _plain_order(ctx, anchor.c.number)
    return (
        _with_facts(
            select(
                *_entry_columns(ctx, is_former=False), pending.c.group_id.label("plan_group"), null().label("linked_at")
            )
            .select_from(pending)
            .join(anchor, anchor.c.id == pending.c.group_id)
            .join(_E, _E.c.group_id == pending.c.group_id),
            agreement_id,
            anchor.c.customer_id,
        )
        .where(pending.c.agreement_id == agreement_id, anchor.c.currency == ctx.agreement.currency)
        .where(known if are_known else ~known & ~_is_elsewhere(ctx, pending.c.group_id))
        .order_by(*name, pending.c.group_id, _E.c.id)
    )


def cards_query(ctx: PlanContext, are_known: bool) -> Select[Any]:
    """The cards of those groups with their checks, in the same order; once each, because rows of a card are many."""
    agreement_id = ctx.agreement.agreement_id
    pending, anchor, check = table_of(Pending), table_of(LedgerEntry).alias("anchor"), table_of(CustomerCheck)
    known = _is_known(agreement_id, pending.c.group_id)
    owing = (
        select(anchor.c.customer_id)
        .join(pending, anchor.c.id == pending.c.group_id)
        .where(pending.c.agreement_id == agreement_id, anchor.c.currency == ctx.agreement.currency)
        .where(known if are_known else ~known)
    )
    return (
        select(
            _CARD.c.id.label("card_id"),
            _CARD.c.do_not_transfer.label("customer_marked"),
            _CARD.c.kind.label("card_kind"),
            *(_CARD.c[column] for column in _CARD_COLUMNS),
            check.c.is_blocking,
            case((check.c.is_blocking, check.c.findings)).label("findings"),
        )
        .outerjoin(check, and_(check.c.agreement_id == agreement_id, check.c.customer_id == _CARD.c.id))
        .where(_CARD.c.id.in_(owing))
        .order_by(_plain_order(ctx, _CARD.c.customer_number), _CARD.c.id)
    )


def former_entries(connection: Connection, ctx: PlanContext) -> dict[int, list[Any]]:
    """Return, per pending group, the entries that the agency knows as part of its claim and that have left it."""
    agreement_id = ctx.agreement.agreement_id
    pending, invoice = table_of(Pending), table_of(LedgerEntry).alias("claim_invoice")
    sent = table_of(TransferItem).alias("left")
    left = and_(sent.c.agreement_id == agreement_id, sent.c.claim_entry_id == invoice.c.id, sent.c.is_current)
    query = _with_facts(
        select(*_entry_columns(ctx, is_former=True), pending.c.group_id.label("plan_group"), _E.c.linked_at)
        .select_from(pending)
        .join(invoice, and_(invoice.c.group_id == pending.c.group_id, invoice.c.kind == "invoice"))
        .join(sent, left)
        .join(_E, and_(_E.c.id == sent.c.entry_id, _E.c.group_id != invoice.c.group_id)),
        agreement_id,
        invoice.c.customer_id,
    ).where(pending.c.agreement_id == agreement_id, sent.c.kind != "invoice", agency_has(sent))
    found: dict[int, list[Any]] = {}
    for row in connection.execute(query):
        found.setdefault(row.plan_group, []).append(row)
    return found


def _entry_columns(ctx: PlanContext, *, is_former: bool) -> list[Any]:
    return [*_member_columns(ctx.cutoff, is_former=is_former), *(_E.c[name] for name in _EXTRA_COLUMNS)]


def _with_facts(query: Select[Any], agreement_id: int, customer_id: ColumnElement[int]) -> Select[Any]:
    """Add to a query over entries *e* what is known of each: whose it is, its claim, what was last sent about it."""
    claim = table_of(Claim)
    return (
        query.add_columns(
            _CARD.c.id.label("card_id"),
            claim.c.claim_id,
            claim.c.case_number,
            claim.c.reminder_number.label("claim_number"),
            claim.c.told_minor,
            claim.c.state.label("claim_state"),
        )
        .join(_CARD, _CARD.c.id == customer_id)
        .outerjoin(_T, and_(_T.c.agreement_id == agreement_id, _T.c.entry_id == _E.c.id, _T.c.is_current))
        .outerjoin(claim, and_(claim.c.agreement_id == agreement_id, claim.c.entry_id == _E.c.id))
    )


_CARD_COLUMNS = (
    "customer_number", "name", "organisation_number", "national_id_encrypted", "address1", "address2", "postcode",
    "city", "country", "email", "phone", "language",
)  # fmt: skip


def _plain_order(ctx: PlanContext, column: ColumnElement[str]) -> ColumnElement[str]:
    """Files are in plain character order; PostgreSQL's default collation is a language's."""
    return column.collate("C") if ctx.is_postgres else column


def _is_known(agreement_id: int, group: ColumnElement[int]) -> ColumnElement[bool]:
    claim, invoice = table_of(Claim).alias("k"), table_of(LedgerEntry).alias("ki")
    return (
        select(literal(1))
        .select_from(claim.join(invoice, invoice.c.id == claim.c.entry_id))
        .where(claim.c.agreement_id == agreement_id, claim.c.state != "rejected", invoice.c.group_id == group)
        .exists()
    )


def _is_elsewhere(ctx: PlanContext, group: ColumnElement[int]) -> ColumnElement[bool]:
    """Another agency has the claim: one claim, one owner, also after a change of agency (R-CO-24, P16)."""
    claim, invoice = table_of(Claim).alias("o"), table_of(LedgerEntry).alias("oi")
    mine = (claim.c.agreement_id == ctx.agreement.agreement_id) | claim.c.state.in_(("rejected", "withdrawn"))
    return (
        select(literal(1))
        .select_from(invoice.join(claim, claim.c.entry_id == invoice.c.id))
        .where(invoice.c.group_id == group, ~mine)
        .exists()
    )


def numbers_elsewhere(connection: Connection, ctx: PlanContext) -> dict[int, str]:
    """Return the reminder numbers that pending invoices got for another agency: a number stays for ever (R-LK-05)."""
    claim, invoice, pending = table_of(Claim), table_of(LedgerEntry), table_of(Pending)
    query = (
        select(claim.c.entry_id, claim.c.reminder_number)
        .join(invoice, invoice.c.id == claim.c.entry_id)
        .join(pending, and_(pending.c.group_id == invoice.c.group_id, pending.c.agreement_id != claim.c.agreement_id))
        .where(pending.c.agreement_id == ctx.agreement.agreement_id)
    )
    return {row.entry_id: row.reminder_number for row in connection.execute(query)}


def misdirected_credit(connection: Connection, ctx: PlanContext) -> dict[int, str]:
    """Return for each pending group whose invoice is credited by a note linked to another invoice that note's number."""
    note, named, other = (table_of(LedgerEntry).alias(name) for name in ("note", "named", "other"))
    query = (
        select(named.c.group_id, note.c.number)
        .join(
            named,
            and_(
                named.c.creditor_id == note.c.creditor_id,
                named.c.number == note.c.credits_number,
                named.c.kind == "invoice",
            ),
        )
        .join(Pending, and_(Pending.group_id == named.c.group_id, Pending.agreement_id == ctx.agreement.agreement_id))
        .join(other, and_(other.c.group_id == note.c.group_id, other.c.kind == "invoice"))
        .where(
            note.c.creditor_id == ctx.agreement.creditor_id,
            note.c.credits_number != "",
            note.c.kind == "credit_note",
            note.c.group_id != named.c.group_id,
        )
    )
    return {row.group_id: row.number for row in connection.execute(query)}


def customers_with_unlinked_credit(connection: Connection, ctx: PlanContext) -> frozenset[int]:
    """Return the customers who have a payment or credit note that is linked to nothing (R-LS-08)."""
    e = LedgerEntry
    query = (
        select(e.customer_id)
        .distinct()
        .where(
            e.creditor_id == ctx.agreement.creditor_id,
            e.group_id == e.id,
            e.kind.in_(("payment", "credit_note")),
            e.amount_minor < 0,
            e.reversed_by_id.is_(None),
            e.order_status == "invoiced",
            left_unlinked(e) < 0,
        )
    )
    return frozenset(connection.execute(query).scalars())


def left_unlinked(entry: Any) -> Any:
    """Return what is left of *entry* and the items linked to it: a payment paid out again, or split, leaves nothing."""
    member = table_of(LedgerEntry).alias("linked")
    return select(func.sum(member.c.amount_minor)).where(member.c.group_id == entry.id).scalar_subquery()


def waits_for_the_switch(ctx: PlanContext) -> ColumnElement[bool]:
    """Say of a pending group that it holds an open invoice which no agency has: it goes once new claims may go again."""
    invoice, group = table_of(LedgerEntry).alias("open_invoice"), table_of(Pending).c.group_id
    mine = and_(invoice.c.group_id == group, invoice.c.kind == "invoice", invoice.c.order_status == "invoiced")
    here = and_(mine, invoice.c.currency == ctx.agreement.currency, invoice.c.closed_at.is_(None))
    is_open = select(literal(1)).where(here).exists()
    return is_open & ~_is_known(ctx.agreement.agreement_id, group) & ~_is_elsewhere(ctx, group)


def nobodys_query(ctx: PlanContext) -> Select[Any]:
    """Pending invoices in a currency that no agreement of the creditor takes."""
    agreements, pending = table_of(AgreementRow), table_of(Pending)
    taken = select(agreements.c.currency).where(
        agreements.c.creditor_id == ctx.agreement.creditor_id, agreements.c.state == "active"
    )
    names = ("id", "group_id", "number", "voucher_number", "amount_minor", "currency")
    return (
        select(*(_E.c[name] for name in names), _CARD.c.id.label("card_id"), _CARD.c.name)
        .join(pending, pending.c.group_id == _E.c.group_id)
        .join(_CARD, _CARD.c.id == _E.c.customer_id)
        .where(pending.c.agreement_id == ctx.agreement.agreement_id, _E.c.currency != ctx.agreement.currency)
        .where(_E.c.kind == "invoice", _E.c.order_status == "invoiced", _E.c.currency.not_in(taken))
        .order_by(_E.c.id)
    )
