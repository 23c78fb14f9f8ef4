"""What the next run of an agreement will send and hold: read once, in the order of the file, group by group.

Preview and run consume the same generator (P13). Rows stream from the database, so that an evening of a hundred thousand
invoices needs no more memory than one of a hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, case, func, literal, null, or_, select

from gateway.db.bulk import BATCH_ROWS, read_ahead, table_of
from gateway.db.ledger_sql import agency_has
from gateway.db.tables import Agreement as AgreementRow
from gateway.db.tables import (
    Claim,
    CustomerCheck,
    FactoringSettings,
    LedgerEntry,
    Pending,
    TransferItem,
)
from gateway.db.tables import Customer as CustomerRow
from gateway.db.tables.base import Instant
from gateway.domain.calendar import business_date, cutoff, local_date
from gateway.domain.checks import FactoringSettings as FactoringFacts
from gateway.domain.checks import check_factoring_settings
from gateway.domain.exchange import Agreement, LayoutProfile, LinkKind, Severity
from gateway.domain.instructing import Said, instruct
from gateway.domain.transfer import NO_AGREEMENT, Hold, Member, Rules, Verdict, judge, told_by_items
from gateway.services import instructions
from gateway.services.cards import agreement_of, layout_of, refresh_checks
from gateway.services.entries import SOURCE
from gateway.services.house import House

_MEMBER_WIDTH = len(Member._fields)
_member: Callable[[type[Member], tuple[Any, ...]], Member] = tuple.__new__
"""Makes a member of a row's head without naming its fields one by one: half of what reading a row costs."""


@dataclass(frozen=True, slots=True)
class PlanContext:
    """What every group of a plan shares. *row* is the agreement's row, with *time_zone* of the creditor."""

    agreement: Agreement
    layout: LayoutProfile
    row: Any
    cutoff: datetime
    rules: Rules
    is_postgres: bool


class Judged(NamedTuple):
    """One group with its verdict; *customer* and *claim* are rows (claim None while the agency has none).

    *reminder_number* is the one the invoice has already (R-LK-05), empty when it was never given one.
    """

    verdict: Verdict
    customer: Any
    rows: Mapping[int, Any]
    claim: Any
    reminder_number: str


def context(house: House, connection: Connection, agreement_id: int, cut: datetime | None = None) -> PlanContext:
    """Return the shared facts of a plan; *cut* defaults to the next cut-off of the agreement's schedule."""
    agreement, row = agreement_of(connection, agreement_id)
    layout = layout_of(house, agreement)
    local = time.fromisoformat(row.transfer_time)
    if cut is None:
        day = business_date(house.now(), local, row.time_zone)
        if row.last_business_date:  # a time that was put off today does not make a second run of today
            day = max(day, row.last_business_date + timedelta(days=1))
        cut = cutoff(day, local, row.time_zone)
    rules = Rules(
        agency=agreement.display_name,
        service=agreement.service,
        carries=layout.carries,
        carries_non_positive=layout.carries_non_positive_invoices,
        unlink_has_message=layout.unlink_has_message and LinkKind.UNLINK in layout.carries,
        blocking=_factoring_faults(connection, row),
        business_date=local_date(cut, row.time_zone),
        needs_reminder=layout.collection_needs_reminder,
    )
    return PlanContext(agreement, layout, row, cut, rules, connection.dialect.name == "postgresql")


def _factoring_faults(connection: Connection, row: Any) -> tuple[tuple[str, Mapping[str, object]], ...]:
    """Return what of the factoring settings blocks while the agency is treated as a factor (R-FA-03, R-FA-05)."""
    settings = factoring_settings(connection, row.creditor_id)
    is_factoring = row.service == "factoring" or (row.treated_as_factoring and settings and settings.use_factoring)
    if not is_factoring:
        return ()
    facts = facts_of(settings)
    found = check_factoring_settings(facts, row.market, row.payment_account)
    blocking = {f.code: f.values for f in reversed(found) if f.severity is Severity.BLOCKING}
    return tuple(reversed(blocking.items()))  # four empty fields are one reason to hold; the first is named


def factoring_settings(connection: Connection, creditor_id: int) -> Any:
    """Return the row of a creditor's factoring settings, or None."""
    columns = table_of(FactoringSettings).columns
    return connection.execute(select(*columns).where(columns.creditor_id == creditor_id)).one_or_none()


def facts_of(settings: Any) -> FactoringFacts:
    """Return factoring settings as the checks want them; a creditor without any has empty ones."""
    if settings is None:
        return FactoringFacts("", "", "", "")
    return FactoringFacts(
        settings.customer_number,
        settings.name,
        settings.address,
        settings.account_number,
        settings.invoice_text,
        settings.posting_mode,
    )


