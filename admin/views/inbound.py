"""Inbound files and quarantine: what arrived, what could not be taken and why, in words with line, field and value."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from sqlalchemy import Row
from werkzeug.wrappers import Response as BaseResponse

from admin.access import person, tenant, tenant_ids
from admin.base import TableView, act, done, download, go_back, not_found_unless, page
from admin.file_content import content_of
from admin.file_records import Records, records_of
from admin.language import language
from admin.paging import address, slice_of
from admin.queries import agencies
from admin.status import INBOUND
from admin.texts import text
from gateway.db.blobs import CHUNK_BYTES, open_blob
from gateway.db.tables import InboundFile
from gateway.services import inbound, progress

TABS = ("trouble", "reading", "all")
_STATES = {"trouble": ("quarantined", "refused"), "reading": ("stored", "reading")}
_WITH_PAYMENTS = frozenset({"", "payments"})
FINDINGS_SHOWN = 200
FIRST_RECORD = "record"
"""Argument of the address: the record at which the page of the file begins."""


class InboundView(TableView):
    """Byrå - Karantene."""

    key = "inbound"
    model_class = InboundFile

    @page("/")
    def index_view(self) -> str:
        """Show the list; first what is in quarantine."""
        tab = request.args.get("tab", TABS[0])
        tab = tab if tab in TABS else TABS[0]
        query = agencies.inbound_files(tenant_ids(person().in_view))
        if tab in _STATES:
            query = query.where(InboundFile.state.in_(_STATES[tab]))
        with self.house.database.read() as connection:
            found = slice_of(connection, query, InboundFile.id, request.args)
            told = progress.told_of(connection, [row.id for row in found.rows if row.state == "reading"])
        mine = tenant_ids(person().in_view) if tab == "reading" else []
        return self.render_list(
            "panel/inbound.html",
            found,
            tab=tab,
            told=told,
            arriving=[one for one in progress.under_way(self.house, mine) if one.inbound_file_id is None],
            pills=INBOUND,
            tabs=[
                (text(language(), f"inbound.tab_{name}"), address(tab=name, before=None, after=None), name == tab, None)
                for name in TABS
            ],
        )

    @page("/<id:file_id>")
    def detail(self, file_id: int) -> str:
        """Show one file: findings, arrivals, totals and the beginning of its content."""
        row = self._own(file_id)
        with self.house.database.read() as connection:
            arrivals = agencies.arrivals(connection, file_id)
            told = progress.told_of(connection, [file_id]).get(file_id)
        records, content = self._records(row), None
        if records is None:
            with open_blob(self.house.database, row.blob_id) as stream:
                content = content_of(stream, row.size)
        return str(
            self.render(
                "panel/inbound_file.html",
                row=row,
                pill=INBOUND[row.state],
                arrivals=arrivals,
                told=told,
                content=content,
                records=records,
                records_before=records and records.before and _records_from(records.before),
                records_after=records and records.after and _records_from(records.after),
                findings=row.findings[:FINDINGS_SHOWN],
                findings_more=max(0, len(row.findings) - FINDINGS_SHOWN),
            )
        )

    @page("/<id:file_id>/file")
    def file(self, file_id: int) -> Response:
        """Download the original bytes."""
        row = self._own(file_id)
        stream = open_blob(self.house.database, row.blob_id)
        response = Response(iter(lambda: stream.read(CHUNK_BYTES), b""), mimetype="application/octet-stream")
        response.call_on_close(stream.close)
        response.content_length = row.size
        return download(response, row.filename)

    @act("/<id:file_id>/replay", "read_again")
    def replay(self, file_id: int) -> BaseResponse:
        """Read the file once more."""
        self._own(file_id)
        inbound.replay(self.house, file_id, person().email)
        done("inbound.replayed")
        return go_back(self)

    @act("/<id:file_id>/set-aside", "read_again")
    def set_aside(self, file_id: int) -> BaseResponse:
        """Take the file off the list, with a reason; the bytes stay."""
        self._own(file_id)
        inbound.set_aside(self.house, file_id, person().email, request.form.get("reason", "")[:500])
        done("inbound.was_set_aside")
        return go_back(self)

    def _records(self, row: Row[Any]) -> Records | None:
        """Return the page of the file's records that the address asks for; None for what is no payment file."""
        if row.kind not in _WITH_PAYMENTS:
            return None
        first = request.args.get(FIRST_RECORD, "1")
        number = int(first) if first.isascii() and first.isdecimal() and len(first) < 12 else 1
        return records_of(
            lambda: open_blob(self.house.database, row.blob_id), row.format, row.findings[:FINDINGS_SHOWN],
            max(1, number), language(),
        )  # fmt: skip

    def _own(self, file_id: int) -> Row[Any]:
        query = agencies.inbound_files(tenant_ids(person().tenants)).where(InboundFile.id == file_id)
        with self.house.database.read() as connection:
            row: Row[Any] = not_found_unless(connection.execute(query).one_or_none())
        tenant(row.creditor_id)
        return row


def _records_from(first: int) -> str:
    """Return the address of the page of records that begins at *first*."""
    return address(**{FIRST_RECORD: first}) + "#records-h"
