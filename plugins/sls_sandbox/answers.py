"""The files the sandbox agency writes in kravport-sls-1: receipts, payments, cases, snapshots (B.9 to B.12)."""

from __future__ import annotations

import re
import sqlite3
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from xml.sax.saxutils import quoteattr

from plugins.sls_sandbox.reading import NAMESPACE, Delivery
from plugins.sls_sandbox.rules import Answer
from plugins.sls_sandbox.state import AgreementFacts

_FILE_ID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OWN_IDS = uuid.UUID("5f0b7a9e-93a1-5d55-8c43-0f6d4f2d9a31")
"""Namespace of this sandbox's file ids: the same answer made again after a kill gets the same id."""


def money(minor: int) -> str:
    """Return minor units with a dot and two decimals."""
    whole, cents = divmod(abs(minor), 100)
    return f"{'-' if minor < 0 else ''}{whole}.{cents:02d}"


def element(name: str, depth: int, attributes: Mapping[str, object], *, is_open: bool = False) -> str:
    """Return one tag on a line of its own; attributes without value are left out."""
    written = "".join(f" {key}={quoteattr(str(value))}" for key, value in attributes.items() if value not in ("", None))
    return f"{'  ' * depth}<{name}{written}{'' if is_open else '/'}>\n"


class Letters:
    """Writes files in the agency's name, at one moment.

    Args:
        facts: who writes to whom, about which ledger.
        now: the moment of writing, with its offset.
    """

    def __init__(self, facts: AgreementFacts, now: datetime) -> None:
        self._facts, self._now = facts, now.isoformat(timespec="seconds")

    def receipt(self, delivery: Delivery, answers: Iterable[Answer], code: str = "", text: str = "") -> bytes:
        """Return the receipt of *delivery*; with *code* the whole file is refused and *answers* is empty."""
        rows, counted = [], Counter[str]()
        for answer in answers:
            counted[answer.status] += 1
            rows.append(_object_receipt(answer))
        status = "rejected" if code else "partly" if counted["rejected"] else "accepted"
        number, file_id = f"{delivery.sequence:03d}", delivery.head.get("fileId", "")
        answered = {
            "message": delivery.message,
            "fileSequence": number,
            "fileId": file_id if _FILE_ID.fullmatch(file_id) else "",
            "status": status,
            "receivedAt": self._now,
            "reasonCode": code,
            "reasonText": " ".join(text.split()),
        }
        control = {"objectCount": sum(counted.values())}
        control |= {f"{status}Count": counted[status] for status in ("accepted", "duplicate", "rejected")}
        body = element("FileReceipt", 1, answered) + "".join(rows) + element("Control", 1, control)
        return self._document("Receipt", number, body, f"{delivery.message}/{number}/{file_id}/{code}")

    def payments(
        self,
        number: int,
        payments: Iterable[Mapping[str, object]],
        settlements: Iterable[tuple[sqlite3.Row, list[str]]],
    ) -> bytes:
        """Return ``payments.nnn``: rows joined with their claims, and payouts with the ids they settle."""
        sums, body = Counter[str](), []
        for row in payments:
            kind = str(row["kind"])
            sums[f"{kind}Count"] += 1
            sums[f"{kind}Total"] += int(str(row["amount"]))
            body.append(element("AgencyPayment", 2, _payment(row)))
        for settlement, paid in settlements:
            net = settlement["gross"] - settlement["fees"] - settlement["vat"]
            sums["settlementCount"] += 1
            sums["settlementNetTotal"] += net
            body.append(element("Settlement", 2, self._settlement(settlement, net), is_open=True))
            body += [element("SettledPayment", 3, {"paymentId": payment_id}) for payment_id in paid]
            body.append("    </Settlement>\n")
        names = ("paymentCount", "paymentTotal", "reversalCount", "reversalTotal")
        control = {name: _control(name, sums) for name in (*names, "settlementCount", "settlementNetTotal")}
        return self._ledger("Payments", number, "".join(body), control)

    def cases(self, number: int, events: Iterable[sqlite3.Row]) -> bytes:
        """Return ``cases.nnn``: one row per event, joined with its claim."""
        rows = [
            {
                "caseNumber": row["case_number"],
                "claimId": row["claim_id"],
                "invoiceNumber": row["invoice_number"],
                "state": row["state"],
                "stage": row["stage"],
                "closeCode": row["close_code"],
                "creditLossAmount": money(row["loss"]) if row["loss"] else "",
                "date": row["day"],
            }
            for row in events
        ]
        body = "".join(element("CaseStatus", 2, row) for row in rows)
        return self._ledger("Cases", number, body, {"caseCount": len(rows)})

    def snapshot(self, number: int, claims: Iterable[sqlite3.Row]) -> bytes:
        """Return ``snapshot.nnn``: the balance of every claim today."""
        rows, total = [], 0
        for row in claims:
            balance = row["original"] + row["effect"] - row["paid"]
            total += balance
            attributes = {
                "caseNumber": row["case_number"],
                "claimId": row["claim_id"],
                "invoiceNumber": row["invoice_number"],
                "asOf": self._now[:10],
                "state": row["state"],
                "principalOpen": money(balance),
                "interestOpen": "0.00",
                "feesOpen": "0.00",
            }
            rows.append(element("Balance", 2, attributes))
        control = {"balanceCount": len(rows), "principalTotal": money(total)}
        return self._ledger("Snapshot", number, "".join(rows), control)

    def _settlement(self, row: sqlite3.Row, net: int) -> dict[str, object]:
        return {
            "settlementId": row["settlement_id"],
            "payoutDate": row["payout"],
            "gross": money(row["gross"]),
            "fees": money(row["fees"]),
            "vat": money(row["vat"]),
            "net": money(net),
            "payToAccount": self._facts.creditor_account,
            "bankReference": row["bank_reference"],
        }

    def _ledger(self, root: str, number: int, body: str, control: Mapping[str, object]) -> bytes:
        facts = self._facts
        ledger = {"ledgerId": facts.ledger_id, "currency": facts.currency, "country": facts.country}
        whole = element("Ledger", 1, ledger, is_open=True) + body + "  </Ledger>\n" + element("Control", 1, control)
        # The counter starts again after 999; the moment keeps the ids of two rounds apart.
        return self._document(root, f"{number:03d}", whole, f"{root}/{number}/{self._now}")

    def _document(self, root: str, number: str, body: str, identity: str) -> bytes:
        facts = self._facts
        identification = {
            "profile": "kravport-sls-1",
            "message": root.lower(),
            "fileId": uuid.uuid5(_OWN_IDS, f"{facts.agency_id}/{facts.client_number}/{identity}"),
            "fileSequence": number,
            "createdAt": self._now,
            "senderId": facts.agency_id,
            "receiverId": facts.client_number,
            "test": "true" if facts.is_test else "false",
        }
        head = element("Identification", 1, identification)
        text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE}">\n{head}{body}</{root}>\n'
        return text.encode()


def _object_receipt(answer: Answer) -> str:
    attributes = {
        "objectType": answer.object_type,
        "objectId": answer.object_id,
        "status": answer.status,
        "caseNumber": answer.case_number,
        "reasonCode": answer.code,
        "reasonText": answer.text,
    }
    return element("ObjectReceipt", 1, attributes)


def _payment(row: Mapping[str, object]) -> dict[str, object]:
    parts = ("amount", "principal", "interest", "fees", "unallocated")
    return {
        "paymentId": row["payment_id"],
        "kind": row["kind"],
        "reversesPaymentId": row["reverses"],
        "caseNumber": row["case_number"],
        "claimId": row["claim_id"],
        "invoiceNumber": row["invoice_number"],
        "customerNumber": row["customer_number"],
        "receivedDate": row["received"],
        "paymentReference": row["reference"],
        "payerName": row["payer"],
        "text": row["text"],
        **{name: money(int(str(row[name]))) for name in parts},
        "creditorShare": money(int(str(row["share"]))),
    }


def _control(name: str, sums: Counter[str]) -> object:
    return money(sums[name]) if name.endswith("Total") else sums[name]
