"""Agreements with agencies: what they can, when they last and next transfer, their settings, start-up load (R-OP-01)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import abort, current_app, redirect, request, url_for
from sqlalchemy import Row
from werkzeug.wrappers import Response

from admin import present
from admin.access import person, tenant, tenant_ids
from admin.base import TableView, act, done, go_back, not_found_unless, page
from admin.language import language
from admin.plans import Plans, next_at
from admin.queries import agencies
from admin.status import AGREEMENT, envelope_pill
from admin.texts import text
from admin.views.agreement_form import API_AUTH, WAYS, changes, schema_fields, shown_transport, typed_settings
from gateway.db.tables import Agreement
from gateway.domain.exchange import AgencyProfile, Can
from gateway.errors import DataError, PluginError
from gateway.services import agreements, transfer
from gateway.services.confirmations import may_leave_sandbox
from gateway.services.preview import Plan

SECRET_CHARACTERS_MAX = 20_000
"""A private key in PEM is below four kilobytes; this leaves room and bounds the request."""


class AgreementsView(TableView):
    """Byrå - Avtaler."""

    key = "agreements"
    model_class = Agreement

    @page("/")
    def index_view(self) -> str:
        """Show the agreements of the creditors in view."""
        ids = tenant_ids(person().in_view)
        with self.house.database.read() as connection:
            rows = agencies.agreements(connection, ids)
            runs = agencies.last_runs(connection, [row.id for row in rows])
        plans = {agreement.id: plan for agreement, plan in self._plans().of_creditors(ids)}
        clocks = {row.id: self._clock(row, runs.get(row.id), plans.get(row.id)) for row in rows}
        return str(
            self.render(
                "panel/agreements.html", rows=rows, clocks=clocks, pills=AGREEMENT, broken=self.house.agencies.broken
            )
        )

    @page("/<id:agreement_id>")
    def detail(self, agreement_id: int) -> str:
        """Show one agreement."""
        row = self._own(agreement_id)
        with self.house.database.read() as connection:
            run = agencies.last_runs(connection, [agreement_id]).get(agreement_id)
            counters = agencies.counters(connection, agreement_id)
            envelope = agencies.last_envelopes(connection, [agreement_id]).get(agreement_id)
        plan = self._plans().of(agreement_id, row.creditor_id) if row.state == "active" else None
        profile = self._profile(row.agency_key)
        layout = profile.layout(row.profile) if profile else None
        startup = None
        if plan is not None and profile is not None and Can.EXPORT_INVOICE in profile.can:
            startup = transfer.preview_startup(self.house, agreement_id)
        return str(
            self.render(
                "panel/agreement.html",
                row=row,
                pill=AGREEMENT[row.state],
                profile=profile,
                layout=layout,
                is_confirmed=layout is not None and may_leave_sandbox(self.house, layout),
                abilities=_abilities(profile),
                clock=self._clock(row, run, plan),
                plan=plan,
                counters=counters,
                envelope=envelope,
                envelope_pill=envelope_pill(envelope.state, envelope.receipt_due_at, self.house.now())
                if envelope
                else None,
                startup=startup,
                fields=schema_fields(profile, row.settings) if profile else [],
                ways=WAYS,
                api_auth=API_AUTH,
                transport=shown_transport(row.transport),
                secret_names=[name for name in agreements.SECRET_NAMES if not name.endswith("_old")],
                kept_secrets=set(agreements.secrets_of(self.house, row)),
                webhook_path=f"/webhooks/{row.agency_key}/",
            )
        )

    @page("/new")
    def new(self) -> str:
        """Show the form for a new agreement; first the agency is chosen, then its own settings are asked."""
        agency = request.args.get("agency", "")
        profile = self._profile(agency) if agency else None
        return str(
            self.render(
                "panel/agreement_new.html",
                agencies=[known.profile for known in self.house.agencies],
                profile=profile,
                fields=schema_fields(profile, {}) if profile else [],
            )
        )

    @act("/new", "agree")
    def create(self) -> Response:
        """Draft an agreement; it does nothing until it is activated."""
        form = request.form
        profile = not_found_unless(self._profile(form.get("agency", "")))
        creditor = tenant(int(form["creditor"]) if form.get("creditor", "").isdecimal() else 0)
        if form.get("service") not in {service.value for service in profile.services}:
            abort(400)
        agreement_id = agreements.create_agreement(
            self.house,
            creditor.id,
            agency_key=profile.key,
            client_number=form.get("client_number", "").strip()[:100],
            service=form["service"],
            currency=form.get("currency", "")[:3],
            market=form.get("market", "")[:2],
            profile=form.get("profile", "")[:100],
            settings=typed_settings(profile, {}, form),
            actor=person().email,
        )
        done("agreement.created")
        return redirect(url_for("panel_agreements.detail", agreement_id=agreement_id))

    @act("/<id:agreement_id>", "agree")
    def save(self, agreement_id: int) -> Response:
        """Save the settings form."""
        row = self._own(agreement_id)
        profile = not_found_unless(self._profile(row.agency_key))
        wanted = changes(row, profile, request.form)
        if wanted:
            agreements.change_agreement(self.house, agreement_id, wanted, person().email)
            done("agreement.saved")
        return go_back(self)

    @act("/<id:agreement_id>/activate", "agree")
    def activate(self, agreement_id: int) -> Response:
        """Let the agreement work from the next cut-off on."""
        self._own(agreement_id)
        agreements.activate(self.house, agreement_id, person().email)
        done("agreement.activated")
        return go_back(self)

    @act("/<id:agreement_id>/end", "agree")
    def end(self, agreement_id: int) -> Response:
        """End the agreement."""
        self._own(agreement_id)
        agreements.end(self.house, agreement_id, person().email)
        done("agreement.ended")
        return go_back(self)

    @act("/<id:agreement_id>/load", "load")
    def load(self, agreement_id: int) -> Response:
        """Make the start-up load; a repetition needs a reason (R-LS-10)."""
        self._own(agreement_id)
        if request.form.get("confirmed") != "1":
            raise DataError(text(language(), "agreement.load_unconfirmed"))
        result = transfer.startup_load(self.house, agreement_id, person().email, request.form.get("reason", "")[:500])
        done("agreement.loaded", result.invoices)
        return go_back(self)

    @act("/<id:agreement_id>/webhook", "agree")
    def webhook(self, agreement_id: int) -> str:
        """Make a new webhook address and show its token this once."""
        row = self._own(agreement_id)
        token = agreements.new_webhook_token(self.house, agreement_id, person().email)
        address = f"{request.url_root.rstrip('/')}/webhooks/{row.agency_key}/{token}"
        return str(self.render("panel/agreement_token.html", row=row, address=address))

    @act("/<id:agreement_id>/secret", "agree")
    def secret(self, agreement_id: int) -> Response:
        """Store a secret; it is never shown again."""
        self._own(agreement_id)
        value = request.form.get("value", "")
        if not value or len(value) > SECRET_CHARACTERS_MAX:
            raise DataError(text(language(), "agreement.secret_empty"))
        agreements.set_secret(self.house, agreement_id, request.form.get("name", ""), value, person().email)
        done("agreement.secret_saved")
        return go_back(self)

    def _own(self, agreement_id: int) -> Row[Any]:
        with self.house.database.read() as connection:
            row: Row[Any] = not_found_unless(agencies.agreement(connection, agreement_id))
        tenant(row.creditor_id)
        return row

    def _profile(self, key: str) -> AgencyProfile | None:
        try:
            return self.house.agencies[key].profile
        except PluginError:
            return None

    def _plans(self) -> Plans:
        plans: Plans = current_app.extensions["kravport_plans"]
        return plans

    def _clock(self, row: Row[Any], run: Row[Any] | None, plan: Plan | None) -> str:
        """Return "Last: …. Next: …." (R-OP-17)."""
        spoken = language()
        said = [text(spoken, "agreement.never_run")]
        if run is not None:
            at = present.moment(run.cutoff, spoken, row.time_zone)
            said = [text(spoken, "agreement.last", at=at, n=run.invoices_sent + run.items_sent)]
        if plan is not None and plan.next_run_at is not None:
            at = present.moment(next_at(plan, self.house.now()), spoken, row.time_zone)
            n = plan.invoice_count + plan.item_count
            said.append(text(spoken, "agreement.next", at=at, n=n, held=len(plan.held)))
            if n == 0 and not plan.held:
                said.append(text(spoken, "agreement.nothing_ready"))
        elif row.state != "active":
            said.append(text(spoken, f"agreement.not_{row.state}"))
        return " ".join(said)


def _abilities(profile: AgencyProfile | None) -> Iterable[tuple[str, bool]]:
    return [(str(ability.name).lower(), ability in profile.can) for ability in Can] if profile else []
