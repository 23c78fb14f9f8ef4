"""Puts the panel into a Flask application: security first, then log-in, then the pages."""

from __future__ import annotations

import hashlib
import logging
import secrets
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Flask, Response, g, redirect, render_template, request, url_for
from flask_admin import Admin
from flask_admin.theme import Bootstrap4Theme
from flask_babel import Babel
from flask_security import current_user
from flask_wtf import CSRFProtect
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException
from werkzeug.routing import IntegerConverter, Map
from werkzeug.wrappers import Response as BaseResponse

from admin import shell
from admin.language import language
from admin.login import register_login
from admin.plans import Plans
from admin.texts import text
from admin.views import INDEX, VIEWS
from admin.views.choices import strangers_language
from gateway.errors import ConfigurationError, NotFound, PluginError
from gateway.services.house import House

PANEL_URL = "/panel"
OPEN_TO_MACHINES = ("/api/", "/webhooks/")
"""Paths without a browser's cookies: they authenticate every request by a key or signature, so no token is asked."""
FORM_BYTES_MAX = 1 << 20
FORM_PARTS_MAX = 1000
ID_MAX = 2**63 - 1
STATIC_SECONDS = 31_536_000
_log = logging.getLogger("kravport.panel")


def register_panel(app: Flask, house: House, *, secret_key: str, is_https: bool = False) -> None:
    """Give *app* the panel under ``/panel/`` with ``/login`` and ``/logout``.

    Application-wide it also switches on: session cookies that scripts and other sites cannot use, a token on every
    changing request outside `OPEN_TO_MACHINES`, and strict headers on every answer that does not set its own.

    Args:
        app: the application, with no extension of the same names registered yet.
        house: what services need.
        secret_key: signs sessions and tokens; the same for all web processes (``KRAVPORT_SECRET_KEY``).
        is_https: the browser reaches us by https; cookies are then sent on nothing else.

    Raises:
        ConfigurationError: *secret_key* is too short to be a secret.
    """
    if len(secret_key) < 32:
        raise ConfigurationError("the panel needs a secret key of at least 32 characters")
    # The key for cookies is derived, so that a leaked cookie signature says nothing about stored secrets.
    app.config["SECRET_KEY"] = hashlib.sha256(b"kravport sessions" + secret_key.encode()).hexdigest()
    app.config.setdefault("WTF_CSRF_TIME_LIMIT", None)
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    _guard(app, is_https=is_https)
    Babel(app, locale_selector=language)
    register_login(app, house, is_https=is_https)
    app.extensions["kravport_plans"] = Plans(house)
    app.extensions["kravport_house"] = house
    app.context_processor(shell.context)
    app.register_blueprint(_assets())
    _add_pages(app, house)
    _answer_errors(app)


class _IdConverter(IntegerConverter):
    """An id in an address. More than the database can hold is no address of ours, not an error of the database."""

    def __init__(self, url_map: Map) -> None:
        super().__init__(url_map, max=ID_MAX)


def _add_pages(app: Flask, house: House) -> None:
    app.url_map.converters["id"] = _IdConverter
    theme = Bootstrap4Theme(swatch="default", base_template="panel/base.html")
    index = INDEX(house)
    panel = Admin(app, name="Kravport", theme=theme, index_view=index, url=PANEL_URL, csp_nonce_generator=shell.nonce)
    panel.add_views(*(view(house) for view in VIEWS))

    def front() -> BaseResponse:
        return redirect(url_for("panel_today.index_view"))

    app.add_url_rule("/", "front", front)
    app.add_url_rule(f"{PANEL_URL}/language", "panel_language", strangers_language, methods=["POST"])
    app.add_url_rule(PANEL_URL, "panel_front", front)


# --- assets ----------------------------------------------------------------------------------------------------------


def _assets() -> Blueprint:
    assets = Blueprint(
        "panel_assets", __name__, static_folder="static", static_url_path="/assets", template_folder="templates"
    )
    assets.add_app_template_global(asset_url, "asset_url")
    assets.add_app_template_global(sprite, "sprite")
    return assets


