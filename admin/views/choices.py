"""What a person chooses for itself: creditor shown, language, theme, density, columns."""

from __future__ import annotations

from typing import Any

from flask import abort, redirect, request, session
from werkzeug.wrappers import Response

from admin.access import person, tenant
from admin.base import PanelView, act, go_back, page
from admin.language import SESSION_KEY
from admin.texts import LANGUAGES
from gateway.services import people

_VALUES = {
    "theme": {"system", "light", "dark"},
    "density": {"comfortable", "compact"},
    "column_flag": {"shown", "hidden"},
}


class ChoicesView(PanelView):
    """Remembers choices with the account."""

    key = "choices"

    @page("/")
    def index_view(self) -> Response:
        """Lead a stray reader on: choices are made in the bar at the top."""
        return redirect("/panel/")

    @act("/<name>", "choose")
    def choose(self, name: str) -> Response:
        """Remember the value of one choice; 400 for a value that cannot be chosen."""
        value, me = request.form.get("value", ""), person()
        if name == "language" and value in LANGUAGES:
            people.set_language(self.house, me.id, value)
        elif name == "creditor":
            known = tenant(int(value)) if value.isdecimal() else None
            people.set_preference(self.house, me.id, "creditor", known.id if known else None)
        elif value in _VALUES.get(name, set()):
            people.set_preference(self.house, me.id, name, value)
        else:
            abort(400)
        return go_back(self)


def strangers_language() -> Any:
    """Remember the language of somebody who has not logged in yet."""
    value = request.form.get("value", "")
    if value not in LANGUAGES:
        abort(400)
    session[SESSION_KEY] = value
    return redirect("/login")
