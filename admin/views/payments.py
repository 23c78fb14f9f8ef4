"""Bank - Incoming payments: what the agencies and the bank say was paid, proposed until a person posts it (R-PM)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, abort, flash, request
from sqlalchemy import Connection, Row, Select, and_, func, or_, select

from admin import present
from admin.access import person, tenant, tenant_ids
from admin.base import TableView, act, chosen_ids, done, go_back, not_found_unless, page
from admin.export import amount_cell, csv_response
from admin.language import language
from admin.paging import address, slice_of
from admin.queries import books
from admin.shell import sentence
from admin.status import PAYMENT, Pill
from admin.texts import text
from gateway.db.tables import IncomingPayment, LedgerEntry
from gateway.errors import DataError
from gateway.services import placing, posting
from gateway.services.near import evidence_of
from gateway.services.twins import POSSIBLE

TABS = ("to_post", "certain", "unclear", "inbox", "overpaid", "posted", "ignored")
_STATES = {
    "to_post": ("proposed", "unmatched"),
    "certain": ("proposed",),
    "unclear": ("unmatched",),
    "inbox": ("proposed", "unmatched"),
    "posted": ("posted",),
    "ignored": ("ignored",),
}
OWN_BANK = "-"
"""Filter value for payments without an agency's label."""
EXPORT_BATCH = 1000
_RULES = {
    "case_number": "evidence.case_number",
    "claim_id": "evidence.claim_id",
    "payment_reference": "evidence.payment_reference",
    "invoice_number": "evidence.invoice_number",
    "reversal": "evidence.reversal",
    "person": "evidence.person",
    "several": "evidence.several",
    "credit_note": "evidence.credit_note",
    "text_number": "evidence.text_number",
    "text_payment_reference": "evidence.text_payment_reference",
    "text_case_number": "evidence.text_case_number",
    "equal_amount": "evidence.equal_amount",
}
"""Step of the matching order (R-OP-08) → its word. What fired is the evidence; a percentage nobody can check is not."""


_TAKE_BACK = {"posted": "payments.take_back", "proposed": "payments.unmatch", "ignored": "payments.take_up"}
"""State of a payment → the button that takes back where it went."""


@dataclass(frozen=True, slots=True)
class PaymentLine:
    """One row of the list. *evidence* pairs a word with whether it speaks for the match; *seen* says what it rests on."""

    row: Row[Any]
    pill: Pill
    amount_minor: int
    evidence: Sequence[tuple[str, bool]]
    seen: Sequence[str]
    reason: str
    surplus_minor: int
    can_post: bool
    can_take_back: bool
    may_be_same: bool

    @property
    def take_back_word(self) -> str:
        """Key of the text of the button that takes back where the payment went."""
        return _TAKE_BACK.get(self.row.state, "payments.not_this")


def payment_line(row: Row[Any], surplus_minor: int = 0) -> PaymentLine:
    """Return how one payment is shown."""
    takes_back = row.is_reversal or row.direction == "debit"
    key = row.state
    if takes_back and row.state in {"proposed", "unmatched"}:
        key = "reversal"
    elif row.state == "unmatched" and row.suggested_entry_id is not None:
        key = "suggested"
    return PaymentLine(
        row=row,
        pill=PAYMENT[key],
        amount_minor=-row.amount_minor if takes_back else row.amount_minor,
        evidence=_evidence(row, takes_back=takes_back),
        seen=_seen(row),
        reason=_reason(row),
        surplus_minor=surplus_minor,
        can_post=row.state == "proposed",
        can_take_back=row.posts and (row.state in {"proposed", "posted", "ignored"} or row.target_id is not None),
        may_be_same=row.state == "unmatched" and row.difference == POSSIBLE,
    )


def _evidence(row: Row[Any], *, takes_back: bool) -> list[tuple[str, bool]]:
    if row.target_id is None:
        return []
    found = [(_RULES[row.match_rule], True)] if row.match_rule in _RULES else [("evidence.reference", False)]
    if row.state in {"proposed", "unmatched"} and not takes_back:
        if row.target_open == row.principal_minor:
            found.append(("evidence.amount", True))
        else:
            less = row.target_open is not None and row.principal_minor < row.target_open
            found.append(("evidence.part_payment" if less else "evidence.overpayment", False))
    if row.payer_name and row.target_customer and row.payer_name.casefold() == row.target_customer.casefold():
        found.append(("evidence.name", True))
    return found


def _seen(row: Row[Any]) -> list[str]:
    """Return what the match or suggestion rests on: as the file has it, and where it stood there."""
    if row.target_id is None:
        return []
    return [
        text(
            language(),
            "evidence.seen",
            seen=one.seen,
            where=text(language(), f"evidence.in_{one.part}", place=one.place),
        )
        for one in evidence_of(row)
    ]


