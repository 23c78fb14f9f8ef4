"""The audit trail: one chain per creditor, to read, filter, download and verify (P17)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from flask import Response, abort, flash, request, url_for
from sqlalchemy import Select
from werkzeug.wrappers import Response as BaseResponse

from admin.access import ADMIN, OPERATOR, person, tenant
from admin.base import TableView, act, go_back, page
from admin.export import csv_response
from admin.language import language
from admin.paging import slice_of
from admin.queries import audit as trail
from admin.texts import catalogue, text
from gateway.db import audit
from gateway.db.tables import AuditEvent

INSTALLATION = 0
"""The chain of the installation itself: people and what concerns no creditor. Not for bookkeepers."""
EXPORT_BATCH = 1000


class AuditView(TableView):
    """Firma - Sporlogg."""

    key = "audit"
    model_class = AuditEvent

    @page("/")
    def index_view(self) -> str:
        """Show one chain, newest first."""
        chain_id = self._chain_id()
        with self.house.database.read() as connection:
            found = slice_of(connection, self._filtered(chain_id), AuditEvent.number, request.args)
            actions = trail.actions(connection, chain_id)
        chains = [(known.id, known.name) for known in person().tenants]
        if self._sees_installation():
            chains.append((INSTALLATION, text(language(), "audit.installation")))
        return self.render_list(
            "panel/audit.html",
            found,
            chain_id=chain_id,
            chains=chains,
            actions=[(action, act_word(action)) for action in actions],
            act_word=act_word,
            object_url=self._object_url,
        )

    @page("/export.csv")
    def export_csv(self) -> Response:
        """Download the chain as it is filtered."""
        names = ("number", "at", "actor", "action", "object", "facts")
        header = [text(language(), f"audit.col_{name}") for name in names]
        return csv_response("audit-trail", header, self._export_rows(self._chain_id()))

    @act("/verify", "verify")
    def verify(self) -> BaseResponse:
        """Check every hash of the chain from its beginning."""
        chain_id = self._chain_id()
        with self.house.database.read() as connection:
            fault = audit.verify(connection, chain_id)
            events = trail.last_number(connection, chain_id)
        if fault is None:
            flash(text(language(), "audit.verified", n=events), "success")
        else:
            flash(text(language(), "audit.broken", n=fault.number, why=fault.reason), "danger")
        return go_back(self)

    def _filtered(self, chain_id: int) -> Select[Any]:
        query = trail.chain(chain_id)
        if actor := request.args.get("actor", "").strip()[:200]:
            query = query.where(AuditEvent.actor == actor)
        if action := request.args.get("action", "")[:100]:
            query = query.where(AuditEvent.action == action)
        return query

    def _chain_id(self) -> int:
        asked = request.values.get("chain", "")
        if asked.isdecimal() and int(asked) == INSTALLATION:
            if not self._sees_installation():
                abort(404)
            return INSTALLATION
        if asked.isdecimal():
            return tenant(int(asked)).id
        in_view = person().in_view
        if in_view:
            return in_view[0].id
        if not self._sees_installation():
            abort(404)
        return INSTALLATION

    def _sees_installation(self) -> bool:
        return bool(person().role_names & {ADMIN, OPERATOR})

    def _object_url(self, row: Any) -> str:
        targets = {
            "entry": ("panel_invoices.detail", "entry_id"),
            "customer": ("panel_customers.card", "customer_id"),
            "payment": ("panel_payments.detail", "payment_id"),
            "agreement": ("panel_agreements.detail", "agreement_id"),
            "envelope": ("panel_envelopes.detail", "envelope_id"),
            "inbound_file": ("panel_inbound.detail", "file_id"),
        }
        endpoint, argument = targets.get(row.object_type, ("", ""))
        return url_for(endpoint, **{argument: row.object_id}) if endpoint and row.object_id.isdecimal() else ""

    def _export_rows(self, chain_id: int) -> Iterator[list[object]]:
        before: int | None = None
        while True:
            query = self._filtered(chain_id).order_by(AuditEvent.number.desc())
            query = query if before is None else query.where(AuditEvent.number < before)
            with self.house.database.read() as connection:
                rows = list(connection.execute(query.limit(EXPORT_BATCH)))
            for row in rows:
                facts = json.dumps(row.facts, ensure_ascii=False, sort_keys=True, default=str)
                yield [
                    row.number,
                    row.at.isoformat(),
                    row.actor,
                    row.action,
                    f"{row.object_type} {row.object_id}",
                    facts,
                ]
            if len(rows) < EXPORT_BATCH:
                return
            before = rows[-1].number


def act_word(action: str) -> str:
    """Return what an action is called; its own name where the catalogue has none."""
    key = f"act.{action.replace('.', '_')}"
    return text(language(), key) if key in catalogue() else action
