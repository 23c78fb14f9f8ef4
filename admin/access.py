"""Who may see and do what: one table, deny by default (P19).

A page or an act that stands in no row is open to nobody. A bookkeeper or operator sees the creditors given to that
person, an admin sees all; what belongs to another creditor does not exist for the reader (404).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from flask import abort
from flask_security import RoleMixin, UserMixin, current_user

BOOKKEEPER, ADMIN, OPERATOR = "bookkeeper", "admin", "operator"
_BOOKS = frozenset({BOOKKEEPER, ADMIN})
_MACHINE = frozenset({ADMIN, OPERATOR})
_ALL = frozenset({BOOKKEEPER, ADMIN, OPERATOR})

READERS: Mapping[str, frozenset[str]] = {
    "today": _ALL,
    "find": _BOOKS,
    "invoices": _BOOKS,
    "payments": _BOOKS,
    "customers": _BOOKS,
    "agreements": _ALL,
    "envelopes": _ALL,
    "inbound": _ALL,
    "jobs": _MACHINE,
    "factoring": _BOOKS,
    "audit": _ALL,
    "choices": _ALL,
}
"""Page → roles that may open it."""

DOERS: Mapping[str, frozenset[str]] = {
    "mark": _BOOKS,
    "link": _BOOKS,
    "post": _BOOKS,
    "correct": _BOOKS,
    "choose": _ALL,
    "agree": frozenset({ADMIN}),
    "load": frozenset({ADMIN}),
    "resend": _MACHINE,
    "read_again": _MACHINE,
    "retry": _MACHINE,
    "verify": _ALL,
}
"""Act → roles that may do it. Every changing route names exactly one act."""


class PanelRole(RoleMixin):
    """A role as Flask-Security wants it."""

    permissions = None

    def __init__(self, name: str) -> None:
        self.name = name


@dataclass(frozen=True, slots=True)
class Tenant:
    """A creditor as the panel shows it."""

    id: int
    key: str
    name: str
    organisation_number: str
    country: str
    currency: str
    time_zone: str


@dataclass(eq=False)
class Person(UserMixin):
    """The person at the keyboard: one reading of the account per request, detached from the database."""

    id: int
    email: str
    name: str
    password: str
    active: bool
    fs_uniquifier: str
    language: str
    preferences: dict[str, Any]
    roles: list[RoleMixin]
    tenants: tuple[Tenant, ...] = field(default=())

    @property
    def role_names(self) -> frozenset[str]:
        """The names of the person's roles."""
        return frozenset(role.name for role in self.roles)

    @property
    def chosen(self) -> Tenant | None:
        """The one creditor the person has chosen to look at, or None for all."""
        return next((tenant for tenant in self.tenants if tenant.id == self.preferences.get("creditor")), None)

    @property
    def in_view(self) -> tuple[Tenant, ...]:
        """The creditors whose rows the lists show now."""
        chosen = self.chosen
        return (chosen,) if chosen else self.tenants


# A property defined on the class satisfies Flask-Security's wish for the attribute at load time.
Person.fs_uniquifier = ""


def person() -> Person:
    """Return who is logged in; 401 where nobody is."""
    if not current_user.is_authenticated:
        abort(401)
    return cast("Person", current_user._get_current_object())  # noqa: SLF001  # what the proxy stands for


def may_open(page: str) -> bool:
    """Return whether the person may open *page*."""
    return _is_in() and bool(READERS.get(page, frozenset()) & person().role_names)


def may(act: str) -> bool:
    """Return whether the person may do *act*."""
    return _is_in() and bool(DOERS.get(act, frozenset()) & person().role_names)


def tenant(creditor_id: int) -> Tenant:
    """Return a creditor the person may see; 404 for any other, as if it did not exist."""
    known = next((known for known in person().tenants if known.id == creditor_id), None)
    return known or abort(404)


def tenant_ids(tenants: Sequence[Tenant]) -> tuple[int, ...]:
    """Return the ids of *tenants*."""
    return tuple(known.id for known in tenants)


def _is_in() -> bool:
    return bool(current_user.is_authenticated and current_user.is_active)