def judged_groups(
    connection: Connection, ctx: PlanContext, *, are_known: bool, ahead: Connection | None = None
) -> Generator[Judged]:
    """Yield the groups that a run must look at, ordered by customer number, then invoice number.

    Args:
        connection: one transaction, with the cards checked (`refresh_pending_checks`).
        ctx: from `context`.
        are_known: those whose claim the agency has (their later items travel as updates), or all the others.
        ahead: another connection that sees the same, for the rows: the database then works while we do.
    """
    if not (are_known or ctx.row.may_create_cases):
        return  # the agency keeps the claims it has and gets no new ones (R-CO-24)
    misdirected = _misdirected(connection, ctx)
    lonely = _customers_with_unlinked_credit(connection, ctx)
    query, cards = _query(ctx, are_known), _streamed(connection, _cards(ctx, are_known))
    rows_of = _streamed(connection, query) if ahead is None else read_ahead(ahead, query)
    former = _former(connection, ctx) if are_known else {}
    numbers = {} if are_known else _numbers_elsewhere(connection, ctx)
    said = instructions.said(connection, ctx.agreement.agreement_id) if are_known else {}
    card = None
    with rows_of as stream, cards as cards_of:
        for group_id, rows in groupby(stream, key=attrgetter("plan_group")):
            entries = [*rows, *former.get(group_id, ())]
            while card is None or card.card_id != entries[0].card_id:
                card = next(cards_of)  # both streams are in the order of the cards
            rules = _for_customer(ctx.rules, card, lonely, misdirected.get(group_id, ""))
            judged = _judged(group_id, entries, card, rules, numbers)
            if are_known and judged.claim is not None:
                is_withdrawn = judged.claim.claim_state == "withdrawn"
                instruct(
                    judged.verdict, said.get(judged.claim.entry_id, Said()), rules.agency, is_withdrawn=is_withdrawn
                )
            yield judged
    if not are_known:
        yield from _nobodys(connection, ctx)


def _nobodys(connection: Connection, ctx: PlanContext) -> Generator[Judged]:
    """Yield invoices in a currency that no agreement takes, held, so that somebody learns why they stay (R-LS-16)."""
    agreements, pending = table_of(AgreementRow), table_of(Pending)
    taken = select(agreements.c.currency).where(
        agreements.c.creditor_id == ctx.agreement.creditor_id, agreements.c.state == "active"
    )
    names = ("id", "group_id", "number", "voucher_number", "amount_minor", "currency")
    query = (
        select(*(_E.c[name] for name in names), _CARD.c.id.label("card_id"), _CARD.c.name)
        .join(pending, pending.c.group_id == _E.c.group_id)
        .join(_CARD, _CARD.c.id == _E.c.customer_id)
        .where(pending.c.agreement_id == ctx.agreement.agreement_id, _E.c.currency != ctx.agreement.currency)
        .where(_E.c.kind == "invoice", _E.c.order_status == "invoiced", _E.c.currency.not_in(taken))
        .order_by(_E.c.id)
    )
    for row in connection.execute(query).all():
        hold = Hold(row.id, NO_AGREEMENT, {"currency": row.currency}, is_exclusion=True)
        yield Judged(Verdict(row.group_id, holds=[hold]), row, {row.id: row}, None, "")


def waits_for_the_switch(ctx: PlanContext) -> ColumnElement[bool]:
    """Say of a pending group that it holds an open invoice which no agency has: it goes once new claims may go again."""
    invoice, group = table_of(LedgerEntry).alias("open_invoice"), table_of(Pending).c.group_id
    mine = and_(invoice.c.group_id == group, invoice.c.kind == "invoice", invoice.c.order_status == "invoiced")
    here = and_(mine, invoice.c.currency == ctx.agreement.currency, invoice.c.closed_at.is_(None))
    is_open = select(literal(1)).where(here).exists()
    return is_open & ~_is_known(ctx.agreement.agreement_id, group) & ~_is_elsewhere(ctx, group)


@contextmanager
def _streamed(connection: Connection, query: Select[Any]) -> Generator[Iterator[Any]]:
    """PostgreSQL keeps a cursor per stream, also when the reader stops early."""
    # The option stands on the statement: on the connection it would turn every later statement into a cursor.
    options = {"stream_results": True, "yield_per": BATCH_ROWS}
    with closing(connection.execute(query.execution_options(**options))) as rows:
        yield iter(rows)


