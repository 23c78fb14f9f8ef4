"""What machines talk to: REST API, webhooks, health, metrics."""

from __future__ import annotations

from flask import Flask

from gateway.queueing import connect, ping
from gateway.services.house import House
from gateway.web.api import api_blueprint
from gateway.web.health import health_blueprint
from gateway.web.metrics import metrics_blueprint
from gateway.web.webhooks import webhook_blueprint


def register_web(app: Flask, house: House) -> None:
    """Give *app* the REST API, the webhooks, health and metrics; sizes, queue and token come from its configuration."""
    max_bytes: int = app.config["MAX_CONTENT_LENGTH"]
    queue = connect(app.config["KRAVPORT_REDIS_URL"])
    app.register_blueprint(api_blueprint(house, max_bytes))
    app.register_blueprint(webhook_blueprint(house, max_bytes))
    app.register_blueprint(health_blueprint(house, lambda: ping(queue)))
    app.register_blueprint(metrics_blueprint(house, lambda: ping(queue), app.config["KRAVPORT_METRICS_TOKEN"]))
