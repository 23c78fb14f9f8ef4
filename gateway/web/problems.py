"""How a machine is told no: RFC 9457 problem documents with a reason code, a place and a value for each fault."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import structlog
from flask import Blueprint, Response, json, request
from werkzeug.exceptions import HTTPException

from gateway.accounting.jsonlines import LinesRejected
from gateway.accounting.records import RecordRejected
from gateway.domain import reasons
from gateway.domain.ledger import Rejected
from gateway.errors import Busy, NotFound, Refused
from gateway.services.ingest import FIXED_ONCE_INVOICED, MAY_NOT_CHANGE, IngestRejected

PROBLEMS = {
    "request.query": (400, "The query of the address is not understood"),
    "request.invalid": (400, "The request is not understood"),
    "key.missing": (401, "A valid API key is needed"),
    "signature.invalid": (401, "The signature is not valid"),
    "key.scope": (403, "The API key may not do this"),
    "request.not_found": (404, "There is nothing at this address"),
    "request.method": (405, "This method is not possible here"),
    "entry.changed": (409, "What is in the books may not change"),
    "request.conflict": (409, "Somebody else changed the same thing at the same moment"),
    "idempotency.at_work": (409, "The same request is being worked on at this moment"),
    "request.too_large": (413, "The body is too large"),
    "request.media_type": (415, "The body is of a type that is not taken here"),
    "record.rejected": (422, "The record cannot be taken"),
    "idempotency.reused": (422, "The Idempotency-Key was used for another request"),
    "request.refused": (422, "The rules do not allow this"),
    "request.too_many": (429, "Too many requests in a short time; nothing was taken. Come again in a little while"),
    "request.busy": (503, "The books are being worked on; nothing was taken. Come again in a little while"),
    "request.failed": (500, "Something went wrong here; nothing was taken. Come again later"),
}
"""Every problem code of REST API and webhooks: HTTP status and title. The OpenAPI document lists them."""

_CODE_OF_STATUS = {400: "request.invalid", 404: "request.not_found", 405: "request.method", 413: "request.too_large"}
_ERRORS_MAX = 100
_BUSY_SECONDS = 10
_log = structlog.get_logger()


class Problem(Exception):  # RFC 9457's word
    """A request that cannot be answered as asked. *code* is one of `PROBLEMS`; *retry_after* counts seconds, 0: not told."""

    def __init__(self, code: str, detail: str = "", errors: Iterable[Rejected] = (), retry_after: int = 0) -> None:
        self.code, self.detail, self.errors, self.retry_after = code, detail, list(errors), retry_after
        super().__init__(f"{code} {detail}".strip())

    def response(self) -> Response:
        """Return the problem document."""
        status, title = PROBLEMS[self.code]
        body: dict[str, Any] = {
            "type": f"urn:kravport:problem:{self.code}",
            "title": title,
            "status": status,
            "code": self.code,
        }
        if self.detail:
            body["detail"] = self.detail
        if self.errors:
            body["errors"] = [
                {
                    "place": fault.place,
                    "field": fault.field,
                    "reason": reasons.told(fault.reason, language()),
                    "value": fault.value,
                }
                for fault in self.errors[:_ERRORS_MAX]
            ]
        response = Response(json.dumps(body), status, mimetype="application/problem+json")
        if status == 401:  # RFC 9110: whoever says 401 says how
            response.headers["WWW-Authenticate"] = 'Bearer realm="kravport"'
        if self.retry_after:
            response.headers["Retry-After"] = str(self.retry_after)
        return response


def language() -> str:
    """Return the language of ours that the caller would rather read, English where it does not say."""
    return request.accept_languages.best_match([*reasons.LANGUAGES, "no", "nn"], "en")


def answer_with_problems(blueprint: Blueprint) -> None:
    """Let every refusal inside *blueprint* leave as a problem document."""
    blueprint.register_error_handler(Problem, lambda problem: problem.response())
    blueprint.register_error_handler(HTTPException, _http)
    blueprint.register_error_handler(RecordRejected, _record)
    blueprint.register_error_handler(LinesRejected, lambda error: _rejected(error.rejected))
    blueprint.register_error_handler(IngestRejected, lambda error: _rejected(error.rejected))
    blueprint.register_error_handler(NotFound, lambda _: Problem("request.not_found").response())
    blueprint.register_error_handler(Refused, _refused)
    blueprint.register_error_handler(Busy, lambda _: Problem("request.busy", retry_after=_BUSY_SECONDS).response())
    blueprint.register_error_handler(Exception, _failed)


def _http(error: HTTPException) -> Response:
    code = _CODE_OF_STATUS.get(error.code or 500)
    return Problem(code, error.description or "").response() if code else Response(status=error.code)


def _failed(error: Exception) -> Response:
    """Tell the log what happened and the caller that it may come again: every write here is repeatable."""
    _log.error("request failed", endpoint=request.endpoint, method=request.method, exc_info=error)
    return Problem("request.failed").response()


def _record(error: RecordRejected) -> Response:
    return _rejected([Rejected("body", *fault) for fault in error.faults])


def _rejected(rejected: list[Rejected]) -> Response:
    is_change = any(getattr(fault.reason, "code", "") in {MAY_NOT_CHANGE, FIXED_ONCE_INVOICED} for fault in rejected)
    detail = f"{len(rejected)} faults; nothing was taken" if len(rejected) > 1 else "nothing was taken"
    return Problem("entry.changed" if is_change else "record.rejected", detail, rejected).response()


def _refused(error: Refused) -> Response:
    detail = reasons.sentence(error.code, language(), error.values)
    return Problem("request.refused", detail, [Rejected("", "", error.code, "")]).response()
