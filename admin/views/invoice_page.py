"""One invoice: its story, its link group, both balances, and what a person can do about them (R-LK, R-VL, R-RV)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from flask import abort, current_app, request
from sqlalchemy import Row
from sqlalchemy.exc import NoResultFound

from admin.access import person
from admin.base import act, done, go_back, page
from admin.group_map import group_map
from admin.language import language
from admin.queries import audit as trail
from admin.queries import books
from admin.queries.claims import claim_card
from admin.story import story
from gateway.domain.money import parse_minor
from gateway.domain.reasons import told
from gateway.errors import DataError, DecodeError
from gateway.services import joining, links, marks, placing, posting
from gateway.services.house import House

PARTS_MAX = 50


class InvoiceActs:
    """The routes of one invoice; the list of `admin.views.invoices` derives from it."""

    house: House
    endpoint: str
    render: Any

    @abstractmethod
    def own_entry(self, entry_id: int) -> Row[Any]:
        """Return an entry of a creditor the person may see; 404 otherwise."""

    @page("/<id:entry_id>")
    def detail(self, entry_id: int) -> str:
        """Show an invoice with everything linked to it, or an entry that belongs to no invoice."""
        from admin.views.invoices import line, tonight  # noqa: PLC0415  # the list and its page know each other

        asked = self.own_entry(entry_id)
        creditor_id = asked.creditor_id
        now = tonight((creditor_id,))
        with self.house.database.read() as connection:
            members = books.group(connection, asked.group_id)
            invoices = [row for row in members if row.kind == "invoice"]
            entry = books.entry(connection, invoices[0].id) if len(invoices) == 1 else asked
            assert entry is not None
            ids = [row.id for row in members]
            claims = books.sent_claims(connection, [row.id for row in invoices], (creditor_id,))
            items = books.items_of(connection, ids, creditor_id)
            holds = books.holds_of(connection, entry.id, creditor_id)
            loose = books.unlinked(connection, entry.customer_id, entry.currency)
            open_ones = books.open_invoices(connection, entry.customer_id, entry.currency)
            events = trail.of_objects(connection, creditor_id, "entry", ids)
            card = claim_card(connection, entry, claims.get(entry.id, ()))
        shown = line(entry, now, claims.get(entry.id, ()), self.house.now().date())
        proposal = links.propose_split(self.house, entry.group_id) if len(invoices) > 1 else ()
        loose = [row for row in loose if row.group_id != entry.group_id]
        return str(
            self.render(
                "panel/invoice.html",
                entry=entry,
                line=shown,
                members=members,
                invoices=invoices,
                claim=next(iter(claims.get(entry.id, ())), None),
                card=card,
                balance=_agency_balance(claims.get(entry.id, ())),
                planned=now.planned.get(entry.id),
                held={row.id: now.held[row.id] for row in members if row.id in now.held},
                warned=_warned(creditor_id, ids),
                items={row.entry_id: row for row in items if row.is_current},
                story=story(entry, members, items, holds, events, now.planned.get(entry.id), language()),
                map=group_map(entry, members, loose[:2]),
                loose=loose,
                open_invoices=[row for row in open_ones if row.id != entry.id],
                proposal=[[_named(members, member) for member in part] for part in proposal],
                parts_json=";".join(",".join(map(str, part)) for part in proposal),
                shows_flag=person().preferences.get("column_flag") == "shown",
            )
        )

    @act("/<id:entry_id>/mark", "mark")
    def mark_one(self, entry_id: int) -> Any:
        """Mark this invoice *do not transfer*, or take the mark away."""
        self.own_entry(entry_id)
        is_marking = request.form.get("do") != "unmark"
        marks.mark_invoice(self.house, entry_id, is_marking, person().email)
        done("invoices.marked" if is_marking else "invoices.unmarked", 1)
        return go_back(self)

    @act("/<id:entry_id>/line", "mark")
    def mark_line(self, entry_id: int) -> Any:
        """Set or take away FlagSyncDisabled on a voucher line."""
        self.own_entry(entry_id)
        is_marking = request.form.get("do") != "unmark"
        marks.mark_line(self.house, entry_id, is_marking, person().email)
        done("invoice.line_marked" if is_marking else "invoice.line_unmarked")
        return go_back(self)

    @act("/<id:entry_id>/judge", "mark")
    def judge(self, entry_id: int) -> Any:
        """Say of a line that looks like a write-off whether it is a payment (R-VL-10)."""
        self.own_entry(entry_id)
        is_payment = request.form.get("do") == "payment"
        marks.judge_line(self.house, entry_id, is_payment, person().email)
        done("invoice.judged_payment" if is_payment else "invoice.line_marked")
        return go_back(self)

    @act("/<id:entry_id>/join", "post")
    def join(self, entry_id: int) -> Any:
        """Say that the accounting system's line is what was posted here, come back (L12)."""
        self.own_entry(entry_id)
        joining.same_as_posted(self.house, entry_id, person().email)
        done("invoice.joined")
        return go_back(self)

    @act("/<id:entry_id>/link", "link")
    def link_to(self, entry_id: int) -> Any:
        """Link another entry of the same customer to this one and what it is linked to."""
        row = self.own_entry(entry_id)
        other = self.own_entry(_number(request.form.get("other", "")))
        with self.house.database.read() as connection:
            mine = [member.id for member in books.group(connection, row.group_id)]
        links.link(self.house, row.creditor_id, [*mine, other.id], person().email)
        done("invoice.linked")
        return go_back(self)

    @act("/<id:entry_id>/unlink", "link")
    def unlink(self, entry_id: int) -> Any:
        """Take an entry out of its group."""
        self.own_entry(entry_id)
        links.unlink(self.house, entry_id, person().email)
        done("invoice.unlinked")
        return go_back(self)

    @act("/<id:entry_id>/split", "link")
    def split(self, entry_id: int) -> Any:
        """Confirm the proposed groups of a mixed group (R-LK-09)."""
        row = self.own_entry(entry_id)
        groups = [
            [_number(part) for part in group.split(",")] for group in request.form.get("groups", "").split(";") if group
        ]
        links.confirm_split(self.house, row.group_id, groups, person().email)
        done("invoice.split_done", len(groups))
        return go_back(self)

    @act("/<id:entry_id>/divide", "link")
    def divide(self, entry_id: int) -> Any:
        """Divide a payment over several invoices (R-LK-10); the form names an amount per invoice."""
        row = self.own_entry(entry_id)
        parts: dict[int, int] = {}
        for name, value in list(request.form.items())[:PARTS_MAX]:
            if name.startswith("part_") and value.strip():
                invoice = self.own_entry(_number(name.removeprefix("part_")))
                parts[invoice.id] = typed_amount(value, row.currency)
        links.split_payment(self.house, entry_id, parts, person().email)
        done("invoice.divided", len(parts))
        return go_back(self)

    @act("/<id:entry_id>/move", "post")
    def move(self, entry_id: int) -> Any:
        """Move a misposted payment: an outgoing payment here, an incoming one there (R-RV-04)."""
        row = self.own_entry(entry_id)
        number = request.form.get("number", "").strip()
        target = self._invoice_called(row.creditor_id, number) if number else None
        reason = request.form.get("reason", "").strip()
        made = posting.move_payment(self.house, entry_id, target, person().email, reason)
        done("invoice.moved", len(made))
        return go_back(self)

    @act("/<id:entry_id>/reverse", "post")
    def reverse(self, entry_id: int) -> Any:
        """Reverse a payment the agency knows nothing of (R-RV-05)."""
        self.own_entry(entry_id)
        posting.reverse_payment(self.house, entry_id, person().email)
        done("invoice.reversed")
        return go_back(self)

    def _invoice_called(self, creditor_id: int, number: str) -> int:
        with self.house.database.read() as connection:
            found = placing.invoices_named(connection, creditor_id, number)
        if len(found) != 1:
            raise DataError(f"{'no' if not found else 'more than one'} invoice has the number {number[:60]}")
        return found[0]


