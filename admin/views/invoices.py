"""Orders and invoices: the list with the envelope at the right end of each row that goes (R-FA-08 to R-FA-11)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response, current_app, request
from sqlalchemy import Connection, Row, Select

from admin import present
from admin.access import person, tenant, tenant_ids
from admin.base import TableView, act, chosen_ids, done, go_back, not_found_unless, page
from admin.export import amount_cell, csv_response
from admin.language import language
from admin.paging import Slice, address, slice_of
from admin.plans import Plans, next_at
from admin.queries import books
from admin.shell import sentence
from admin.status import INVOICE, Pill
from admin.texts import text
from admin.views.claim_acts import ClaimActs
from admin.views.invoice_page import InvoiceActs
from gateway.db.tables import LedgerEntry
from gateway.errors import Refused
from gateway.services import marks
from gateway.services.preview import Held, PlannedInvoice

TABS = ("all", "tonight", "held", "sent", "kept")
EXPORT_BATCH = 1000
_TOOLTIP = "invoices.envelope"


@dataclass(frozen=True, slots=True)
class Tonight:
    """What the previews of the creditors in view say about entries."""

    planned: Mapping[int, PlannedInvoice]
    held: Mapping[int, Held]

    def going(self) -> list[int]:
        """Return the ids of the new claims that go, newest first: exactly the rows with an envelope (R-FA-10)."""
        return sorted((entry_id for entry_id, invoice in self.planned.items() if invoice.is_new), reverse=True)


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the list: the entry, its pill, what holds it, and what the right end shows."""

    entry: Row[Any]
    pill: Pill
    reason: str
    code: str
    envelope: bool
    claims: Sequence[Row[Any]]
    items_tonight: int
    is_overdue: bool


def tonight(creditor_ids: Sequence[int]) -> Tonight:
    """Return what goes and what is held, over all agreements of some creditors."""
    plans: Plans = current_app.extensions["kravport_plans"]
    planned: dict[int, PlannedInvoice] = {}
    held: dict[int, Held] = {}
    for _, plan in plans.of_creditors(creditor_ids):
        for invoice in plan.invoices:
            if invoice.entry_id not in planned or invoice.is_new:
                planned[invoice.entry_id] = invoice
        for hold in plan.held:
            held.setdefault(hold.entry_id, hold)
    return Tonight(planned, held)


def line(row: Row[Any], now: Tonight, claims: Sequence[Row[Any]], today: date) -> Line:
    """Return how one invoice is shown."""
    going, hold = now.planned.get(row.id), now.held.get(row.id)
    known = [claim for claim in claims if claim.state not in {"rejected", "withdrawn"}]
    will_go = going is not None and going.is_new
    key = _status(row, will_go=will_go, hold=hold, claims=claims, known=known)
    return Line(
        entry=row,
        pill=INVOICE[key],
        reason=sentence(hold.code, hold.values) if hold and not will_go else _answer(claims, key),
        code=hold.code if hold and not will_go else "",
        envelope=will_go,
        claims=known,
        items_tonight=len(going.items) if going and not will_go else 0,
        is_overdue=bool(row.due and row.due < today and row.open_minor > 0),
    )


def _status(
    row: Row[Any], *, will_go: bool, hold: Held | None, claims: Sequence[Row[Any]], known: Sequence[Row[Any]]
) -> str:
    """Return the key of the row's pill: the first that is true counts."""
    conditions = {
        "ready": will_go,
        "paid": row.open_minor == 0 and (bool(known) or not (hold or row.do_not_transfer or row.customer_marked)),
        "receipted": bool(known) and known[0].state == "accepted",
        "sent": bool(known),
        "held": hold is not None and not hold.is_exclusion,
        "excluded": hold is not None or row.do_not_transfer or row.customer_marked,
        "rejected": bool(claims),
        "open": True,
    }
    return next(key for key, is_true in conditions.items() if is_true)


def _answer(claims: Sequence[Row[Any]], key: str) -> str:
    return f"{claims[0].reason_text} {claims[0].reason_code}".strip() if key == "rejected" and claims else ""


