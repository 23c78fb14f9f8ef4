"""Factoring settings: one screen, reached by the path of the panel's language (R-FA-01 to R-FA-05)."""

from __future__ import annotations

from typing import Any

from flask import flash, request
from sqlalchemy import select
from werkzeug.wrappers import Response

from admin.access import Tenant, person, tenant
from admin.base import PanelView, act, done, go_back, page
from admin.language import language
from admin.shell import sentence
from admin.texts import text
from gateway.db.tables import Agreement, FactoringSettings
from gateway.domain.checks import PostingMode, check_factoring_settings
from gateway.domain.exchange import Finding
from gateway.services import agreements
from gateway.services.plan_context import facts_of

FIELDS = ("customer_number", "name", "address", "account_number", "invoice_text")
VALUE_CHARACTERS_MAX = 1000


class FactoringView(PanelView):
    """Firma - Innstillinger - Økonomi - Factoring info."""

    key = "factoring"

    @page("/")
    def index_view(self) -> str:
        """Show the screen of the creditor in view; with several in view, of the one asked for or the first."""
        creditor = self._creditor()
        settings, accounts, findings = (None, [], ()) if creditor is None else self._read(creditor)
        return str(
            self.render(
                "panel/factoring.html",
                creditor=creditor,
                settings=settings,
                fields=FIELDS,
                findings={finding.place: finding for finding in findings},
                modes=[mode.value for mode in PostingMode],
                agreements=accounts,
            )
        )

    @act("/<id:creditor_id>", "agree")
    def save(self, creditor_id: int) -> Response:
        """Save the screen; while the switch is on, nothing is saved that a finding blocks."""
        tenant(creditor_id)
        settings: dict[str, object] = {
            name: request.form.get(name, "").strip()[:VALUE_CHARACTERS_MAX] for name in FIELDS
        }
        settings["use_factoring"] = request.form.get("use_factoring") == "1"
        settings["posting_mode"] = request.form.get("posting_mode", "")[:40]
        found = agreements.save_factoring_settings(self.house, creditor_id, settings, person().email)
        blocking = [finding for finding in found if finding.severity.value == "blocking"]
        for finding in found:
            flash(sentence(finding.code, finding.values), "danger" if finding in blocking else "warning")
        if blocking and settings["use_factoring"]:
            flash(text(language(), "factoring.not_saved"), "danger")
        else:
            done("factoring.saved")
        return go_back(self)

    def _creditor(self) -> Tenant | None:
        asked = request.args.get("creditor", "")
        if asked.isdecimal():
            return tenant(int(asked))
        in_view = person().in_view
        return in_view[0] if in_view else None

    def _read(self, creditor: Tenant) -> tuple[Any, list[Any], tuple[Finding, ...]]:
        with self.house.database.read() as connection:
            columns = FactoringSettings.__table__.columns
            settings = connection.execute(select(*columns).where(columns.creditor_id == creditor.id)).one_or_none()
            query = select(Agreement.id, Agreement.display_name, Agreement.payment_account, Agreement.service)
            query = query.where(Agreement.creditor_id == creditor.id, Agreement.state == "active")
            rows: list[Any] = list(connection.execute(query.order_by(Agreement.display_name)))
        account = next((row.payment_account for row in rows if row.payment_account), "")
        found = check_factoring_settings(facts_of(settings), creditor.country, account) if settings else ()
        return settings, rows, found
