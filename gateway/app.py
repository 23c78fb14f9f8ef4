"""The composition root: settings become a house, a house becomes a web application. Nothing else builds either."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from gateway import clock
from gateway.agencies import Agencies
from gateway.config import Settings
from gateway.db import schema
from gateway.db.uow import Database
from gateway.queueing import Bell, embedded_url
from gateway.secretbox import SecretBox
from gateway.services.house import House

if TYPE_CHECKING:
    from flask import Flask


def redis_url(settings: Settings) -> str:
    """Return the address of the queue server in use: the one given, else that of the embedded one."""
    return settings.redis_url or embedded_url(settings.home)


WEB_PATIENCE = timedelta(seconds=10)
"""How long a person or a program waits for books that are being worked on, before it is told to come again."""
MAIN_LANE_PATIENCE = timedelta(milliseconds=300)
"""How long a worker's main lane does: others' evenings wait behind it. Longer than a small file's or a person's change."""


def open_house(settings: Settings, *, migrates: bool | None = None, patience: timedelta | None = None) -> House:
    """Build the house of this process.

    Args:
        settings: of this installation.
        migrates: bring the schema up to date first; by default in the embedded mode only, because in production
            several machines share the database and a person decides when it changes.
        patience: how long a transaction waits for rows of another (`Database`); by default until that one ends.

    Raises:
        ConfigurationError: no secret key, or a schema of another version.
    """
    key = settings.effective_secret_key()
    database = Database(settings.effective_database_url, patience)
    if settings.has_embedded_database if migrates is None else migrates:
        schema.upgrade(database)
    schema.require_current(database)
    return House(
        database=database,
        agencies=Agencies.load(own=settings.effective_profiles),
        secrets=SecretBox(key),
        ring=Bell(redis_url(settings)).ring,
        now=clock.now,
    )


def create_app(house: House | None = None, settings: Settings | None = None) -> Flask:
    """Return the web application: REST API, webhooks, health and metrics, panel.

    Without arguments everything comes from the environment, as ``wsgi.py`` wants it. Cookies, headers, tokens and
    error pages of the whole application are the panel's (`admin.register_panel`).
    """
    # Workers, the scheduler and every command need the house and never the panel, which takes a second to import.
    from flask import Flask  # noqa: PLC0415
    from werkzeug.middleware.proxy_fix import ProxyFix  # noqa: PLC0415

    from admin import register_panel  # noqa: PLC0415
    from gateway.web import register_web  # noqa: PLC0415

    settings = settings or Settings.from_environment()
    house = house or open_house(settings, patience=WEB_PATIENCE)
    app = Flask("gateway", static_folder=None)
    app.config.update(
        MAX_CONTENT_LENGTH=settings.max_upload_bytes,
        TRUSTED_HOSTS=[*settings.trusted_hosts, settings.host],
        KRAVPORT_REDIS_URL=redis_url(settings),
        KRAVPORT_METRICS_TOKEN=settings.metrics_token,
    )
    if settings.https:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)  # type: ignore[method-assign]  # as Flask documents it
    register_web(app, house)
    register_panel(app, house, secret_key=settings.effective_secret_key(), is_https=settings.https)
    return app