def typed_amount(typed: str, currency: str) -> int:
    """Return minor units of an amount as a person types it (``12 500,00``); raises ``DataError``."""
    plain = "".join(typed.split()).replace("\N{MINUS SIGN}", "-").replace(",", ".")
    try:
        return parse_minor(plain, currency)
    except DecodeError as error:
        raise DataError(f"{typed[:40]!r} {told(error.reason, language())}") from None


def _agency_balance(claims: Sequence[Row[Any]]) -> int | None:
    known = [claim for claim in claims if claim.state not in {"rejected", "withdrawn"}]
    return int(known[0].told_minor - known[0].agency_paid_minor) if known else None


def _warned(creditor_id: int, ids: Sequence[int]) -> list[Any]:
    plans = current_app.extensions["kravport_plans"]
    wanted = set(ids)
    return [
        (agreement, warning)
        for agreement, plan in plans.of_creditors((creditor_id,))
        for warning in plan.warnings
        if warning.entry_id in wanted
    ]


def _named(members: Sequence[Row[Any]], entry_id: int) -> Row[Any]:
    for member in members:
        if member.id == entry_id:
            return member
    raise NoResultFound(str(entry_id))


def _number(text: str) -> int:
    if not (text.isdecimal() and len(text) < 19):
        abort(400)
    return int(text)
