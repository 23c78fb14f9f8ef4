"""The other end: Kravia to practise with. It takes the documented calls as strictly as their guides allow.

What it answers is invented under the names of `plugins.kravia.answers`. Where nobody knows what Kravia does, it does what hurts
most: a registration sent twice makes two cases, a payment sent twice counts twice.
"""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from flask import Response, request

from gateway.formats.calls import encoded
from gateway.testing.api_sandbox import ApiSandbox
from plugins.kravia import rules
from plugins.kravia.answers import Names

TOKEN = "sandbox-kravia"  # noqa: S105  # guards invented data on this machine only
_N = Names()
_TABLES = """
CREATE TABLE IF NOT EXISTS invoice (
  id INTEGER PRIMARY KEY AUTOINCREMENT, claim_id TEXT NOT NULL, number TEXT NOT NULL, currency TEXT NOT NULL,
  capital INTEGER NOT NULL, status TEXT NOT NULL, updated TEXT NOT NULL);
INSERT OR IGNORE INTO sqlite_sequence SELECT 'invoice', 1553000 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'invoice');
CREATE TABLE IF NOT EXISTS change (
  place INTEGER PRIMARY KEY, invoice_id INTEGER NOT NULL, ours TEXT NOT NULL, kind TEXT NOT NULL, day TEXT NOT NULL, amount INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS collected (
  id INTEGER PRIMARY KEY AUTOINCREMENT, invoice_id INTEGER NOT NULL, day TEXT NOT NULL, amount INTEGER NOT NULL,
  capital INTEGER NOT NULL, settlement_id INTEGER);
CREATE TABLE IF NOT EXISTS settlement (id INTEGER PRIMARY KEY AUTOINCREMENT, day TEXT NOT NULL, booked_as TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS webhook (url TEXT NOT NULL, secret TEXT NOT NULL, enabled INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS refusal (key TEXT PRIMARY KEY, told TEXT NOT NULL);
"""