def _judged(group_id: int, entries: list[Any], card: Any, rules: Rules, numbers: Mapping[int, str]) -> Judged:
    members = [_member(Member, row[:_MEMBER_WIDTH]) for row in entries]
    verdict = judge(group_id, members, rules)
    rows = {row[0]: row for row in entries}  # a row begins with its member's entry id
    invoice = verdict.invoice
    claim, number = None, ""
    if invoice:
        row = rows[invoice.entry_id]
        claim = row if row.claim_id else None
        number = row.claim_number or numbers.get(invoice.entry_id) or row.reminder_number
    if invoice and claim and verdict.items and not verdict.sends_invoice:
        expected = told_by_items(invoice, members, verdict)
        if expected != claim.told_minor + verdict.told_minor:
            values = {"ours": expected, "told": claim.told_minor + verdict.told_minor}
            verdict.holds += [Hold(item.member.entry_id, "claim.balance_differs", values) for item in verdict.items]
            verdict.items = []
    return Judged(verdict, card, rows, claim, number)


def _for_customer(rules: Rules, row: Any, lonely: set[int], misdirected: str) -> Rules:
    """Return the rules of one customer's group; most customers change nothing and share the run's own."""
    blocking = rules.blocking
    if row.is_blocking:
        # One card may miss street, postcode and city: three findings of one code, and one reason to hold.
        found = {f["code"]: f["values"] for f in reversed(row.findings) if f["severity"] == "blocking"}
        blocking += tuple(reversed(found.items()))
    has_credit = row.card_id in lonely
    if blocking is rules.blocking and not (row.customer_marked or has_credit or misdirected):
        return rules
    return replace(
        rules,
        blocking=blocking,
        is_customer_marked=row.customer_marked,
        has_unlinked_credit=has_credit,
        misdirected_credit_note=misdirected,
    )


def refresh_pending_checks(house: House, connection: Connection, ctx: PlanContext) -> bool:
    """Check the cards of everything pending whose version is not the one last checked (R-CD-10); return whether any."""
    join = (CustomerCheck.customer_id == CustomerRow.id) & (CustomerCheck.agreement_id == ctx.agreement.agreement_id)
    # Stale cards first, as a set of its own: most evenings it is empty, and nothing pending needs to be read.
    stale = (
        select(CustomerRow.id)
        .outerjoin(CustomerCheck, join)
        .where(CustomerRow.creditor_id == ctx.agreement.creditor_id)
        .where((CustomerCheck.customer_version.is_(None)) | (CustomerCheck.customer_version != CustomerRow.version))
        .cte("stale")
        .prefix_with("materialized", dialect="postgresql")
    )
    pending = (
        select(stale.c.id)
        .distinct()
        .join(LedgerEntry, LedgerEntry.customer_id == stale.c.id)
        .join(Pending, Pending.group_id == LedgerEntry.id)
        .where(Pending.agreement_id == ctx.agreement.agreement_id)
    )
    cards = connection.execute(pending).scalars().all()
    refresh_checks(house, connection, ctx.agreement, cards)
    return bool(cards)


# --- reading ---------------------------------------------------------------------------------------------------------

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


def _query(ctx: PlanContext, are_known: bool) -> Select[Any]:
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


def _cards(ctx: PlanContext, are_known: bool) -> Select[Any]:
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
            check.c.findings,
        )
        .outerjoin(check, and_(check.c.agreement_id == agreement_id, check.c.customer_id == _CARD.c.id))
        .where(_CARD.c.id.in_(owing))
        .order_by(_plain_order(ctx, _CARD.c.customer_number), _CARD.c.id)
    )


def _former(connection: Connection, ctx: PlanContext) -> dict[int, list[Any]]:
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


def _numbers_elsewhere(connection: Connection, ctx: PlanContext) -> dict[int, str]:
    """Return the reminder numbers that pending invoices got for another agency: a number stays for ever (R-LK-05)."""
    claim, invoice, pending = table_of(Claim), table_of(LedgerEntry), table_of(Pending)
    query = (
        select(claim.c.entry_id, claim.c.reminder_number)
        .join(invoice, invoice.c.id == claim.c.entry_id)
        .join(pending, and_(pending.c.group_id == invoice.c.group_id, pending.c.agreement_id != claim.c.agreement_id))
        .where(pending.c.agreement_id == ctx.agreement.agreement_id)
    )
    return {row.entry_id: row.reminder_number for row in connection.execute(query)}


def _misdirected(connection: Connection, ctx: PlanContext) -> dict[int, str]:
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


def _customers_with_unlinked_credit(connection: Connection, ctx: PlanContext) -> set[int]:
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
    return set(connection.execute(query).scalars())


def left_unlinked(entry: Any) -> Any:
    """Return what is left of *entry* and the items linked to it: a payment paid out again, or split, leaves nothing."""
    member = table_of(LedgerEntry).alias("linked")
    return select(func.sum(member.c.amount_minor)).where(member.c.group_id == entry.id).scalar_subquery()
