"""What every page has: menu, switches, formats and the nonce of its content policy."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from flask import g, request
from flask_security import current_user
from markupsafe import Markup

from admin import present
from admin.access import Person, may, may_open, person
from admin.language import language
from admin.texts import LANGUAGES, counted, text
from gateway.domain import reasons
from gateway.formats.view.model import place_told


@dataclass(frozen=True, slots=True)
class Place:
    """One line of the menu: page, icon, and whether it is among the five at the foot of a small screen."""

    key: str
    icon: str
    is_main: bool = False


MENU: Mapping[str, tuple[Place, ...]] = {
    "": (Place("today", "today", is_main=True),),
    "economy": (Place("invoices", "invoice", is_main=True), Place("payments", "bank", is_main=True)),
    "crm": (Place("customers", "person", is_main=True),),
    "agency": (
        Place("agreements", "agreement"),
        Place("envelopes", "envelope", is_main=True),
        Place("inbound", "quarantine"),
        Place("jobs", "sent"),
    ),
    "firm": (Place("factoring", "settings"), Place("audit", "audit")),
}
"""Sections and places, in the order of the systems people know (design/panel/today.html)."""


def nonce() -> str:
    """Return the nonce of this request's content policy."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(18)
    return str(g.csp_nonce)


def context() -> dict[str, Any]:
    """Return what templates may use, in the language of the page."""
    spoken = language()
    zone = _zone()
    return {
        "lang": spoken,
        "languages": LANGUAGES,
        "csp_nonce": nonce(),
        "t": lambda key, **values: text(spoken, key, **values),
        "tn": lambda key, n, **values: counted(spoken, key, n, **values),
        "amount": lambda minor, currency: present.amount(minor, currency, spoken),
        "money": lambda minor, currency: present.amount(minor, currency, spoken, with_currency=True),
        "day": lambda value: present.day(_as_date(value), spoken),
        "moment": lambda value, of=zone: present.moment(value, spoken, of),
        "hour": lambda value, of=zone: present.time_of_day(value, of),
        "size": lambda octets: present.size(octets, spoken),
        "reason": sentence,
        "place_told": lambda place: place_told(place, spoken),
        "reason_do": lambda code, values=None: reasons.remedy(code, spoken, shown_values(values or {})),
        "icon": icon,
        "may": may,
        "may_open": may_open,
        "me": person() if current_user.is_authenticated else None,
        "menu": _menu,
        "here": request.full_path.rstrip("?"),
        "zone": zone,
    }


def sentence(code: str, values: Mapping[str, object] | None = None) -> str:
    """Return a reason's sentence in the page's language, with dates as that language writes them."""
    return reasons.sentence(code, language(), shown_values(values or {}))


def shown_values(values: Mapping[str, object]) -> dict[str, object]:
    """Return the values of a sentence as a person reads them: ISO dates and moments become the language's own."""
    return {name: _shown(value) for name, value in values.items()}


def _shown(value: object) -> object:
    found = _as_date(value) if isinstance(value, str | date) else None
    return present.day(found, language()) if found is not None else value


def _as_date(value: object) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return datetime.fromisoformat(value).date() if isinstance(value, str) and len(value) >= 10 else None
    except ValueError:
        return None


def icon(name: str, kind: str = "i") -> Markup:
    """Return an icon of the sprite; what it means stands beside it in words, or as ``aria-label`` around it."""
    return Markup('<svg class="{}" aria-hidden="true"><use href="#i-{}"/></svg>').format(kind, name)


def _menu() -> list[tuple[str, list[Place]]]:
    shown = ((section, [place for place in places if may_open(place.key)]) for section, places in MENU.items())
    return [(section, places) for section, places in shown if places]


def _zone() -> str:
    """Return the time zone for moments that belong to no creditor in particular: the chosen creditor's, else the first's."""
    if not current_user.is_authenticated:
        return "UTC"
    reader: Person = person()
    return reader.in_view[0].time_zone if reader.in_view else "UTC"