class Kravia(ApiSandbox):
    """One creditor at Kravia; see `make_sandbox`."""

    orders = frozenset({"set_status"})

    def __init__(self, root: Path, facts: Mapping[str, Any]) -> None:
        super().__init__(root, _TABLES)
        self._creditor, self._currency = int(facts["client_number"]), str(facts["currency"])
        self._token = str(facts.get("token", TOKEN))
        guard = self.needs_header("Authorization", self._token)
        for method, path, call in (
            ("POST", "/invoice/register", self._register),
            ("POST", "/invoice/payment", self._payment),
            ("POST", "/invoice/creditnote", self._credit_note),
            ("GET", "/invoice/search", self._search),
            ("GET", "/invoice/<int:number>/details", self._details),
            ("GET", "/settlements", self._settlements),
            ("PATCH", "/settlements/<int:number>/bookkeep", self._bookkeep),
            ("PUT", "/creditor/<int:creditor>/webhook", self._set_webhook),
        ):
            self.app.add_url_rule(f"/api/v2{path}", call.__name__, guard(call), methods=[method])

    def way_in(self, address: str, ca_pem: str) -> Mapping[str, Mapping[str, Any]]:
        """Return how an agreement gets here: Kravia's calls stand under a path, and the token is sent as it is."""
        way = super().way_in(f"{address}/api/v2", ca_pem)
        return {**way, "secrets": {"api_token": self._token}}

    # --- what people and debtors do ----------------------------------------------------------------------------------

    def pay(self, claim_id: str, amount_minor: int, on: date, *, interest_minor: int = 0) -> int:
        """Let a debtor pay Kravia; return the id of the payment. What is beyond *interest_minor* lowers the capital."""
        with self.transaction() as books:
            row = books.execute("SELECT id FROM invoice WHERE claim_id = ? ORDER BY id", (claim_id,)).fetchone()
            if row is None:
                raise ValueError(f"no case {claim_id}")
            told = (row["id"], on.isoformat(), amount_minor, amount_minor - interest_minor)
            insert = "INSERT INTO collected (invoice_id, day, amount, capital) VALUES (?, ?, ?, ?)"
            number = books.execute(insert, told).lastrowid
            self._touch(books, row["id"])
        assert number is not None
        return number

    def pay_some(self, on: date, seed: int) -> list[int]:
        """Let about half of the debtors pay something; return the ids of the payments."""
        dice = random.Random(seed)  # noqa: S311  # guards nothing
        owed = {claim: minor for claim, minor in self.balances().items() if minor > 0}
        chosen = dice.sample(sorted(owed), max(1, len(owed) // 2)) if owed else []
        return [self.pay(claim, dice.choice((owed[claim], max(1, owed[claim] // 3))), on) for claim in chosen]

    def write_payments(self, now: datetime) -> int:
        """Pay out what was collected, as one settlement; return its id, 0 where there is nothing."""
        with self.transaction() as books:
            if not books.execute("SELECT 1 FROM collected WHERE settlement_id IS NULL").fetchone():
                return 0
            made = books.execute("INSERT INTO settlement (day) VALUES (?)", (now.date().isoformat(),)).lastrowid
            books.execute("UPDATE collected SET settlement_id = ? WHERE settlement_id IS NULL", (made,))
        return int(made or 0)

    def set_status(self, claim_id: str, status: str) -> None:
        """Let a case go on to another state."""
        with self.transaction() as books:
            for row in books.execute("SELECT id FROM invoice WHERE claim_id = ?", (claim_id,)).fetchall():
                books.execute("UPDATE invoice SET status = ? WHERE id = ?", (status, row["id"]))
                self._touch(books, row["id"])

    def refuse(self, kind: str, key: str, code: str, text: str = "") -> None:
        """From now on refuse the ``claim`` or ``customer`` called *key*, in words made of *code* and *text*."""
        with self.transaction() as books:
            books.execute("INSERT OR REPLACE INTO refusal VALUES (?, ?)", (f"{kind} {key}", f"{code} {text}".rstrip()))

    def accept(self, kind: str, key: str) -> None:
        """Take back a `refuse`."""
        with self.transaction() as books:
            books.execute("DELETE FROM refusal WHERE key = ?", (f"{kind} {key}",))

    def balances(self) -> dict[str, int]:
        """Return what is left of the capital of each case, in minor units, by our claim id; of doubles the sum."""
        query = """
            SELECT claim_id, sum(capital
              - (SELECT coalesce(sum(amount), 0) FROM change WHERE invoice_id = invoice.id)
              - (SELECT coalesce(sum(capital), 0) FROM collected WHERE invoice_id = invoice.id)) AS owed
            FROM invoice GROUP BY claim_id ORDER BY claim_id"""
        with self.transaction() as books:
            return {row["claim_id"]: row["owed"] for row in books.execute(query)}

    def booked(self) -> dict[int, str]:
        """Return under which id the creditor has booked each settlement; empty for one that is still open."""
        with self.transaction() as books:
            return {row["id"]: row["booked_as"] for row in books.execute("SELECT * FROM settlement ORDER BY id")}

    # --- calls that change something ---------------------------------------------------------------------------------

    def _register(self) -> Any:
        body = _body()
        fault = rules.registration_fault(body, self._creditor, self._currency)
        with self.transaction() as books:
            keys = (f"claim {body.get('accountingInvoiceId')}", f"customer {body.get('debtorNumber')}")
            told = books.execute("SELECT told FROM refusal WHERE key IN (?, ?)", keys).fetchone()
            if fault or told:
                return _refused(fault or told["told"])
            row = (body["accountingInvoiceId"], body["invoiceNo"], body["currencyCode"], _minor(body["originalAmount"]))
            insert = "INSERT INTO invoice (claim_id, number, currency, capital, status, updated) VALUES (?, ?, ?, ?, 'Active', '')"
            number = books.execute(insert, row).lastrowid
            assert number is not None
            self._touch(books, number)
            self.created("invoice", body["accountingInvoiceId"])
        return _json({_N.invoice_id: number})

    def _payment(self) -> Any:
        return self._change("payment", rules.payment_fault, 1)

    def _credit_note(self) -> Any:
        return self._change("creditnote", rules.credit_note_fault, -1)

    def _change(self, kind: str, fault_of: Any, sign: int) -> Any:
        body = _body()
        fault = fault_of(body)
        if fault:
            return _refused(fault)
        lower = _lower(body)
        with self.transaction() as books:
            for part in map(_lower, lower["invoices"]):
                number, amount = part["invoiceid"], part["amount"]
                if not books.execute("SELECT 1 FROM invoice WHERE id = ?", (number,)).fetchone():
                    return _refused(f"no invoice {number}")
                row = (number, lower["accountingpaymentid"], kind, lower["date"][:10], sign * _minor(amount))
                books.execute("INSERT INTO change (invoice_id, ours, kind, day, amount) VALUES (?, ?, ?, ?, ?)", row)
                self._touch(books, number)
            self.created(kind, lower["accountingpaymentid"])
        return _json({})

    def _bookkeep(self, number: int) -> Any:
        ours = request.args.get("internalAccountingId", "")
        with self.transaction() as books:
            update = "UPDATE settlement SET booked_as = ? WHERE id = ?"
            if not ours or not books.execute(update, (ours, number)).rowcount:
                return _refused(f"no settlement {number}, or no internalAccountingId")
        return _json({})

    def _set_webhook(self, creditor: int) -> Any:
        body = _body()
        if creditor != self._creditor or set(body) != {"secret", "enabled", "url"}:
            return _refused("secret, enabled and url are needed, of the creditor's own webhook")
        with self.transaction() as books:
            books.execute("DELETE FROM webhook")
            books.execute("INSERT INTO webhook VALUES (?, ?, ?)", (body["url"], body["secret"], bool(body["enabled"])))
        return _json({})

    # --- questions ---------------------------------------------------------------------------------------------------

    def _search(self) -> Any:
        asked = request.args
        if asked.get("orderBy") != "11" or asked.get("byAscending") != "True":
            return _refused("the sandbox sorts by last update only, oldest first")
        since = _clock_time(asked.get("lastUpdatedTime", ""))
        with self.transaction() as books:
            found = books.execute(
                "SELECT * FROM invoice WHERE updated >= ? ORDER BY updated, id LIMIT ? OFFSET ?",
                (since, min(int(asked["top"]), 20), int(asked["skip"])),
            ).fetchall()
        return _json({_N.found: [_summary(row) for row in found]})

    def _details(self, number: int) -> Any:
        with self.transaction() as books:
            row = books.execute("SELECT * FROM invoice WHERE id = ?", (number,)).fetchone()
            changes = books.execute("SELECT * FROM change WHERE invoice_id = ? ORDER BY place", (number,)).fetchall()
        if row is None:
            return _refused(f"no invoice {number}", 404)
        payments = [
            {
                _N.our_payment_id: one["ours"],
                "kind": one["kind"],
                _N.paid_on: one["day"],
                _N.amount: _major(one["amount"]),
            }
            for one in changes
        ]
        owed = self.balances()[row["claim_id"]]
        return _json(
            _summary(row) | {_N.status: row["status"], "outstandingAmount": _major(owed), _N.payments: payments}
        )

    def _settlements(self) -> Any:
        with self.transaction() as books:
            open_ = books.execute("SELECT * FROM settlement WHERE booked_as = '' ORDER BY id").fetchall()
            parts = books.execute(
                "SELECT c.*, i.claim_id, i.number FROM collected c JOIN invoice i ON i.id = c.invoice_id ORDER BY c.id"
            ).fetchall()
        if request.args.get("ExcludeClosed") != "true":
            return _refused("the sandbox lists open settlements only")
        told = [self._settlement(one, [part for part in parts if part["settlement_id"] == one["id"]]) for one in open_]
        return _json({_N.settlements: told})

    def _settlement(self, row: sqlite3.Row, parts: list[sqlite3.Row]) -> dict[str, Any]:
        return {
            _N.settlement_id: row["id"], _N.currency: self._currency, "payoutDate": row["day"],
            _N.bank_reference: f"KRAVIA{row['id']:08d}", _N.paid_out: _major(sum(part["amount"] for part in parts)),
            _N.parts: [_part(part) for part in parts],
        }  # fmt: skip

    # --- webhooks ----------------------------------------------------------------------------------------------------

    def _touch(self, books: sqlite3.Connection, number: int) -> None:
        """Note that a case changed now, and ring. Times never go back, so that a list sorted by them can be followed."""
        last = books.execute("SELECT max(updated) AS last FROM invoice").fetchone()["last"]
        moment = max(_clock_time(self.now().isoformat()), last or "")
        books.execute("UPDATE invoice SET updated = ? WHERE id = ?", (moment, number))
        webhook = books.execute("SELECT * FROM webhook WHERE enabled").fetchone() or self._agreed_webhook()
        if webhook:
            self.push(
                webhook["url"], _event(number, self.now(), webhook["secret"]), {"Content-Type": "application/json"}
            )

    def _agreed_webhook(self) -> Mapping[str, Any] | None:
        file = self.root / "webhook.json"
        return json.loads(file.read_text()) if file.exists() else None


def make_sandbox(root: Path, facts: Mapping[str, Any]) -> Kravia:
    """Return the sandbox that lives in *root*, with whatever it remembers from earlier.

    *facts*: ``client_number`` (Kravia's id of the creditor), ``currency``; optional ``token``.
    """
    return Kravia(root, facts)


def _event(number: int, now: datetime, secret: str) -> bytes:
    """Return a webhook's body. How Kravia makes its MD5 is unknown; this is some other sum of the same length."""
    data = {"timestamp": int(now.timestamp()), "eventType": "CaseUpdate", "claimId": number}
    signature = hashlib.sha256(secret.encode() + encoded(data)).hexdigest()[:32]
    return encoded({"header": {"algorithm": "MD5"}, "data": data, "signature": signature})


def _summary(row: sqlite3.Row) -> dict[str, Any]:
    return {
        _N.invoice_id: row["id"], _N.claim_id: row["claim_id"], _N.invoice_number: row["number"], _N.updated: row["updated"],
    }  # fmt: skip


def _part(row: sqlite3.Row) -> dict[str, Any]:
    return {
        _N.payment_id: row["id"], _N.invoice_id: row["invoice_id"], _N.claim_id: row["claim_id"],
        _N.invoice_number: row["number"], _N.paid_on: row["day"], _N.amount: _major(row["amount"]),
        _N.capital: _major(row["capital"]),
    }  # fmt: skip


def _clock_time(text: str) -> str:
    """Return a time as the sandbox sorts by it: UTC, to the second, without a zone."""
    if not text:
        return ""
    when = datetime.fromisoformat(text)
    return (when.astimezone(UTC).replace(tzinfo=None) if when.tzinfo else when).isoformat(timespec="seconds")


def _body() -> dict[str, Any]:
    told = json.loads(request.get_data(), parse_float=Decimal)
    return told if isinstance(told, dict) else {}


def _lower(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name.lower(): value for name, value in body.items()}


def _minor(amount: Any) -> int:
    return int(Decimal(amount).scaleb(2))


def _major(minor: int) -> Decimal:
    return Decimal(minor).scaleb(-2)


def _json(content: object) -> Response:
    return Response(encoded(content), content_type="application/json")


def _refused(why: str, status: int = 400) -> Response:
    """Refuse in words: what an error of Kravia's looks like nobody has published."""
    return Response(encoded({"message": why}), status, content_type="application/json")
