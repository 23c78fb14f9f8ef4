"""Lowell's Assignment API to practise with: log-in and call as published, an answer that is invented (lowell.md 1).

What a repeated id does is unknown, so here it does what hurts most: it makes a second assignment.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from flask import Response, request

from gateway.testing.api_sandbox import ApiSandbox, OAuth2
from plugins.sls_sandbox.bank import Credit, camt054
from plugins.sls_sandbox.state import AgreementFacts

CLIENT, SECRET = "fjord", "sandbox-lowell"
REALM = "/auth/realms/test-clients/protocol/openid-connect/token"
_CALL = "/<environment>/collection/fi/assignment-api/v1/assignments"
_TABLES = """
CREATE TABLE IF NOT EXISTS assignment (
  number INTEGER PRIMARY KEY AUTOINCREMENT, ours TEXT NOT NULL, reference TEXT NOT NULL, owed INTEGER NOT NULL, paid INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS credit (
  number INTEGER PRIMARY KEY AUTOINCREMENT, ours TEXT NOT NULL, amount INTEGER NOT NULL, day TEXT NOT NULL, is_told INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS refusal (key TEXT PRIMARY KEY, told TEXT NOT NULL);
"""
_NEEDED = {"id", "subclientId", "reference", "type", "debtors", "invoices"}
_DEBTOR = {"type", "role", "id", "street", "zip", "city", "country", "voluntaryCollectionForbidden"}
_NAMES = {"Company": {"companyName"}, "Private": {"firstName", "lastName"}}
_INVOICE = {
    "invoiceNumber", "invoiceDate", "dueDate", "interestDate", "receivableType", "openPrincipal", "referenceNumber",
}  # fmt: skip
_OPTIONAL = {
    "class", "descriptionLines", "nationality", "phone", "email", "interestRateCode", "interestRate", "reminderDate",
    "reminderFee", "description", "originalInvoice",
}  # fmt: skip
_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Assignments(ApiSandbox):
    """One sub-client at Lowell.

    Args:
        root: its folder.
        facts: ``subclient_id``; ``creditor_account`` and ``agency_account``, where the bank's files are wanted.
    """

    def __init__(self, root: Path, facts: Mapping[str, Any]) -> None:
        super().__init__(root, _TABLES, OAuth2({CLIENT: SECRET}, path=REALM, seconds=300))
        self._subclient = str(facts["subclient_id"])
        self._facts = AgreementFacts(
            self._subclient, "", "EUR", "FI", agency_id="LOWELL", agency_name="Lowell",
            creditor_account=str(facts.get("creditor_account", "")), agency_account=str(facts.get("agency_account", "")),
        )  # fmt: skip
        (root / "download").mkdir(exist_ok=True)
        self.app.add_url_rule(_CALL, view_func=self.needs_bearer()(self._assign), methods=["POST"])

    def way_in(self, address: str, ca_pem: str) -> Mapping[str, Mapping[str, Any]]:
        """Return how an agreement gets here; the realm is part of the token's address."""
        auth = {"kind": "oauth2", "token_url": f"{address}{REALM}", "client_id": CLIENT}
        transport = {"kind": "https", "base_url": address, "ca": ca_pem, "auth": auth}
        return {"transport": transport, "secrets": {"api_client_secret": SECRET}}

    def pay(self, claim_id: str, amount_minor: int, on: date) -> int:
        """Let a debtor pay; Lowell passes it on through its bank. Return the payment's number."""
        with self.transaction() as books:
            row = books.execute("SELECT number FROM assignment WHERE ours = ?", (claim_id,)).fetchone()
            if row is None:
                raise ValueError(f"no assignment {claim_id}")
            books.execute("UPDATE assignment SET paid = paid + ? WHERE number = ?", (amount_minor, row["number"]))
            insert = "INSERT INTO credit (ours, amount, day) VALUES (?, ?, ?)"
            return int(books.execute(insert, (claim_id, amount_minor, on.isoformat())).lastrowid or 0)

    def pay_some(self, on: date, seed: int) -> list[int]:
        """Let about half of the debtors pay all they owe; return the payments' numbers."""
        dice = random.Random(seed)  # noqa: S311  # guards nothing
        owed = sorted(claim for claim, minor in self.balances().items() if minor > 0)
        return [self.pay(claim, self.balances()[claim], on) for claim in dice.sample(owed, (len(owed) + 1) // 2)]

    def write_payments(self, now: datetime) -> str:
        """Pass on what was paid: Lowell has no file of its own for it, the bank tells (`write_camt054`)."""
        return self.write_camt054(now)

    def write_camt054(self, now: datetime) -> str:
        """Write what the bank tells of new payments, as the creditor gets it; return the file's name."""
        with self.transaction() as books:
            new = books.execute(
                "SELECT c.*, a.reference FROM credit c JOIN assignment a ON a.ours = c.ours WHERE NOT is_told ORDER BY c.number"
            ).fetchall()
            books.execute("UPDATE credit SET is_told = 1")
        credits_ = [
            Credit(f"LOW{row['number']:09d}", row["amount"], date.fromisoformat(row["day"]), row["reference"])
            for row in new
        ]
        name = f"camt054-{credits_[0].bank_reference}.xml" if credits_ else "camt054-empty.xml"
        (self.root / "download" / name).write_bytes(camt054(credits_, self._facts, 1, now))
        return name

    def refuse(self, kind: str, key: str, code: str, text: str = "") -> None:
        """From now on refuse the ``claim`` called *key*."""
        with self.transaction() as books:
            books.execute("INSERT OR REPLACE INTO refusal VALUES (?, ?)", (f"{kind} {key}", f"{code} {text}".rstrip()))

    def accept(self, kind: str, key: str) -> None:
        """Take back a `refuse`."""
        with self.transaction() as books:
            books.execute("DELETE FROM refusal WHERE key = ?", (f"{kind} {key}",))

    def balances(self) -> dict[str, int]:
        """Return what is owed of each assignment in minor units, by our id; of doubles the sum."""
        query = "SELECT ours, sum(owed - paid) AS owed FROM assignment GROUP BY ours ORDER BY ours"
        with self.transaction() as books:
            return {row["ours"]: row["owed"] for row in books.execute(query)}

    def _assign(self, environment: str) -> Any:
        body = json.loads(request.get_data(), parse_float=Decimal)
        fault = "environment is not taken" if environment != "test" else _fault(body, self._subclient)
        with self.transaction() as books:
            key = f"claim {body.get('id') if isinstance(body, dict) else ''}"
            told = books.execute("SELECT told FROM refusal WHERE key = ?", (key,)).fetchone()
            if fault or told:
                return _answer(422, {"error": fault or told["told"]})
            owed = sum(int(one["openPrincipal"].scaleb(2)) for one in body["invoices"])
            insert = "INSERT INTO assignment (ours, reference, owed) VALUES (?, ?, ?)"
            number = books.execute(insert, (body["id"], body["reference"], owed)).lastrowid
            self.created("assignment", body["id"])
        return _answer(201, {"assignment": f"LA-{number:06d}", "state": "Received"})


def _fault(body: Any, subclient: str) -> str:
    """Return what is wrong with an assignment, as the published table has it; empty where nothing is."""
    if not isinstance(body, dict) or body.keys() - _OPTIONAL != _NEEDED:
        return "other fields than documented"
    debtors, invoices = body["debtors"], body["invoices"]
    if not (isinstance(debtors, list) and isinstance(invoices, list) and debtors and invoices):
        return "debtors or invoices are missing"
    for debtor in debtors:
        if debtor.keys() - _OPTIONAL != _DEBTOR | _NAMES.get(debtor.get("type"), set()):
            return "debtors: other fields than documented"
    for invoice in invoices:
        if invoice.keys() - _OPTIONAL != _INVOICE or not isinstance(invoice["openPrincipal"], Decimal):
            return "invoices: other fields than documented"
        if not all(_DAY.fullmatch(invoice[name]) for name in ("invoiceDate", "dueDate", "interestDate")):
            return "invoices: dates are written otherwise"
    return "" if body["subclientId"] == subclient else "subclientId is not taken"


def _answer(status: int, content: object) -> Response:
    return Response(json.dumps(content), status, content_type="application/json")
