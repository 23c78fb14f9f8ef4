"""Envelopes: every sealed file, what stands in it, what the agency answered, and what a person can do about it."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from sqlalchemy import Row
from werkzeug.wrappers import Response as BaseResponse

from admin.access import person, tenant, tenant_ids
from admin.base import TableView, act, done, download, go_back, not_found_unless, page
from admin.file_content import content_of
from admin.language import language
from admin.paging import address, slice_of
from admin.queries import agencies
from admin.status import CALL, ITEM, envelope_pill
from admin.texts import text
from gateway.db.blobs import CHUNK_BYTES, open_blob
from gateway.db.tables import Envelope
from gateway.services import called, delivery, receipts

TABS = ("all", "waiting", "trouble")
_STATES = {"waiting": ("sealed", "delivered"), "trouble": ("in_doubt", "failed", "partly", "rejected")}
ITEMS_PER_PAGE = 100


class EnvelopesView(TableView):
    """Byrå - Konvolutter."""

    key = "envelopes"
    model_class = Envelope

    @page("/")
    def index_view(self) -> str:
        """Show the list."""
        tab = request.args.get("tab", TABS[0])
        tab = tab if tab in TABS else TABS[0]
        query = agencies.envelopes(tenant_ids(person().in_view))
        if tab in _STATES:
            query = query.where(Envelope.state.in_(_STATES[tab]))
        with self.house.database.read() as connection:
            found = slice_of(connection, query, Envelope.id, request.args)
        now = self.house.now()
        return self.render_list(
            "panel/envelopes.html",
            found,
            tab=tab,
            pill_of=lambda row: envelope_pill(row.state, row.receipt_due_at, now),
            tabs=[
                (
                    text(language(), f"envelopes.tab_{name}"),
                    address(tab=name, before=None, after=None),
                    name == tab,
                    None,
                )
                for name in TABS
            ],
        )

    @page("/<id:envelope_id>")
    def detail(self, envelope_id: int) -> str:
        """Show one envelope: its content, the answer per item (``?show=receipt``) or the calls of an API (``calls``)."""
        row = self._own(envelope_id)
        shows = request.args.get("show", "")
        with self.house.database.read() as connection:
            task = agencies.task_of(connection, "deliver", envelope_id)
            items = agencies.envelope_items(
                connection, envelope_id, request.args.get("item", "")[:200], ITEMS_PER_PAGE + 1
            )
            calls = called.calls_of(connection, envelope_id, request.args.get("call", "")[:200], ITEMS_PER_PAGE + 1)
            unanswered = called.open_calls_of(connection, envelope_id) if calls else []
        content = None
        if shows not in {"receipt", "calls"}:
            with open_blob(self.house.database, row.blob_id) as stream:
                content = content_of(stream, row.size)
        return str(
            self.render(
                "panel/envelope.html",
                row=row,
                pill=envelope_pill(row.state, row.receipt_due_at, self.house.now()),
                item_pills=ITEM,
                items=items[:ITEMS_PER_PAGE],
                more_items=items[ITEMS_PER_PAGE - 1].item_id if len(items) > ITEMS_PER_PAGE else None,
                content=content,
                calls=calls[:ITEMS_PER_PAGE],
                more_calls=calls[ITEMS_PER_PAGE - 1].key if len(calls) > ITEMS_PER_PAGE else None,
                call_pills=CALL,
                unanswered=unanswered,
                shows=shows,
                task=task,
            )
        )

    @page("/<id:envelope_id>/file")
    def file(self, envelope_id: int) -> Response:
        """Download the original bytes."""
        row = self._own(envelope_id)
        stream = open_blob(self.house.database, row.blob_id)
        response = Response(iter(lambda: stream.read(CHUNK_BYTES), b""), mimetype="application/octet-stream")
        response.call_on_close(stream.close)
        response.content_length = row.size
        return download(response, row.filename)

    @act("/<id:envelope_id>/resend", "resend")
    def resend(self, envelope_id: int) -> BaseResponse:
        """Send the same bytes once more, with a reason."""
        self._own(envelope_id)
        delivery.resend(self.house, envelope_id, person().email, request.form.get("reason", "")[:500])
        done("envelopes.resent")
        return go_back(self)

    @act("/<id:envelope_id>/offer-again", "resend")
    def offer_again(self, envelope_id: int) -> BaseResponse:
        """Offer what the agency refused of the file once more, with a reason."""
        self._own(envelope_id)
        receipts.offer_again(self.house, envelope_id, person().email, request.form.get("reason", "")[:500])
        done("envelopes.offered_again")
        return go_back(self)

    @act("/<id:envelope_id>/confirm", "resend")
    def confirm(self, envelope_id: int) -> BaseResponse:
        """Record what a person found out about a doubtful delivery."""
        self._own(envelope_id)
        arrived = request.form.get("arrived") == "yes"
        delivery.confirm_delivery(self.house, envelope_id, person().email, arrived, request.form.get("call", "")[:200])
        done("envelopes.arrived" if arrived else "envelopes.not_arrived")
        return go_back(self)

    def _own(self, envelope_id: int) -> Row[Any]:
        query = agencies.envelopes(tenant_ids(person().tenants)).where(Envelope.id == envelope_id)
        with self.house.database.read() as connection:
            row: Row[Any] = not_found_unless(connection.execute(query).one_or_none())
        tenant(row.creditor_id)
        return row
