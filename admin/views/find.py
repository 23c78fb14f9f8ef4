"""Find: one field at the top of every page for an invoice, a customer or a payment reference."""

from __future__ import annotations

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from admin.access import person, tenant_ids
from admin.base import PanelView, page
from admin.queries import books
from gateway.services import placing

HITS_MAX = 25


class FindView(PanelView):
    """Looks through all creditors the person may see, whatever is chosen in the bar."""

    key = "find"

    @page("/")
    def index_view(self) -> Response | str:
        """Show the hits; go straight to the only one."""
        words = request.args.get("q", "").strip()[:100]
        ids = tenant_ids(person().tenants)
        invoices, customers = [], []
        if words:
            with self.house.database.read() as connection:
                found = [placing.invoices_named(connection, creditor_id, words) for creditor_id in ids]
                entries = [books.entry(connection, entry_id) for hits in found for entry_id in hits][:HITS_MAX]
                invoices = [entry for entry in entries if entry is not None]
                customers = books.customers_found(connection, ids, words, HITS_MAX)
        if len(invoices) == 1 and not customers:
            return redirect(url_for("panel_invoices.detail", entry_id=invoices[0].id))
        if len(customers) == 1 and not invoices:
            return redirect(url_for("panel_customers.card", customer_id=customers[0].id))
        return str(self.render("panel/find.html", q=words, invoices=invoices, customers=customers))
