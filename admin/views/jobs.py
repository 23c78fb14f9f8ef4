"""The outbox: promises and how they fare; for operators (design/architecture.md, section 6)."""

from __future__ import annotations

from typing import Any

from flask import request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from admin.access import person
from admin.base import TableView, act, done, go_back, not_found_unless, page
from admin.language import language
from admin.paging import address, slice_of
from admin.status import TASK
from admin.texts import catalogue, text
from gateway.db.tables import Heartbeat, Task
from gateway.errors import DataError
from gateway.services import tasks

TABS = ("due", "trouble", "done")
_STATES = {"due": ("pending", "leased"), "trouble": ("failed", "in_doubt", "stopped"), "done": ("done",)}
_PLACES = {
    "run": ("panel_agreements.detail", "agreement_id"),
    "fetch": ("panel_agreements.detail", "agreement_id"),
    "deliver": ("panel_envelopes.detail", "envelope_id"),
    "read": ("panel_inbound.detail", "file_id"),
}


class JobsView(TableView):
    """Byrå - Utboks. Shows topics, ids and errors only, so it is not cut by creditor."""

    key = "jobs"
    model_class = Task

    @page("/")
    def index_view(self) -> str:
        """Show the list and the processes' signs of life."""
        tab = request.args.get("tab", TABS[0])
        tab = tab if tab in TABS else TABS[0]
        query = select(*Task.__table__.columns).where(Task.state.in_(_STATES[tab]))
        with self.house.database.read() as connection:
            found = slice_of(connection, query, Task.id, request.args)
            beats = list(connection.execute(select(*Heartbeat.__table__.columns).order_by(Heartbeat.name)))
        return self.render_list(
            "panel/jobs.html",
            found,
            tab=tab,
            beats=beats,
            pills=TASK,
            name_of=_name_of,
            place_of=_place_of,
            tabs=[
                (text(language(), f"jobs.tab_{name}"), address(tab=name, before=None, after=None), name == tab, None)
                for name in TABS
            ],
        )

    @act("/<id:task_id>/retry", "retry")
    def retry(self, task_id: int) -> Response:
        """Make a failed or stopped task due again. A delivery in doubt is cleared up on its envelope, never re-sent from here."""
        query = select(Task.topic, Task.state).where(Task.id == task_id)
        with self.house.database.read() as connection:
            row: Any = not_found_unless(connection.execute(query).one_or_none())
        if row.state not in {"failed", "stopped"}:
            raise DataError(text(language(), "jobs.not_retried"))
        tasks.retry(self.house, task_id, person().email)
        done("jobs.retried")
        return go_back(self)


def _name_of(row: Any) -> str:
    key = f"jobs.topic_{row.topic}"
    return text(language(), key, ref=row.ref_id) if key in catalogue() else f"{row.topic} {row.ref_id}"


def _place_of(row: Any) -> str:
    endpoint, argument = _PLACES.get(row.topic, ("", ""))
    values: dict[str, Any] = {argument: row.ref_id}
    return url_for(endpoint, **values) if endpoint else ""
