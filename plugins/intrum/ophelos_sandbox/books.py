"""Debts, what is on them and what becomes of them, in the words of Ophelos' own statuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from plugins.intrum.ophelos_sandbox.store import Things

ENDED = {"withdrawn", "deleted", "returned", "discharged", "settled", "paid", "closed"}
_BREAKDOWN = {
    "debt": "principal", "credit": "principal", "interest": "interest", "fee": "fees", "discount": "discounts",
    "vat": "value_added_tax", "refund": "refunds", "creditor_refund": "refunds",
}  # fmt: skip
_ACTIONS: Mapping[str, tuple[str, set[str], bool]] = {
    "ready": ("prepared", {"initializing"}, True),
    "pause": ("paused", ENDED, False),
    "resume": ("resumed", {"paused"}, True),
    "settle": ("settled", ENDED, False),
    "withdraw": ("withdrawn", ENDED, False),
    "dispute": ("disputed", ENDED | {"disputed"}, False),
    "resolve-dispute": ("assessing", {"disputed"}, True),
}
"""By action: the status after it, and statuses it needs (True) or does not go with (False)."""


class Conflict(Exception):
    """The debt is in a state that does not go with the call: status 409."""


class Books:
    """The debts within one transaction."""

    def __init__(self, things: Things) -> None:
        self.things = things

    def open(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Open a debt with its invoices and their lines."""
        told = {name: body[name] for name in ("account_number", "currency", "metadata", "originator") if name in body}
        debt = self.things.add(
            "debt", {**told, "customer": body["customer_id"], "organisation": body["organisation_id"]}
        )
        for invoice in body.get("invoices", []):
            rest = {name: value for name, value in invoice.items() if name != "line_items"}
            kept = self.things.add("invoice", {"status": "outstanding", **rest, "debt": debt["id"]}, debt["id"])
            for line in invoice.get("line_items", []):
                self._add_line(debt, line, kept["id"])
        self._tell(debt, "initializing", "")
        return debt

    def add_line(self, debt: dict[str, Any], line: Mapping[str, Any]) -> dict[str, Any]:
        """Add a line item to a debt; there is no way to change one."""
        self._refuse_ended(debt)
        made = self._add_line(debt, line, None)
        self._settle(debt)
        return made

    def pay(self, debt: dict[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
        """Take a payment on a debt, of the client's telling or the customer's."""
        self._refuse_ended(debt)
        made = self.things.add("payment", {"status": "succeeded", **told, "debt": debt["id"]}, debt["id"])
        self._settle(debt)
        return made

    def succeed(self, payment: dict[str, Any]) -> None:
        """Let a payment that was begun come in."""
        self.things.change(payment, status="succeeded")
        debt = self.things.get("debt", payment["debt"])
        assert debt is not None
        self._settle(debt)

    def refund(self, payment: dict[str, Any]) -> None:
        """Give a payment back; a debt that was paid with it goes on."""
        self.things.change(payment, status="refunded")
        debt = self.things.get("debt", payment["debt"])
        assert debt is not None
        self._tell(debt, "adjusted", "")

    def act(self, debt: dict[str, Any], action: str, reason: str) -> bool:
        """Do what an action asks; False where there is none of that name."""
        if action not in _ACTIONS:
            return False
        after, named, is_needed = _ACTIONS[action]
        if (debt["status"]["value"] in named) is not is_needed:
            raise Conflict(f"a debt that is {debt['status']['value']} cannot {action}")
        self._tell(debt, after, reason)
        return True

    def balance(self, debt: Mapping[str, Any]) -> int:
        """Return what is open of the principal, in minor units: fees and interest stand apart."""
        breakdown: Mapping[str, int] = debt["summary"]["breakdown"]
        return breakdown["principal"] - int(debt["summary"]["amount_paid"])

    def _refuse_ended(self, debt: Mapping[str, Any]) -> None:
        if debt["status"]["value"] in ENDED - {"paid", "settled"}:
            raise Conflict(f"the debt is {debt['status']['value']}")

    def _add_line(self, debt: Mapping[str, Any], line: Mapping[str, Any], invoice: str | None) -> dict[str, Any]:
        return self.things.add("line_item", {**line, "debt_id": debt["id"], "invoice_id": invoice}, debt["id"])

    def _settle(self, debt: dict[str, Any]) -> None:
        """Let a debt that nothing is left of be paid, and tell the new sums."""
        status = debt["status"]
        self._tell(debt, status["value"], status["reason"])
        if debt["summary"]["amount_remaining"] <= 0 and status["value"] not in ENDED:
            self._tell(debt, "paid", "")

    def _tell(self, debt: dict[str, Any], value: str, reason: str) -> None:
        breakdown: Counter[str] = Counter(dict.fromkeys(_BREAKDOWN.values(), 0))
        for line in self.things.all("line_item", debt["id"]):
            breakdown[_BREAKDOWN[line["kind"]]] += line["amount"]
        paid = sum(one["amount"] for one in self.things.all("payment", debt["id"]) if one["status"] == "succeeded")
        total = sum(breakdown.values())
        summary = {
            "amount_total": total, "amount_paid": paid, "amount_remaining": total - paid, "breakdown": dict(breakdown),
        }  # fmt: skip
        self.things.change(debt, summary=summary)
        status = {"value": value, "whodunnit": "client", "context": None, "reason": reason}
        if {**status, "updated_at": None} != {**debt.get("status", {}), "updated_at": None}:
            status["updated_at"] = debt["updated_at"]
            self.things.change(debt, status=status)
