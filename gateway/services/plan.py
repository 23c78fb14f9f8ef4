"""What the next run of an agreement will send and hold: read once, in the order of the file, group by group.

Preview and run consume the same generator (P13). Rows stream from the database, so that an evening of a hundred thousand
invoices needs no more memory than one of a hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, select

from gateway.db.bulk import BATCH_ROWS, read_ahead
from gateway.db.tables import Customer as CustomerRow
from gateway.db.tables import (
    CustomerCheck,
    LedgerEntry,
    Pending,
)
from gateway.domain.instructing import Said, instruct
from gateway.domain.transfer import NO_AGREEMENT, Hold, Member, Rules, Verdict, judge, told_by_items
from gateway.services import instructions
from gateway.services.cards import refresh_checks
from gateway.services.house import House
from gateway.services.plan_context import PlanContext
from gateway.services.plan_rows import (
    cards_query,
    customers_with_unlinked_credit,
    former_entries,
    misdirected_credit,
    nobodys_query,
    numbers_elsewhere,
    rows_query,
)

_MEMBER_WIDTH = len(Member._fields)
_member: Callable[[type[Member], tuple[Any, ...]], Member] = tuple.__new__
"""Makes a member of a row's head without naming its fields one by one: half of what reading a row costs."""


class Judged(NamedTuple):
    """One group with its verdict; *customer* and *claim* are rows (claim None while the agency has none).

    *reminder_number* is the one the invoice has already (R-LK-05), empty when it was never given one.
    """

    verdict: Verdict
    customer: Any
    rows: Mapping[int, Any]
    claim: Any
    reminder_number: str


class LedgerFacts(NamedTuple):
    """What the rest of the ledger says about pending groups, read once for both directions.

    *lonely* are customers with a payment or credit note linked to nothing; *misdirected* gives, per group whose invoice
    is credited by a note linked elsewhere, that note's number.
    """

    lonely: frozenset[int]
    misdirected: Mapping[int, str]


def ledger_facts(connection: Connection, ctx: PlanContext) -> LedgerFacts:
    """Return what `judged_groups` needs to know beside the groups themselves."""
    return LedgerFacts(customers_with_unlinked_credit(connection, ctx), misdirected_credit(connection, ctx))


def judged_groups(
    connection: Connection,
    ctx: PlanContext,
    ledger: LedgerFacts,
    *,
    are_known: bool,
    ahead: Connection | None = None,
    settled: Callable[[], None] = lambda: None,
) -> Generator[Judged]:
    """Yield the groups that a run must look at, ordered by customer number, then invoice number.

    Args:
        connection: one transaction, with the cards checked (`refresh_pending_checks`).
        ctx: from `context`.
        ledger: from `ledger_facts`.
        are_known: those whose claim the agency has (their later items travel as updates), or all the others.
        ahead: another connection that sees the same, for the rows: the database then works while we do.
        settled: called before *connection* is used; waits for whoever else uses it meanwhile.
    """
    if not (are_known or ctx.row.may_create_cases):
        return  # the agency keeps the claims it has and gets no new ones (R-CO-24)
    query, cards = rows_query(ctx, are_known), _streamed(connection, cards_query(ctx, are_known), settled)
    rows_of = _streamed(connection, query, settled) if ahead is None else read_ahead(ahead, query)
    former = former_entries(connection, ctx) if are_known else {}
    numbers = {} if are_known else numbers_elsewhere(connection, ctx)
    said = instructions.said(connection, ctx.agreement.agreement_id) if are_known else {}
    card = None
    with rows_of as stream, cards as cards_of:
        for group_id, rows in groupby(stream, key=attrgetter("plan_group")):
            entries = [*rows, *former.get(group_id, ())]
            while card is None or card.card_id != entries[0].card_id:
                card = next(cards_of)  # both streams are in the order of the cards
            rules = _for_customer(ctx.rules, card, ledger.lonely, ledger.misdirected.get(group_id, ""))
            judged = _judged(group_id, entries, card, rules, numbers)
            if are_known and judged.claim is not None:
                is_withdrawn = judged.claim.claim_state == "withdrawn"
                instruct(
                    judged.verdict, said.get(judged.claim.entry_id, Said()), rules.agency, is_withdrawn=is_withdrawn
                )
            yield judged
    if not are_known:
        settled()
        yield from _nobodys(connection, ctx)


def _nobodys(connection: Connection, ctx: PlanContext) -> Generator[Judged]:
    """Yield invoices in a currency that no agreement takes, held, so that somebody learns why they stay (R-LS-16)."""
    for row in connection.execute(nobodys_query(ctx)).all():
        hold = Hold(row.id, NO_AGREEMENT, {"currency": row.currency}, is_exclusion=True)
        yield Judged(Verdict(row.group_id, holds=[hold]), row, {row.id: row}, None, "")


@contextmanager
def _streamed(connection: Connection, query: Select[Any], settled: Callable[[], None]) -> Generator[Iterator[Any]]:
    """PostgreSQL keeps a cursor per stream, also when the reader stops early."""
    # The option stands on the statement: on the connection it would turn every later statement into a cursor.
    options = {"stream_results": True, "yield_per": BATCH_ROWS}
    with closing(connection.execute(query.execution_options(**options))) as rows:
        try:
            yield chain.from_iterable(_parts(rows.partitions(), settled))
        finally:
            settled()


def _parts(partitions: Iterator[Sequence[Any]], settled: Callable[[], None]) -> Iterator[Sequence[Any]]:
    """Yield the partitions, none of which is asked for before the connection is free."""
    settled()
    for part in partitions:
        yield part
        settled()


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


def _for_customer(rules: Rules, row: Any, lonely: frozenset[int], misdirected: str) -> Rules:
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
