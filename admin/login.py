"""Log-in: Flask-Security's views and sessions over our own table of people (docs/adr/0020-login.md).

The library never writes: password check, lock-out and every change of an account are services
(`gateway.services.people`), so the rule that one module commits holds here as well.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Flask, redirect, url_for
from flask_security import LoginForm, Security, UserDatastore
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload
from werkzeug.wrappers import Response as BaseResponse

from admin.access import ADMIN, PanelRole, Person, Tenant
from admin.language import language
from admin.texts import text
from gateway.db.tables import Creditor, Role, User
from gateway.services import people
from gateway.services.house import House

SESSION_HOURS = 12
"""A working day: long enough not to interrupt the morning, short enough that an open machine is not open for good."""


def register_login(app: Flask, house: House, *, is_https: bool) -> None:
    """Give *app* ``/login`` (GET, POST) and ``/logout`` (POST), and find the person of each request."""
    app.config.update(
        PERMANENT_SESSION_LIFETIME=timedelta(hours=SESSION_HOURS),
        REMEMBER_COOKIE_HTTPONLY=True,
        REMEMBER_COOKIE_SAMESITE="Lax",
        REMEMBER_COOKIE_SECURE=is_https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_NAME="__Host-kravport" if is_https else "kravport",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=is_https,
        SECURITY_API_ENABLED_METHODS=["session"],
        SECURITY_CSRF_COOKIE={"samesite": "Strict", "httponly": False, "secure": is_https},
        SECURITY_EMAIL_VALIDATOR_ARGS={"check_deliverability": False},
        SECURITY_FLASH_MESSAGES=False,
        SECURITY_LOGIN_USER_TEMPLATE="panel/login.html",
        SECURITY_PASSWORD_HASH="argon2",  # noqa: S106  # the name of an algorithm
        SECURITY_PASSWORD_SALT=app.config["SECRET_KEY"],
        SECURITY_POST_LOGIN_VIEW="/panel/",
        SECURITY_POST_LOGOUT_VIEW="/login",
        SECURITY_REDIRECT_ALLOW_SUBDOMAINS=False,
        SECURITY_USE_REGISTER_V2=True,
    )
    security = Security(app, _People(house), login_form=_login_form(house))
    security.unauthn_handler(_to_login)
    # The library would also take bearer tokens; the panel knows cookies only, the API has keys of its own.
    security.login_manager.request_loader(lambda _request: None)


def _to_login(_mechanisms: object = None, _headers: object = None) -> BaseResponse:
    return redirect(url_for("security.login"))


class _People(UserDatastore):
    """Reads people for the library; what it would write through here does not exist."""

    def __init__(self, house: House) -> None:
        super().__init__(Person, PanelRole)
        self._house = house

    def find_user(self, case_insensitive: bool = False, **kwargs: Any) -> Person | None:  # noqa: ARG002  # addresses are kept in lower case
        """Return the person whose ``fs_uniquifier``, ``email`` or ``id`` is the one given, or None."""
        (name, value), *_ = kwargs.items()
        if name not in {"fs_uniquifier", "email", "id"}:
            return None
        value = value.strip().lower() if name == "email" else value
        with self._house.database.session() as session:
            query = select(User).options(selectinload(User.roles), selectinload(User.creditors))
            user = session.scalars(query.where(getattr(User, name) == value)).one_or_none()
            return _person(session, user) if user is not None else None

    def find_role(self, role: str) -> PanelRole | None:
        """Return the role called *role*, or None."""
        with self._house.database.session() as session:
            known = session.scalars(select(Role).where(Role.name == role)).one_or_none()
            return PanelRole(known.name) if known is not None else None

    def commit(self) -> None:
        """Do nothing: there is nothing of the library's to commit."""

    def put(self, model: Any) -> Any:  # noqa: ARG002  # nothing is taken
        """Refuse: accounts are changed by `gateway.services.people` alone."""
        raise TypeError("accounts are changed by gateway.services.people")

    delete = put


def _person(session: Session, user: User) -> Person:
    names = [role.name for role in user.roles]
    creditors = (
        list(session.scalars(select(Creditor).order_by(Creditor.name))) if ADMIN in names else list(user.creditors)
    )
    return Person(
        id=user.id,
        email=user.email,
        name=user.name,
        password=user.password,
        active=user.active,
        fs_uniquifier=user.fs_uniquifier,
        language=user.language,
        preferences=dict(user.preferences),
        roles=[PanelRole(name) for name in names],
        tenants=tuple(
            Tenant(c.id, c.key, c.name, c.organisation_number, c.country, c.currency, c.time_zone)
            for c in sorted(creditors, key=lambda creditor: creditor.name.casefold())
        ),
    )


def _login_form(house: House) -> type[LoginForm]:
    class PanelLoginForm(LoginForm):
        """Address and password; says the same whatever is wrong."""

        def validate(self, **_kwargs: Any) -> bool:
            self.user = None
            email, password = str(self.email.data or "")[:254], str(self.password.data or "")[:1024]
            user_id = people.authenticate(house, email, password) if email and password else None
            if user_id is not None:
                self.user = _People(house).find_user(id=user_id)
                return True
            self.form_errors.append(text(language(), "login.failed"))
            return False

    return PanelLoginForm
