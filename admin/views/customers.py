"""Customers: what is wrong with a card, mended in the row or on the card (R-CD), and kept out as a whole (R-FA-07)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import current_app, request
from sqlalchemy import Connection, Row

from admin.access import person, tenant, tenant_ids
from admin.base import TableView, act, done, go_back, not_found_unless, page
from admin.held import field_of, is_on_card
from admin.language import language
from admin.paging import Slice, address, slice_of
from admin.plans import Plans
from admin.queries import books, cards
from admin.texts import text
from gateway.db.tables import Customer
from gateway.domain.identifiers import masked
from gateway.services import customers, marks

TABS = ("blocking", "warnings", "kept", "all")
FIELDS = (
    "kind", "name", "customer_number", "organisation_number", "national_id", "address1", "address2", "postcode", "city", "country", "email",
    "phone", "language",
)  # fmt: skip
"""The card's fields in the order of the form."""
_ADDRESS = ("address1", "postcode", "city")
ROWS_PER_SAVE_MAX = 50
VALUE_CHARACTERS_MAX = 200


@dataclass(slots=True)
class Holding:
    """What one customer's card keeps back tonight."""

    entries: int
    sum_minor: int
    currency: str
    next_date: date | None


class CustomersView(TableView):
    """CRM - Kunder."""

    key = "customers"
    model_class = Customer

    @page("/")
    def index_view(self) -> str:
        """Show the list; the first tab holds those who keep something back tonight, with the field to mend."""
        tab = request.args.get("tab", TABS[0])
        tab = tab if tab in TABS else TABS[0]
        ids = tenant_ids(person().in_view)
        holding = _holding(ids)
        with self.house.database.read() as connection:
            found = self._slice(connection, tab, ids, holding)
            wrong = cards.findings(connection, [row.id for row in found.rows])
        counts = {"blocking": len(holding)}
        return self.render_list(
            "panel/customers.html",
            found,
            tab=tab,
            holding=holding,
            findings=wrong,
            to_mend={row.id: _fields_to_mend(wrong.get(row.id, ())) for row in found.rows},
            entries_held=sum(held.entries for held in holding.values()),
            q=request.args.get("q", "").strip(),
            tabs=[
                (
                    text(language(), f"customers.tab_{name}"),
                    address(tab=name, before=None, after=None),
                    name == tab,
                    counts.get(name),
                )
                for name in TABS
            ],
        )

    @page("/<id:customer_id>")
    def card(self, customer_id: int) -> str:
        """Show one card; ``?field=`` puts the cursor where a finding is mended (R-CD-07)."""
        row = self._own(customer_id)
        field = request.args.get("field", "")
        with self.house.database.read() as connection:
            wrong = cards.findings(connection, [customer_id]).get(customer_id, [])
            invoices = books.open_invoices(connection, customer_id, tenant(row.creditor_id).currency)
        by_field: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
        for agency, finding in wrong:
            by_field.setdefault(field_of(finding["code"], finding["place"]), []).append((agency, finding))
        return str(
            self.render(
                "panel/customer.html",
                row=row,
                fields=FIELDS,
                field=field if field in FIELDS else "",
                by_field=by_field,
                invoices=invoices,
                known=marks.known_claims(self.house, customer_id) if row.do_not_transfer else (),
                national_id=self._masked(row),
            )
        )

    @act("/<id:customer_id>/correct", "correct")
    def correct(self, customer_id: int) -> Any:
        """Save the fields of one card that were changed."""
        row = self._own(customer_id)
        typed = {name: request.form[name] for name in FIELDS if name in request.form}
        self._save(row, typed)
        return go_back(self)

    @act("/correct", "correct")
    def correct_many(self) -> Any:
        """Save the corrections typed in the rows of the list."""
        typed: dict[int, dict[str, str]] = {}
        for key, value in request.form.items():
            owner, _, name = key.partition(":")
            if owner.isdecimal() and len(owner) < 19 and name in FIELDS and len(typed) <= ROWS_PER_SAVE_MAX:
                typed.setdefault(int(owner), {})[name] = value
        for customer_id, values in typed.items():
            self._save(self._own(customer_id), values)
        return go_back(self)

    @act("/<id:customer_id>/mark", "mark")
    def mark(self, customer_id: int) -> Any:
        """Keep the customer out as a whole, or let it in again."""
        self._own(customer_id)
        is_marking = request.form.get("do") != "unmark"
        marks.mark_customer(self.house, customer_id, is_marking, person().email)
        done("customers.marked" if is_marking else "customers.unmarked")
        return go_back(self)

    def _save(self, row: Row[Any], typed: Mapping[str, str]) -> None:
        changes = {
            name: value.strip()[:VALUE_CHARACTERS_MAX]
            for name, value in typed.items()
            if value.strip() != (getattr(row, name, None) or "") and (name != "national_id" or value.strip())
        }
        if not changes:
            return
        still = customers.correct_customer(self.house, row.id, changes, person().email)
        blocking = [finding for finding in still if finding.severity.value == "blocking"]
        done("customers.saved_held" if blocking else "customers.saved", name=row.name or row.customer_number)

    def _own(self, customer_id: int) -> Row[Any]:
        with self.house.database.read() as connection:
            row: Row[Any] = not_found_unless(cards.own(connection, customer_id))
        tenant(row.creditor_id)
        return row

    def _masked(self, row: Row[Any]) -> str:
        return masked(self.house.secrets.decrypt(row.national_id_encrypted)) if row.national_id_encrypted else ""

    def _slice(self, connection: Connection, tab: str, ids: Sequence[int], holding: Mapping[int, Holding]) -> Slice:
        query = cards.cards(ids)
        words = request.args.get("q", "").strip()[:100]
        if words:
            query = query.where(cards.found_by(connection, ids, words))
        if tab == "blocking":
            query = query.where(Customer.id.in_(_window(sorted(holding, reverse=True), request.args)))
        elif tab == "warnings":
            query = query.where(cards.with_warnings(ids))
        elif tab == "kept":
            query = query.where(Customer.do_not_transfer)
        return slice_of(connection, query, Customer.id, request.args)


def _window(ordered: list[int], arguments: Mapping[str, str], rows: int = 51) -> list[int]:
    before, after = arguments.get("before", ""), arguments.get("after", "")
    if after.isdecimal():
        return [customer_id for customer_id in ordered if customer_id > int(after)][-rows:]
    if before.isdecimal():
        ordered = [customer_id for customer_id in ordered if customer_id < int(before)]
    return ordered[:rows]


def _holding(creditor_ids: Sequence[int]) -> dict[int, Holding]:
    plans: Plans = current_app.extensions["kravport_plans"]
    found: dict[int, Holding] = {}
    seen: set[int] = set()
    for _, plan in plans.of_creditors(creditor_ids):
        for held in plan.held:
            if not is_on_card(held.code) or held.is_exclusion or held.entry_id in seen:
                continue
            seen.add(held.entry_id)
            mine = found.setdefault(held.customer_id, Holding(0, 0, held.currency, held.next_date))
            mine.entries += 1
            mine.sum_minor += held.amount_minor
    return found


def _fields_to_mend(wrong: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Return the fields to show in the row: those of blocking findings; a broken address is shown whole."""
    named = [field_of(f["code"], f["place"]) for _, f in wrong if f["severity"] == "blocking"]
    wanted = [name for field in named for name in (_ADDRESS if field in _ADDRESS else (field,))]
    return [name for name in dict.fromkeys(wanted) if name in FIELDS]
