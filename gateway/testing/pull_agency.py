"""An agency that fetches, to practise with: it comes for its cases, answers them and reports by Kravport's own API (ADR 0030).

It is written after docs/agency-pull.md and shares nothing with the host. Where Kravport is, and the key, a creditor gives it:
they stand in ``pull.json`` of its folder (``url`` of the web process, ``key``), and until they do it waits.
"""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import requests

from gateway.testing.api_sandbox.calls import Books

ACCESS = "pull.json"
LOOK_SECONDS = 0.5
_PATIENCE_SECONDS = 10
_TABLES = """
CREATE TABLE IF NOT EXISTS place (kind TEXT PRIMARY KEY, after TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS message (kind TEXT NOT NULL, content TEXT NOT NULL, UNIQUE (kind, content));
CREATE TABLE IF NOT EXISTS claim (
  number INTEGER PRIMARY KEY AUTOINCREMENT, claim_id TEXT UNIQUE NOT NULL, customer TEXT NOT NULL, total INTEGER NOT NULL,
  verdict TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS item (item_id TEXT PRIMARY KEY, claim_id TEXT NOT NULL, effect INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS payment (
  number INTEGER PRIMARY KEY AUTOINCREMENT, claim_id TEXT NOT NULL, amount INTEGER NOT NULL, day TEXT NOT NULL, report INTEGER);
CREATE TABLE IF NOT EXISTS report (number INTEGER PRIMARY KEY AUTOINCREMENT, content TEXT NOT NULL, is_taken INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS refusal (key TEXT PRIMARY KEY, code TEXT NOT NULL, told TEXT NOT NULL);
"""
_BALANCES = """
SELECT claim_id, total + (SELECT coalesce(sum(effect), 0) FROM item i WHERE i.claim_id = c.claim_id)
  - (SELECT coalesce(sum(amount), 0) FROM payment p WHERE p.claim_id = c.claim_id) AS owed
FROM claim c WHERE verdict = 'accepted' ORDER BY claim_id"""