@cache
def _fingerprint(name: str) -> str:
    return hashlib.sha256(resources.files("admin").joinpath("static", name).read_bytes()).hexdigest()[:12]


def asset_url(name: str) -> str:
    """Return the address of a file in ``admin/static``; it changes with the file, so browsers may keep it for good."""
    return url_for("panel_assets.static", filename=name, v=_fingerprint(name))


@cache
def sprite() -> str:
    """Return the icon sheet, which every page holds once."""
    return resources.files("admin").joinpath("static", "icons.svg").read_text(encoding="utf-8")


# --- guards ----------------------------------------------------------------------------------------------------------


def _guard(app: Flask, *, is_https: bool) -> None:
    csrf = CSRFProtect(app)

    def protect() -> None:
        g.csp_nonce = secrets.token_urlsafe(18)
        if not request.path.startswith(OPEN_TO_MACHINES):
            request.max_form_parts = FORM_PARTS_MAX
            request.max_content_length = FORM_BYTES_MAX
            csrf.protect()

    def headers(response: Response) -> Response:
        for name, value in _headers(is_https=is_https).items():
            response.headers.setdefault(name, value)
        if request.endpoint == "panel_assets.static" and request.args.get("v"):
            response.headers["Cache-Control"] = f"public, max-age={STATIC_SECONDS}, immutable"
        elif request.path.startswith((PANEL_URL, "/login")):
            response.headers["Cache-Control"] = "no-store"
        return response

    app.before_request(protect)
    app.after_request(headers)


def _headers(*, is_https: bool) -> dict[str, str]:
    nonce = shell.nonce()
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self'; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    found = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if is_https:
        found["Strict-Transport-Security"] = "max-age=31536000"
    return found


# --- errors ----------------------------------------------------------------------------------------------------------


def _answer_errors(app: Flask) -> None:
    app.register_error_handler(CSRFError, _stale_form)
    app.register_error_handler(NotFound, _no_such_thing)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(PluginError, _plugin_error)
    app.register_error_handler(Exception, _unforeseen)


def _is_ours() -> bool:
    return request.path.startswith((PANEL_URL, "/login", "/logout")) or request.path == "/"


def _http_error(error: HTTPException) -> Any:
    if not _is_ours() or error.response is not None or (error.code or 500) < 400:
        return error
    if error.code == 401:
        return redirect(f"/login?next={quote(request.path)}")
    return _error_page(error.code or 500)


def _no_such_thing(_error: NotFound) -> Any:
    return _error_page(404) if _is_ours() else Response('{"error": "not_found"}', 404, mimetype="application/json")


def _stale_form(error: CSRFError) -> Any:
    if not _is_ours():
        return error
    return _error_page(400, text(language(), "error.stale_form"))


def _plugin_error(error: PluginError) -> Any:
    """Say which plugin did what: whoever operates it can mend it, and nothing else is broken (P18)."""
    if not _is_ours():
        return _unforeseen(error)
    _log.warning("plugin at %s %s: %s", request.method, request.path, error)
    return _error_page(500, text(language(), "error.plugin", reason=str(error)))


def _unforeseen(error: Exception) -> Any:
    """Show a number instead of a stack trace, and log both under it."""
    number = secrets.token_hex(4).upper()
    _log.exception("error %s at %s %s", number, request.method, request.path, exc_info=error)
    if not _is_ours():
        return Response(f'{{"error": "internal", "number": "{number}"}}', 500, mimetype="application/json")
    return _error_page(500, text(language(), "error.internal", number=number))


def _error_page(code: int, said: str = "") -> tuple[str, int]:
    known = code if code in {400, 403, 404, 413} else 500
    said = said or text(language(), f"error.http_{known}")
    is_in = bool(current_user.is_authenticated)
    return render_template("panel/error.html", code=code, said=said, is_in=is_in), code