def _reason(row: Row[Any]) -> str:
    if not row.difference:
        return ""
    ours = present.amount(row.target_open or 0, row.currency, language())
    theirs = present.amount(row.principal_minor, row.currency, language())
    surplus = present.amount(row.principal_minor - (row.target_open or 0), row.currency, language())
    values = {"ours": ours, "theirs": theirs, "paid": theirs, "open": ours, "surplus": surplus}
    charges = present.amount(row.charges_minor, row.currency, language())
    values |= {"agency": row.label, "status": row.status, "currency": row.currency}
    values |= {"twin": str(row.twin_id or ""), "charges": charges}
    return sentence(row.difference, values)


class PaymentsView(TableView):
    """Økonomi - Bank - Innbetalinger."""

    key = "payments"
    model_class = IncomingPayment

    @page("/")
    def index_view(self) -> str:
        """Show the list."""
        tab, label = self._tab(), request.args.get("label", "")
        ids = tenant_ids(person().in_view)
        with self.house.database.read() as connection:
            query = self._filtered(books.payments(ids), ids, tab)
            found = slice_of(connection, query, IncomingPayment.id, request.args)
            lines = self._lines(connection, found.rows)
            names = books.labels(connection, ids)
            waiting = books.waiting_payments(connection, ids)
        counts = {"to_post": waiting.total, "certain": waiting.certain, "unclear": waiting.total - waiting.certain}
        chips = [(text(language(), "payments.all_labels"), None), *((name, name) for name in names)]
        chips.append((text(language(), "payments.own_bank"), OWN_BANK))
        return self.render_list(
            "panel/payments.html",
            found,
            lines=lines,
            tab=tab,
            waiting=waiting,
            tabs=[
                (
                    text(language(), f"payments.tab_{name}"),
                    address(tab=name, before=None, after=None),
                    name == tab,
                    counts.get(name),
                )
                for name in TABS
            ],
            chips=[
                (word, address(label=value, before=None, after=None), (label or None) == value) for word, value in chips
            ],
            q=request.args.get("q", "").strip(),
        )

    @page("/<id:payment_id>")
    def detail(self, payment_id: int) -> str:
        """Show one payment with everything its file says, and the invoices it might belong to."""
        row = self._own(payment_id)
        with self.house.database.read() as connection:
            surplus = books.surplus_of(connection, [payment_id]).get(payment_id, 0)
            parts = books.parts_of(connection, payment_id)
            can_divide = row.state == "unmatched" and bool(placing.possible_parts(connection, row))
            original = books.reversed_payment(connection, row)
            others = []
            if row.target_customer_id is not None:
                others = books.open_invoices(connection, row.target_customer_id, row.currency)
        shown = payment_line(row, surplus)
        others = [other for other in others if other.id != row.target_id]
        more = {"parts": parts, "can_divide": can_divide, "original": original}
        return str(self.render("panel/payment.html", line=shown, row=row, others=others, **more))

    @page("/export.csv")
    def export_csv(self) -> Response:
        """Download the list as it is filtered."""
        names = ("date", "label", "payer", "reference", "amount", "currency", "invoice", "status")
        return csv_response(
            "incoming-payments", [text(language(), f"payments.col_{name}") for name in names], self._export_rows()
        )

    @act("/post", "post")
    def post(self) -> Any:
        """Post the ticked payments; what cannot be posted is named, the others are posted."""
        ids = chosen_ids()
        for payment_id in ids:
            self._own(payment_id)
        if not ids:
            raise DataError(text(language(), "payments.none_ticked"))
        result = posting.post(self.house, ids, person().email)
        if result.posted:
            done("payments.posted", len(result.posted), closed=self._closed(result.posted))
        for code in dict.fromkeys(result.refused.values()):
            n = sum(refused == code for refused in result.refused.values())
            flash(f"{n}: {sentence(code, {})}", "warning")
        return go_back(self)

    @act("/<id:payment_id>/match", "post")
    def match(self, payment_id: int) -> Any:
        """Say which invoice a payment belongs to, by id or by number."""
        row = self._own(payment_id)
        placing.match(self.house, payment_id, self._named_invoice(row.creditor_id), person().email)
        done("payments.matched")
        return go_back(self)

    @act("/<id:payment_id>/divide", "post")
    def divide(self, payment_id: int) -> Any:
        """Divide a payment over the documents it names."""
        self._own(payment_id)
        placing.divide(self.house, payment_id, person().email)
        done("payments.divided")
        return go_back(self)

    @act("/<id:payment_id>/unmatch", "post")
    def unmatch(self, payment_id: int) -> Any:
        """Take back where a payment went, posted or not."""
        row = self._own(payment_id)
        placing.unmatch(self.house, payment_id, person().email)
        done("payments.taken_back" if row.state == "posted" else "payments.unmatched")
        return go_back(self)

    @act("/<id:payment_id>/same", "post")
    def same(self, payment_id: int) -> Any:
        """Say that a possible duplicate tells money that came before."""
        self._own(payment_id)
        placing.same_money(self.house, payment_id, person().email)
        done("payments.said_same")
        return go_back(self)

    @act("/<id:payment_id>/another", "post")
    def another(self, payment_id: int) -> Any:
        """Say that a possible duplicate is money of its own."""
        self._own(payment_id)
        placing.another_money(self.house, payment_id, person().email)
        done("payments.said_another")
        return go_back(self)

    @act("/<id:payment_id>/ignore", "post")
    def ignore(self, payment_id: int) -> Any:
        """Set a payment aside, with a reason."""
        self._own(payment_id)
        placing.ignore(self.house, payment_id, person().email, request.form.get("reason", "")[:500])
        done("payments.ignored")
        return go_back(self)

    def _own(self, payment_id: int) -> Row[Any]:
        tenants = tenant_ids(person().tenants)
        with self.house.database.read() as connection:
            query = books.payments(tenants).where(IncomingPayment.id == payment_id)
            row: Row[Any] = not_found_unless(connection.execute(query).one_or_none())
        tenant(row.creditor_id)
        return row

    def _named_invoice(self, creditor_id: int) -> int:
        given, number = request.form.get("invoice_id", ""), request.form.get("number", "").strip()
        with self.house.database.read() as connection:
            if given:
                entry = books.entry(connection, int(given)) if given.isdecimal() and len(given) < 19 else None
                if entry is None or entry.creditor_id != creditor_id:
                    abort(404)
                return int(entry.id)
            found = placing.invoices_named(connection, creditor_id, number)
        if len(found) != 1:
            key = "payments.no_invoice" if not found else "payments.several_invoices"
            raise DataError(text(language(), key, number=number[:60]))
        return found[0]

    def _closed(self, payment_ids: Sequence[int]) -> int:
        p, e = IncomingPayment, LedgerEntry
        query = select(func.count(e.id.distinct())).join(p, p.entry_id == e.id)
        with self.house.database.read() as connection:
            return int(connection.execute(query.where(p.id.in_(payment_ids), e.open_minor == 0)).scalar_one())

    def _tab(self) -> str:
        tab = request.args.get("tab", TABS[0])
        return tab if tab in TABS else TABS[0]

    def _filtered(self, query: Select[Any], ids: Sequence[int], tab: str) -> Select[Any]:
        p, e = IncomingPayment, LedgerEntry
        if tab == "overpaid":
            left = select(e.payment_id).where(
                e.creditor_id.in_(ids), e.group_id == e.id, e.kind == "payment", e.payment_id.is_not(None)
            )
            query = query.where(p.state == "posted", p.id.in_(left))
        else:
            query = query.where(p.state.in_(_STATES[tab]))
            if "proposed" in _STATES[tab] or "unmatched" in _STATES[tab]:
                inbox = books.is_in_voucher_inbox(ids)
                query = query.where(inbox if tab == "inbox" else ~inbox)
        label = request.args.get("label", "")
        if label:
            query = query.where(p.label == "" if label == OWN_BANK else p.label == label[:100])
        words = request.args.get("q", "").strip()[:100]
        if words:
            plain = words.replace(" ", "")
            beginning = func.lower(p.payer_name).startswith(words.lower(), autoescape=True)
            named = and_(p.case_number != "", p.case_number == words)
            query = query.where(or_(p.reference == plain, named, p.invoice_number == words, beginning))
        return query

    def _lines(self, connection: Connection, rows: Sequence[Row[Any]]) -> list[PaymentLine]:
        posted = [row.id for row in rows if row.state == "posted"]
        surplus = books.surplus_of(connection, posted) if posted else {}
        return [payment_line(row, surplus.get(row.id, 0)) for row in rows]

    def _export_rows(self) -> Iterator[list[object]]:
        ids, spoken = tenant_ids(person().in_view), language()
        tab, before = self._tab(), None
        while True:
            query = self._filtered(books.payments(ids), ids, tab).order_by(IncomingPayment.id.desc())
            query = query if before is None else query.where(IncomingPayment.id < before)
            with self.house.database.read() as connection:
                rows = list(connection.execute(query.limit(EXPORT_BATCH)))
            for row in rows:
                yield _cells(payment_line(row), spoken)
            if len(rows) < EXPORT_BATCH:
                return
            before = rows[-1].id


def _cells(shown: PaymentLine, spoken: str) -> list[object]:
    row = shown.row
    return [
        present.day(row.booking_date or row.value_date, spoken),
        row.label,
        row.payer_name,
        row.reference,
        amount_cell(shown.amount_minor, row.currency, spoken),
        row.currency,
        row.target_number or "",
        text(spoken, shown.pill.key),
    ]