class PullAgency:
    """One creditor's cases at an agency that fetches. A kill at any line loses nothing: what is not noted is asked again.

    Args:
        root: its folder; made when it is not there, taken up again when it is.
        currency: of the creditor's claims.
        session: makes the calls.
    """

    def __init__(self, root: Path, currency: str, session: requests.Session | None = None) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._access, self._currency = root / ACCESS, currency
        self._session = session or requests.Session()
        self._session.trust_env = False
        self._books, self._rest_until = Books(root / "pull.sqlite", _TABLES), 0.0

    def work(self, now: datetime) -> int:  # noqa: ARG002  # as every sandbox is told the moment
        """Fetch, answer and report what there is; return how much. Where nobody answers, it comes again."""
        if time.monotonic() < self._rest_until or not self._access.exists():
            return 0
        try:
            done = self._fetch("cases", self._take_case) + self._answer() + self._report()
            done += self._fetch("changes", self._take_change)
        except requests.RequestException:
            done = 0
        self._rest_until = 0.0 if done else time.monotonic() + LOOK_SECONDS
        return done

    def balances(self) -> dict[str, int]:
        """Return what each case it took still owes, in minor units."""
        with self._books.transaction() as books:
            return {row["claim_id"]: row["owed"] for row in books.execute(_BALANCES)}

    def pay(self, claim_id: str, amount_minor: int, on: date) -> int:
        """Let a debtor pay; all of it is principal. Return the payment's number."""
        if claim_id not in self.balances():
            raise ValueError(f"no case {claim_id}")
        with self._books.transaction() as books:
            insert = "INSERT INTO payment (claim_id, amount, day) VALUES (?, ?, ?)"
            return int(books.execute(insert, (claim_id, amount_minor, on.isoformat())).lastrowid or 0)

    def pay_some(self, on: date, seed: int) -> list[int]:
        """Let about half of the debtors pay all they owe; return the payments' numbers."""
        dice = random.Random(seed)  # noqa: S311  # guards nothing
        owed = {claim: minor for claim, minor in self.balances().items() if minor > 0}
        return [self.pay(claim, owed[claim], on) for claim in dice.sample(sorted(owed), (len(owed) + 1) // 2)]

    def write_payments(self, now: datetime) -> str:  # noqa: ARG002  # as every sandbox is told the moment
        """Put what was paid and not told yet into a report; return its message id, empty where there is nothing."""
        with self._books.transaction() as books:
            paid = books.execute("SELECT * FROM payment WHERE report IS NULL ORDER BY number").fetchall()
            if not paid:
                return ""
            number = int(books.execute("INSERT INTO report (content) VALUES ('')").lastrowid or 0)
            told = {"currency": self._currency, "count": len(paid), "total_minor": sum(row["amount"] for row in paid)}
            report = {"format": "kravport-pull-1", "report": "payments", "message_id": f"payments/{number}", **told}
            report["payments"] = [_payment(row) for row in paid]
            books.execute("UPDATE report SET content = ? WHERE number = ?", (json.dumps(report), number))
            books.execute("UPDATE payment SET report = ? WHERE report IS NULL", (number,))
        return f"payments/{number}"

    def refuse(self, kind: str, key: str, code: str, text: str = "") -> None:
        """From now on refuse the ``claim`` or ``customer`` called *key*."""
        with self._books.transaction() as books:
            books.execute("INSERT OR REPLACE INTO refusal VALUES (?, ?, ?)", (f"{kind} {key}", code, text))

    def accept(self, kind: str, key: str) -> None:
        """Take back a `refuse`."""
        with self._books.transaction() as books:
            books.execute("DELETE FROM refusal WHERE key = ?", (f"{kind} {key}",))

    # --- what it asks for --------------------------------------------------------------------------------------------

    def _fetch(self, kind: str, take: Callable[[sqlite3.Connection, Mapping[str, Any]], None]) -> int:
        """Store pages until one is empty. Each is kept with its cursor before that cursor is used."""
        count = 0
        while True:
            with self._books.transaction() as books:
                row = books.execute("SELECT after FROM place WHERE kind = ?", (kind,)).fetchone()
            page = self._call("GET", f"{kind}?after={row['after'] if row else ''}")
            with self._books.transaction() as books:
                for message in page[kind]:
                    told = (kind, json.dumps(message, sort_keys=True))
                    if books.execute("INSERT OR IGNORE INTO message VALUES (?, ?)", told).rowcount:
                        take(books, message)
                books.execute("INSERT OR REPLACE INTO place VALUES (?, ?)", (kind, page["next"]))
            if not page[kind]:
                return count
            count += len(page[kind])

    def _take_case(self, books: sqlite3.Connection, case: Mapping[str, Any]) -> None:
        """Write a case down; one that was refused may come again, mended."""
        row = (case["claim_id"], case["debtor"]["customer_number"], case["invoice"]["original_minor"])
        books.execute("DELETE FROM item WHERE claim_id = ?", row[:1])
        books.execute("DELETE FROM claim WHERE claim_id = ? AND verdict = 'refused'", row[:1])
        books.execute("INSERT INTO claim (claim_id, customer, total) VALUES (?, ?, ?)", row)
        self._take_change(books, case)

    def _take_change(self, books: sqlite3.Connection, change: Mapping[str, Any]) -> None:
        for item in change["items"]:
            if item["kind"] == "charge":
                continue  # it stands beside the principal
            effect = item["amount_minor"] if item["direction"] == "debit" else -item["amount_minor"]
            books.execute("INSERT INTO item VALUES (?, ?, ?)", (item["item_id"], change["claim_id"], effect))

    # --- what it says ------------------------------------------------------------------------------------------------

    def _answer(self) -> int:
        with self._books.transaction() as books:
            waiting = books.execute("SELECT * FROM claim WHERE verdict = '' ORDER BY number").fetchall()
        for row in waiting:
            answer, verdict = self._verdict(row)
            self._call("PUT", f"cases/{row['claim_id']}/answer", answer)
            with self._books.transaction() as books:
                books.execute("UPDATE claim SET verdict = ? WHERE number = ?", (verdict, row["number"]))
        return len(waiting)

    def _verdict(self, row: sqlite3.Row) -> tuple[dict[str, Any], str]:
        keys = (f"claim {row['claim_id']}", f"customer {row['customer']}")
        with self._books.transaction() as books:
            why = books.execute("SELECT * FROM refusal WHERE key IN (?, ?)", keys).fetchone()
        if why:
            return {"accepted": False, "reason_code": why["code"], "reason_text": why["told"]}, "refused"
        return {"accepted": True, "case_number": f"PULL-{row['number']:06d}"}, "accepted"

    def _report(self) -> int:
        with self._books.transaction() as books:
            waiting = books.execute("SELECT * FROM report WHERE NOT is_taken ORDER BY number").fetchall()
        for row in waiting:
            self._call("POST", "reports", json.loads(row["content"]))
            with self._books.transaction() as books:
                books.execute("UPDATE report SET is_taken = 1 WHERE number = ?", (row["number"],))
        return len(waiting)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        access = json.loads(self._access.read_text(encoding="utf-8"))
        answer = self._session.request(
            method,
            f"{access['url']}/api/v1/agency/{path}",
            json=body,
            headers={"Authorization": f"Bearer {access['key']}"},
            timeout=_PATIENCE_SECONDS,
        )
        answer.raise_for_status()
        return answer.json()


def _payment(row: sqlite3.Row) -> dict[str, Any]:
    parts = {"principal_minor": row["amount"], "interest_minor": 0, "fees_minor": 0, "unallocated_minor": 0}
    named = {"payment_id": f"AP-{row['number']}", "kind": "payment", "claim_id": row["claim_id"]}
    return {**named, "received_date": row["day"], "amount_minor": row["amount"], **parts}
