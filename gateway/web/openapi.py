"""The REST API's operations, stated once: routes and OpenAPI document both come from this table."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from gateway.accounting import records
from gateway.formats import pull
from gateway.services.creditors import AGENCY_SCOPE
from gateway.web.once import KEY_PATTERN
from gateway.web.problems import PROBLEMS

PREFIX = "/api/v1"
NDJSON = "application/x-ndjson"
BYTES = "application/octet-stream"
READ, WRITE, AGENCY = "ledger:read", "ledger:write", AGENCY_SCOPE

RESOURCES = {
    "customers": ("customer", "Customer"),
    "invoices": ("invoice", "Invoice"),
    "credit-notes": ("credit_note", "CreditNote"),
    "payments": ("payment", "Payment"),
    "disbursements": ("payment_out", "Disbursement"),
    "voucher-lines": ("voucher_line", "VoucherLine"),
    "write-offs": ("write_off", "WriteOff"),
    "charges": ("charge", "Charge"),
    "reversals": ("reversal", "Reversal"),
    "links": ("link", "Link"),
}
"""What can be written one by one: path segment → record type and schema."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing the API does.

    *view* names the function of `gateway.web.api` that does it; *body* the schema and media type of what it takes;
    *answers* the schema per success status; *parameters* names of `_PARAMETERS`; *record_type* what it writes.
    """

    method: str
    path: str
    operation_id: str
    summary: str
    view: str
    scope: str
    answers: Mapping[int, str]
    body: tuple[str, str] | None = None
    parameters: tuple[str, ...] = ()
    record_type: str = ""


def _writing(segment: str, record_type: str, shape: str) -> tuple[Operation, Operation]:
    answers = {200: "Taken", 201: "Taken"}
    return (
        Operation(
            "PUT", f"/{segment}/{{external_id}}", f"put{shape}", f"Take one {shape} under its external id", "put", WRITE,
            answers, (shape, "application/json"), ("external_id", "X-Source", "Idempotency-Key"), record_type,
        ),
        Operation(
            "POST", f"/{segment}", f"post{shape}", f"Take one {shape}; its external id stands in the body", "post", WRITE,
            answers, (f"{shape}WithId", "application/json"), ("X-Source", "Idempotency-Key"), record_type,
        ),
    )  # fmt: skip


OPERATIONS = (
    *(operation for segment, (kind, shape) in RESOURCES.items() for operation in _writing(segment, kind, shape)),
    Operation(
        "POST", "/ledger", "postLedger", "Take a bulk load, all of it or nothing", "bulk", WRITE,
        {200: "BulkTaken"}, ("LedgerRecord", NDJSON), ("X-Source", "Idempotency-Key"),
    ),
    Operation(
        "GET", "/invoices/{external_id}", "getInvoice", "Say where an invoice stands", "get_invoice", READ,
        {200: "InvoiceState"}, None, ("external_id", "source"),
    ),
    Operation(
        "GET", "/invoices", "listInvoices", "List invoices in the order they came", "list_invoices", READ,
        {200: "InvoicePage"}, None, ("after", "limit", "open"),
    ),
    Operation(
        "POST", "/bank-files", "postBankFile", "Take a payment file of the creditor's own bank", "take_bank_file", WRITE,
        {200: "BankFileTaken", 202: "BankFileTaken"}, ("BankFile", BYTES), (),
    ),
    Operation(
        "GET", "/payments", "listIncomingPayments", "List money that agencies and banks reported", "list_payments", READ,
        {200: "IncomingPaymentPage"}, None, ("after", "limit", "state"),
    ),
    Operation(
        "GET", "/agency/cases", "listCases", "For an agency: list new cases since a cursor", "list_cases", AGENCY,
        {200: "CasePage"}, None, ("cursor", "limit"),
    ),
    Operation(
        "PUT", "/agency/cases/{claim_id}/answer", "putCaseAnswer", "For an agency: take a case under its number, or refuse it",
        "answer_case", AGENCY, {200: "CaseAnswered"}, ("CaseAnswer", "application/json"), ("claim_id",),
    ),
    Operation(
        "GET", "/agency/changes", "listChanges", "For an agency: list changes of its cases since a cursor", "list_changes",
        AGENCY, {200: "ChangePage"}, None, ("cursor", "limit"),
    ),
    Operation(
        "POST", "/agency/reports", "postReport", "For an agency: report states, closings, payments or payouts", "take_report",
        AGENCY, {200: "ReportTaken", 202: "ReportTaken"}, ("Report", "application/json"), (),
    ),
    Operation(
        "GET", "/agency/reports/{report_id}", "getReport", "For an agency: say what became of a report", "get_report", AGENCY,
        {200: "ReportState"}, None, ("report_id",),
    ),
)  # fmt: skip

LIMIT_DEFAULT, LIMIT_MAX = 100, 500
SOURCE_PATTERN = "^[a-z0-9][a-z0-9._-]{0,39}$"
SOURCE_DEFAULT = "api"

_SOURCE_SCHEMA = {"type": "string", "pattern": SOURCE_PATTERN, "default": SOURCE_DEFAULT}
_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "external_id": {
        "name": "external_id", "in": "path", "required": True,
        "description": "The accounting system's own id. One with two slashes in a row must go by POST.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    },
    "X-Source": {
        "name": "X-Source", "in": "header",
        "description": "Name of the accounting system; part of the identity of every record.",
        "schema": _SOURCE_SCHEMA,
    },
    "Idempotency-Key": {
        "name": "Idempotency-Key", "in": "header",
        "description": "A name of the sender's own for this request, best a random UUID. The same key with the same "
        "request is given the same status and body, marked `Idempotent-Replayed: true`, for at least 30 days; with "
        "another request 422; while the first is at work 409 with `Retry-After`. A refusal is kept too: what was "
        "mended needs a new key. Each API key has keys of its own.",
        "schema": {"type": "string", "pattern": KEY_PATTERN},
    },
    "source": {"name": "source", "in": "query", "schema": _SOURCE_SCHEMA},
    "after": {
        "name": "after", "in": "query", "description": "`next` of the page before.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
    },
    "cursor": {
        "name": "after", "in": "query",
        "description": "`next` of the page before; left out, everything there is. To ask with it says that all before it has "
        "been taken, so ask on until a page is empty.",
        "schema": {"type": "string", "pattern": "^((cases|changes)-[0-9]{1,18}-[0-9]{1,9}-[0-9]{1,15})?$"},
    },
    "claim_id": {
        "name": "claim_id", "in": "path", "required": True, "description": "Kravport's id of the claim.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 36},
    },
    "report_id": {
        "name": "report_id", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
    },
    "limit": {
        "name": "limit", "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT},
    },
    "open": {
        "name": "open", "in": "query", "description": "Only invoices with (true) or without (false) an open amount.",
        "schema": {"type": "string", "enum": ["true", "false"]},
    },
    "state": {
        "name": "state", "in": "query",
        "schema": {"type": "string", "enum": ["proposed", "unmatched", "posted", "ignored"]},
    },
}  # fmt: skip


@cache
def openapi_document() -> Mapping[str, Any]:
    """Return the OpenAPI 3.1 document of the REST API. Treat it as read-only."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(PREFIX + operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Kravport",
            "version": "1",
            "description": "Ledger in: customers, invoices and what is linked to them, idempotent on external ids. "
            "Every refusal is a problem document; nothing of a refused request takes effect.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"apiKey": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key of one creditor, or of an agency for one agreement: kp_…",
                }
            },
            "schemas": _schemas(),
        },
    }


