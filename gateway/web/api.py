"""The REST API: ledger in, its state out. One creditor per key; a record arrives as often as it likes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from flask import Blueprint, Response, g, jsonify, request
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from gateway.accounting.files import finding_as_dict
from gateway.accounting.jsonlines import read_records
from gateway.accounting.records import decode_record, loads_strict
from gateway.domain.ledger import LedgerRecord
from gateway.services import creditors, inbound
from gateway.services.creditors import ApiCaller
from gateway.services.entries import SOURCE as OWN_SOURCE
from gateway.services.house import House
from gateway.services.ingest import IngestResult, ingest
from gateway.web import reading
from gateway.web.agency import AgencyViews
from gateway.web.once import Keep, once
from gateway.web.openapi import (
    BYTES,
    LIMIT_DEFAULT,
    LIMIT_MAX,
    NDJSON,
    OPERATIONS,
    PREFIX,
    SOURCE_DEFAULT,
    SOURCE_PATTERN,
    Operation,
    openapi_document,
)
from gateway.web.problems import Problem, answer_with_problems
from gateway.web.spool import sent_filename, spooled

RECORD_BYTES_MAX = 1 << 20
"""Body of one record: a link of ten thousand entries fits."""

BULK_BYTES_MAX = 512 << 20
"""Body of a bulk load: about a million and a half lines; the operator's own limit of the server may be lower."""

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def api_blueprint(house: House, max_bytes: int = BULK_BYTES_MAX) -> Blueprint:
    """Return the REST API under ``/api/v1``, with its OpenAPI document at ``/api/v1/openapi.json``.

    Every operation needs a key (``Authorization: Bearer kp_…``) with the operation's scope and sees that key's creditor
    only; no cookie is looked at, so no token against forged forms is needed.

    Args:
        house: the house.
        max_bytes: largest bulk load.
    """
    blueprint = Blueprint("api", __name__, url_prefix=PREFIX)
    answer_with_problems(blueprint)
    views = _Views(house, max_bytes)
    for operation in OPERATIONS:
        rule = re.sub(r"\{(\w+)\}", r"<path:\1>", operation.path)
        view = _guarded(house, operation, getattr(views, operation.view))
        blueprint.add_url_rule(rule, operation.operation_id, view, methods=[operation.method])
    blueprint.add_url_rule("/openapi.json", "openapi", lambda: jsonify(openapi_document()))
    # Without this the application would answer for addresses nobody knows, with a page for people.
    blueprint.add_url_rule("/<path:rest>", "nothing", _nothing, methods=_METHODS)
    return blueprint


def _nothing(rest: str) -> Response:
    """Answer for an address without an operation, or with operations of other methods only."""
    shapes = ((operation, re.sub(r"\{\w+\}", ".+", operation.path)) for operation in OPERATIONS)
    allowed = sorted({operation.method for operation, shape in shapes if re.fullmatch(shape, f"/{rest}")})
    if not allowed:
        raise Problem("request.not_found")
    response = Problem("request.method", f"possible here: {', '.join(allowed)}").response()
    response.headers["Allow"] = ", ".join(allowed)
    return response


def _guarded(house: House, operation: Operation, view: Callable[..., Response]) -> Callable[..., Response]:
    def guarded(**path: str) -> Response:
        g.caller = _caller(house, operation.scope)
        if any("\0" in one for one in path.values()):  # no id has it, and no database could look for it
            raise Problem("request.not_found")
        return view(operation, **path)

    return guarded


def _caller(house: House, scope: str) -> ApiCaller:
    """Return who calls. A wrong key and no key get the same answer; a key of too little scope another."""
    kind, _, key = request.headers.get("Authorization", "").partition(" ")
    caller = creditors.find_api_key(house, key.strip()) if kind.lower() == "bearer" else None
    if caller is None:
        raise Problem("key.missing")
    if scope not in caller.scopes:
        raise Problem("key.scope", f"the key {caller.name!r} lacks the scope {scope}")
    return caller


