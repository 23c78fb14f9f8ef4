"""A web application on a real house, and a client that holds every exchange against the OpenAPI document."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import jsonschema
import pytest
from flask import Flask
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from sqlalchemy import insert

from gateway.db.tables import Agreement
from gateway.services import agreements, creditors
from gateway.web.api import api_blueprint
from gateway.web.health import health_blueprint
from gateway.web.openapi import BYTES, NDJSON, PREFIX, openapi_document
from gateway.web.webhooks import webhook_blueprint

MAX_BYTES = 4 << 20


def make_app(house, **limits):
    app = Flask(__name__)
    app.register_blueprint(api_blueprint(house, limits.get("bulk", MAX_BYTES)))
    app.register_blueprint(webhook_blueprint(house, limits.get("webhook", MAX_BYTES)))
    app.register_blueprint(health_blueprint(house, lambda: True))
    return app


class Contract:
    """The OpenAPI document as a judge."""

    def __init__(self) -> None:
        document = json.loads(json.dumps(dict(openapi_document())))
        self.paths = document["paths"]
        self._registry = Registry().with_resource("urn:doc", Resource(document, DRAFT202012))

    def operation(self, method: str, path: str):
        bare = path.split("?", maxsplit=1)[0]
        for template, operations in sorted(self.paths.items(), key=lambda item: item[0].count("{")):
            pattern = re.sub(r"\{\w+\}", ".+", template)
            if re.fullmatch(pattern, bare) and method.lower() in operations:
                return operations[method.lower()]
        raise AssertionError(f"{method} {path} is not in the OpenAPI document")

    def check(self, schema, value) -> None:
        absolute = json.loads(json.dumps(schema).replace('"#/', '"urn:doc#/'))
        jsonschema.Draft202012Validator(absolute, registry=self._registry).validate(value)


CONTRACT = Contract()


class Api:
    """Calls the API as one key; every answer, and every body that was taken, must be as the document says."""

    def __init__(self, app: Flask, key: str) -> None:
        self._client, self._key = app.test_client(), key

    def __call__(self, method: str, path: str, value=None, *, body=None, media_type="application/json", **headers):
        content = json.dumps(value).encode() if body is None and value is not None else body
        given = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        given |= {name.replace("_", "-"): text for name, text in headers.items()}
        if content is not None:
            given["Content-Type"] = media_type
        answer = self._client.open(PREFIX + path, method=method, data=content, headers=given)
        self._check(method, path, content, media_type, answer)
        return answer

    def _check(self, method, path, content, media_type, answer) -> None:
        operation = CONTRACT.operation(method, PREFIX + path)
        expected = operation["responses"][str(answer.status_code)]["content"]
        CONTRACT.check(expected[answer.mimetype]["schema"], answer.get_json(force=True))
        if answer.status_code < 300 and content is not None:
            schema = operation["requestBody"]["content"][media_type]["schema"]
            if media_type == BYTES:
                return
            for line in content.splitlines() if media_type == NDJSON else [content]:
                CONTRACT.check(schema, json.loads(line))


class World:
    """Two creditors with keys, in one application."""

    def __init__(self, house) -> None:
        self.house, self.app = house, make_app(house)
        self.fjord = self._creditor("fjord", "974760673")
        self.other = self._creditor("other", "923609016")
        self.api = self.api_of(self.fjord)
        self.others_api = self.api_of(self.other)

    def _creditor(self, key: str, number: str) -> int:
        return creditors.add_creditor(
            self.house, key=key, name=f"{key} AS", organisation_number=number, country="NO", currency="NOK",
            time_zone="Europe/Oslo", actor="test",
        )  # fmt: skip

    def api_of(self, creditor_id: int, scopes=("ledger:read", "ledger:write")) -> Api:
        return Api(self.app, creditors.add_api_key(self.house, creditor_id, "accounting", scopes, "test"))

    def agreement(self, agency_key: str = "lowell", *, secret: str = "", state: str = "active") -> tuple[int, str]:
        """Return (id, webhook token) of an agreement; it is put there directly, since no agency plugin is asked here."""
        with self.house.database.write() as connection:
            agreement_id = connection.execute(
                insert(Agreement)
                .values(
                    creditor_id=self.fjord, agency_key=agency_key, display_name=agency_key.title(), service="ledger",
                    client_number="0042", market="NO", currency="NOK", profile="x", state=state,
                    created_at=self.house.now(),
                )
                .returning(Agreement.id)
            ).scalar_one()  # fmt: skip
        if secret:
            agreements.set_secret(self.house, agreement_id, "webhook_secret", secret, "test")
        return agreement_id, agreements.new_webhook_token(self.house, agreement_id, "test")


@pytest.fixture
def world(sqlite_house):
    return World(sqlite_house)


CUSTOMER = {
    "customer_number": "10001",
    "kind": "company",
    "name": "Kunde og Sønn AS",
    "organisation_number": "971526920",
    "address1": "Fjordveien 7",
    "postcode": "5003",
    "city": "Bergen",
    "country": "NO",
}
INVOICE = {
    "customer": "c-1",
    "number": "1001",
    "amount": "1250.00",
    "currency": "NOK",
    "booked": "2026-11-02",
    "due": "2026-11-16",
    "payment_reference": "2345676",
}
PAYMENT = {"customer": "c-1", "amount": "250.00", "currency": "NOK", "booked": "2026-11-10", "is_bank": True}


def path_of(segment: str, external_id: str) -> str:
    return f"/{segment}/{quote(external_id, safe='')}"
