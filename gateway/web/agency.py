"""The interface of an agency that fetches: its one agreement's cases and changes out, its answers and reports in (ADR 0030)."""

from __future__ import annotations

from typing import Any

from flask import Response, g, jsonify, request

from gateway.accounting.records import loads_strict
from gateway.domain import reasons
from gateway.domain.ledger import Rejected
from gateway.formats import pull as messages
from gateway.services import pull
from gateway.services.house import House
from gateway.web.openapi import LIMIT_DEFAULT, LIMIT_MAX, Operation
from gateway.web.problems import Problem, language
from gateway.web.spool import spooled

_ANSWER_BYTES_MAX = 64 << 10


class AgencyViews:
    """What the operations under ``/agency`` do. A key without an agreement of its own never gets here: it lacks the scope."""

    _house: House

    def list_cases(self, _: Operation) -> Response:
        """List new cases behind a cursor."""
        return self._page(messages.CASES)

    def list_changes(self, _: Operation) -> Response:
        """List changes behind a cursor."""
        return self._page(messages.CHANGES)

    def _page(self, kind: str) -> Response:
        text = request.args.get("limit", str(LIMIT_DEFAULT))
        if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= LIMIT_MAX):
            raise Problem("request.query", f"limit must be a number from 1 to {LIMIT_MAX}")
        try:
            page = pull.fetch(self._house, g.caller.agreement_id, kind, request.args.get("after", ""), int(text))
        except pull.BadCursor as error:
            raise Problem("request.query", f"after {error}") from None
        return jsonify({kind: page.messages, "next": page.next})

    def answer_case(self, _: Operation, claim_id: str) -> Response:
        """Keep the answer to a case."""
        value = _json_body(_ANSWER_BYTES_MAX)[0]
        _refuse(messages.answer_faults(value))
        is_new = pull.answer(self._house, g.caller.agreement_id, claim_id, value)
        return jsonify({"claim_id": claim_id, "result": "taken" if is_new else "unchanged"})

    def take_report(self, _: Operation) -> Response:
        """Keep a report that holds; one that does not is refused with every fault of it."""
        value, content = _json_body(messages.REPORT_BYTES_MAX)
        _refuse(messages.report_faults(value))
        stored = pull.report(self._house, g.caller.agreement_id, value["report"], content, value["message_id"])
        response = jsonify({"report_id": str(stored.inbound_file_id), "duplicate": not stored.is_new})
        response.status_code = 202 if stored.is_new else 200
        return response

    def get_report(self, _: Operation, report_id: str) -> Response:
        """Say what became of a report."""
        if not (report_id.isascii() and report_id.isdigit() and len(report_id) <= 18):
            raise Problem("request.not_found")
        found = pull.report_state(self._house, g.caller.agreement_id, int(report_id))
        findings = [
            {
                "code": one["code"],
                "place": one["place"],
                "text": reasons.sentence(one["code"], language(), one["values"]),
            }
            for one in found.findings
        ]
        return jsonify({"report_id": report_id, "state": found.state, "findings": findings})


def _json_body(max_bytes: int) -> tuple[Any, bytes]:
    if request.mimetype != "application/json":
        raise Problem("request.media_type", "this takes application/json")
    with spooled(max_bytes) as body:
        content = body.content.read()
    return loads_strict(content), content


def _refuse(faults: list[tuple[str, str]]) -> None:
    if faults:
        errors = [Rejected("body", place, fault, "") for place, fault in faults]
        raise Problem("record.rejected", "nothing was taken", errors)