class _Views(AgencyViews):
    """What the operations do; each is named in the table of operations."""

    def __init__(self, house: House, max_bytes: int) -> None:
        self._house, self._max_bytes = house, max_bytes

    def put(self, operation: Operation, external_id: str) -> Response:
        return self._one(operation, external_id)

    def post(self, operation: Operation) -> Response:
        return self._one(operation, "")

    def _one(self, operation: Operation, external_id: str) -> Response:
        _demand_type("application/json")
        with spooled(RECORD_BYTES_MAX) as body:
            content, sha256 = body.content.read(), body.sha256

        def work(keep: Keep) -> Response:
            record = decode_record(loads_strict(content), operation.record_type, external_id)
            return self._ingest(lambda: iter([("body", record)]), lambda result: _taken(record, result), keep)

        return once(self._house, g.caller, sha256, work)

    def bulk(self, _: Operation) -> Response:
        _demand_type(NDJSON)
        with spooled(self._max_bytes) as body:
            content, sha256 = body.content, body.sha256

            def records() -> Iterator[tuple[str, LedgerRecord]]:
                content.seek(0)
                return read_records(content)

            def work(keep: Keep) -> Response:
                return self._ingest(records, lambda result: _bulk_taken(sha256, result), keep)

            return once(self._house, g.caller, sha256, work)

    def take_bank_file(self, _: Operation) -> Response:
        _demand_type(BYTES)
        with spooled(self._max_bytes) as body:
            if not body.size:
                raise Problem("request.invalid", "the body is empty")
            name = sent_filename("bank-file")
            stored = inbound.store_own(self._house, g.caller.creditor_id, "api", name, body.content)
        answer = {"inbound_file_id": str(stored.inbound_file_id), "duplicate": not stored.is_new}
        response = jsonify(answer | {"sha256": stored.sha256})
        response.status_code = 202 if stored.is_new else 200
        return response

    def get_invoice(self, _: Operation, external_id: str) -> Response:
        source = _source(request.args.get("source", SOURCE_DEFAULT))
        return jsonify(reading.invoice(self._house.database, g.caller.creditor_id, source, external_id))

    def list_invoices(self, _: Operation) -> Response:
        is_open = {"": None, "true": True, "false": False}
        page = _page() | {"is_open": is_open[_choice("open", *is_open)]}
        return jsonify(reading.invoices(self._house.database, g.caller.creditor_id, **page))

    def list_payments(self, _: Operation) -> Response:
        page = _page() | {"state": _choice("state", "", "proposed", "unmatched", "posted", "ignored")}
        return jsonify(reading.incoming_payments(self._house.database, g.caller.creditor_id, **page))

    def _ingest(
        self,
        records: Callable[[], Iterator[tuple[str, LedgerRecord]]],
        answer: Callable[[IngestResult], Response],
        keep: Keep,
    ) -> Response:
        """Hand records to the ledger; two that bring the same new id at once are sorted out by coming again."""
        caller: ApiCaller = g.caller
        source, actor = _source(), f"api:{caller.name}"

        def conclude(connection: Connection, result: IngestResult) -> None:
            keep(connection, answer(result))

        for _ in range(2):
            try:
                taken = ingest(self._house, caller.creditor_id, source, records(), actor=actor, conclude=conclude)
            except IntegrityError:
                continue
            return answer(taken)
        raise Problem("request.conflict")


def _taken(record: LedgerRecord, result: IngestResult) -> Response:
    outcome = "created" if result.created else "changed" if result.changed else "unchanged"
    answer = {"external_id": record.external_id, "source": _source(), "result": outcome}
    response = jsonify(answer | _findings(result))
    response.status_code = 201 if result.created else 200
    return response


def _bulk_taken(sha256: str, result: IngestResult) -> Response:
    counts = ("created", "changed", "unchanged", "customers", "entries", "links")
    answer: dict[str, Any] = {name: getattr(result, name) for name in counts}
    return jsonify(answer | {"source": _source(), "sha256": sha256} | _findings(result))


def _demand_type(media_type: str) -> None:
    if request.mimetype != media_type:
        raise Problem("request.media_type", f"this takes {media_type}")


def _source(given: str | None = None) -> str:
    source = request.headers.get("X-Source", SOURCE_DEFAULT) if given is None else given
    if not re.fullmatch(SOURCE_PATTERN, source) or source == OWN_SOURCE:
        raise Problem("request.invalid", "the source must be a short name in lower case, and not our own")
    return source


def _page() -> dict[str, Any]:
    return {"after": _number("after", 0, 0, 10**18), "limit": _number("limit", LIMIT_DEFAULT, 1, LIMIT_MAX)}


def _number(name: str, default: int, least: int, most: int) -> int:
    text = request.args.get(name, str(default))
    if not re.fullmatch("[0-9]{1,18}", text) or not least <= int(text) <= most:
        raise Problem("request.query", f"{name} must be a number from {least} to {most}")
    return int(text)


def _choice(name: str, *choices: str) -> str:
    text = request.args.get(name, "")
    if text not in choices:
        raise Problem("request.query", f"{name} must be one of {', '.join(filter(None, choices))}")
    return text


def _findings(result: IngestResult) -> dict[str, list[dict[str, str]]]:
    return {"findings": [finding_as_dict(finding) for finding in result.findings]}