def _described(operation: Operation) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": operation.operation_id,
        "summary": operation.summary,
        "description": f"Needs the scope `{operation.scope}`.",
        "parameters": [dict(_PARAMETERS[name]) for name in operation.parameters],
        "responses": {
            str(status): {"description": "Done.", "content": {"application/json": {"schema": _reference(name)}}}
            for status, name in operation.answers.items()
        }
        | _refusals(),
    }
    if operation.body:
        name, media_type = operation.body
        made["requestBody"] = {"required": True, "content": {media_type: {"schema": _reference(name)}}}
        if media_type == NDJSON:
            made["requestBody"]["description"] = "One LedgerRecord per line."
    return made


def _refusals() -> dict[str, Any]:
    titles: dict[int, list[str]] = {}
    for code, (status, title) in PROBLEMS.items():
        titles.setdefault(status, []).append(f"{title} (`{code}`)")
    content = {"application/problem+json": {"schema": _reference("Problem")}}
    return {str(status): {"description": "; ".join(said), "content": content} for status, said in titles.items()}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _schemas() -> dict[str, Any]:
    record = copy.deepcopy(dict(records.schema()))
    shapes = record.pop("$defs")
    del record["$schema"], record["$id"]
    answers = json.loads(resources.files(__package__).joinpath("schemas/answers.schema.json").read_text("utf-8"))
    made = {**shapes, "LedgerRecord": record, **answers["$defs"], **pull.schema()}
    for _, shape in RESOURCES.values():
        made[f"{shape}WithId"] = {"allOf": [_reference(shape), {"required": ["external_id"]}]}
    relocated: dict[str, Any] = json.loads(json.dumps(made).replace("#/$defs/", "#/components/schemas/"))
    return relocated