class InvoicesView(InvoiceActs, ClaimActs, TableView):
    """Økonomi - Ordre/faktura - Søk ordre/faktura."""

    key = "invoices"
    model_class = LedgerEntry

    @page("/")
    def index_view(self) -> str:
        """Show the list."""
        tab = request.args.get("tab", "all")
        tab = tab if tab in TABS else "all"
        ids = tenant_ids(person().in_view)
        now = tonight(ids)
        with self.house.database.read() as connection:
            found = self._slice(connection, now, tab)
            lines = self._lines(connection, found.rows, now, ids)
        return self.render_list(
            "panel/invoices.html",
            found,
            lines=lines,
            tab=tab,
            going=len(now.going()),
            held=sum(1 for hold in now.held.values() if not hold.is_exclusion),
            kept=sum(1 for hold in now.held.values() if hold.is_exclusion),
            tabs=[
                (text(language(), f"invoices.tab_{name}"), address(tab=name, before=None, after=None), name)
                for name in TABS
            ],
            q=request.args.get("q", "").strip(),
            tooltip=text(language(), _TOOLTIP),
            next_run=self._next_run(ids),
        )

    @page("/export.csv")
    def export_csv(self) -> Response:
        """Download the list as it is filtered."""
        names = ("number", "customer", "booked", "due", "amount", "open", "currency", "status", "transfer")
        header = [text(language(), f"invoices.col_{name}") for name in names]
        return csv_response("invoices", header, self._export_rows(request.args.get("tab", "all")))

    @act("/mark", "mark")
    def mark(self) -> Any:
        """Mark the ticked invoices *do not transfer*, or take the marks away."""
        is_marking = request.form.get("do") != "unmark"
        changed, refused = 0, []
        for entry_id in chosen_ids():
            try:
                self.own_entry(entry_id)
                marks.mark_invoice(self.house, entry_id, is_marking, person().email)
                changed += 1
            except Refused as error:
                refused.append(error)
        if changed:
            done("invoices.marked" if is_marking else "invoices.unmarked", changed)
        if refused:
            raise refused[0]
        return go_back(self)

    def own_entry(self, entry_id: int) -> Row[Any]:
        """Return an entry of a creditor the person may see; 404 otherwise."""
        with self.house.database.read() as connection:
            row: Row[Any] = not_found_unless(books.entry(connection, entry_id))
        tenant(row.creditor_id)
        return row

    def _slice(self, connection: Connection, now: Tonight, tab: str, rows: int = 50) -> Slice:
        ids = tenant_ids(person().in_view)
        query = self._filtered(connection, books.invoices(ids), ids, tab)
        if tab in {"tonight", "held"}:
            wanted = now.going() if tab == "tonight" else [i for i, hold in now.held.items() if not hold.is_exclusion]
            query = query.where(LedgerEntry.id.in_(_window(wanted, request.args, rows)))
        return slice_of(connection, query, LedgerEntry.id, request.args, rows)

    def _filtered(self, connection: Connection, query: Select[Any], ids: Sequence[int], tab: str) -> Select[Any]:
        words = request.args.get("q", "").strip()[:100]
        if words:
            query = query.where(books.found_by(connection, ids, words))
        if request.args.get("open"):
            query = query.where(LedgerEntry.open_minor > 0)
        if request.args.get("overdue"):
            query = query.where(LedgerEntry.open_minor > 0, LedgerEntry.due < self.house.now().date())
        if tab == "sent":
            query = query.where(books.is_claimed(ids))
        if tab == "kept":
            query = query.where(LedgerEntry.do_not_transfer)
        return query

    def _lines(self, connection: Connection, rows: Sequence[Row[Any]], now: Tonight, ids: Sequence[int]) -> list[Line]:
        claims = books.sent_claims(connection, [row.id for row in rows], ids)
        moment = self.house.now()
        return [
            line(row, now, claims.get(row.id, ()), moment.astimezone(ZoneInfo(row.time_zone)).date()) for row in rows
        ]

    def _export_rows(self, tab: str) -> Iterator[list[object]]:
        ids, spoken = tenant_ids(person().in_view), language()
        now = tonight(ids)
        before: int | None = None
        while True:
            with self.house.database.read() as connection:
                query = self._filtered(connection, books.invoices(ids), ids, tab).order_by(LedgerEntry.id.desc())
                query = query if before is None else query.where(LedgerEntry.id < before)
                rows = list(connection.execute(query.limit(EXPORT_BATCH)))
                lines = self._lines(connection, rows, now, ids)
            for shown in lines:
                if _in_tab(shown, tab):
                    yield _cells(shown, spoken)
            if len(rows) < EXPORT_BATCH:
                return
            before = rows[-1].id

    def _next_run(self, ids: Sequence[int]) -> str:
        plans: Plans = current_app.extensions["kravport_plans"]
        due = [
            (next_at(plan, self.house.now()), tenant(agreement.creditor_id).time_zone)
            for agreement, plan in plans.of_creditors(ids)
            if plan.next_run_at
        ]
        return present.time_of_day(*min(due)) if due else ""


def _window(wanted: Sequence[int], arguments: Mapping[str, str], rows: int) -> list[int]:
    """Return the ids of one page out of many, so that no statement names a hundred thousand of them."""
    before, after = arguments.get("before", ""), arguments.get("after", "")
    ordered = sorted(wanted, reverse=True)
    if after.isdecimal():
        return [entry_id for entry_id in ordered if entry_id > int(after)][-(rows + 1) :]
    if before.isdecimal():
        ordered = [entry_id for entry_id in ordered if entry_id < int(before)]
    return ordered[: rows + 1]


def _in_tab(shown: Line, tab: str) -> bool:
    return tab not in {"tonight", "held"} or (shown.envelope if tab == "tonight" else shown.pill is INVOICE["held"])


def _cells(shown: Line, spoken: str) -> list[object]:
    row = shown.entry
    goes = text(spoken, _TOOLTIP) if shown.envelope else " ".join(str(claim.display_name) for claim in shown.claims)
    return [
        row.number,
        row.customer_name,
        present.day(row.booked, spoken),
        present.day(row.due, spoken),
        amount_cell(row.amount_minor, row.currency, spoken),
        amount_cell(row.open_minor, row.currency, spoken),
        row.currency,
        text(spoken, shown.pill.key),
        goes,
    ]
