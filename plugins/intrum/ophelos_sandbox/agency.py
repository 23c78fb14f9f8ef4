"""The agency: its calls over HTTPS, its webhooks, and what its customers and its bank do."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from gateway import clock
from gateway.testing.api_sandbox import ApiSandbox, OAuth2, Push
from plugins.intrum.ophelos_sandbox import rules
from plugins.intrum.ophelos_sandbox.books import ENDED, Books, Conflict
from plugins.intrum.ophelos_sandbox.store import PAGE_ROWS, TABLES, BadRequest, Things

VERSION = "2025-04-01"
_WEBHOOK = "webhook.json"
_LISTS = {"customers": "customer", "debts": "debt", "payments": "payment", "payouts": "payout"}
_Answer = tuple[Any, int] | Response
_NAMES = {"initializing": "initialzing"}
"""One event type is spelled so in their list."""


class OphelosSandbox(ApiSandbox):
    """One organisation at Ophelos.

    Args:
        root: the sandbox's folder.
        facts: ``organisation_id``, ``client_id``, ``client_secret`` and ``audience``; each has a default.
        now: tells the moment.
    """

    orders = frozenset({"refund", "pay_out", "end"})

    def __init__(self, root: Path, facts: Mapping[str, Any], now: Callable[[], datetime] = clock.now) -> None:
        self.organisation = str(facts.get("organisation_id", "org_1"))
        clients = {str(facts.get("client_id", "kravport")): str(facts.get("client_secret", "sandbox"))}
        self._oauth2 = OAuth2(clients, audience=str(facts.get("audience", "ophelos-api")))
        super().__init__(root, TABLES, self._oauth2, self._sign, now)
        self._routes()

    def way_in(self, address: str, ca_pem: str) -> Mapping[str, Mapping[str, Any]]:
        """Return ``transport`` and ``secrets`` of an agreement that leads here, served at *address*."""
        client, secret = next(iter(self._oauth2.clients.items()))
        auth = {
            "kind": "oauth2", "token_url": f"{address}{self._oauth2.path}", "client_id": client,
            "audience": self._oauth2.audience,
        }  # fmt: skip
        transport = {"kind": "https", "base_url": address, "ca": ca_pem, "auth": auth}
        return {"transport": transport, "secrets": {"api_client_secret": secret}}

    # --- calls -------------------------------------------------------------------------------------------------------

    def _routes(self) -> None:
        for plural, kind in _LISTS.items():
            for suffix in ("", "/search"):
                self._route("GET", f"/{plural}{suffix}", self._lister(kind))
            self._route("GET", f"/{plural}/<name>", self._getter(kind))
        for plural, kind in (("payments", "payment"), ("line_items", "line_item"), ("invoices", "invoice")):
            for suffix in ("", "/search"):
                self._route("GET", f"/debts/<name>/{plural}{suffix}", self._lister(kind))
        for suffix in ("", "/search"):
            self._route("GET", f"/organisations/<organisation>/payments{suffix}", self._lister("payment"))
        self._route("POST", "/customers", self._create_customer)
        self._route("PUT", "/customers/<name>", self._change_customer)
        self._route("POST", "/debts", self._create_debt)
        self._route("GET", "/debts/<name>/summary", self._summary)
        self._route("POST", "/debts/<name>/payments", self._create_payment)
        self._route("POST", "/debts/<name>/line_items", self._create_line)
        self._route("POST", "/debts/<name>/<action>", self._act)
        self._route("POST", "/webhooks", self._create_webhook)
        self._route("GET", "/tenants/me", lambda _things: ({"id": "ten_1", "object": "tenant", "name": "Sandbox"}, 200))

    def _route(self, method: str, path: str, call: Callable[..., _Answer]) -> None:
        @wraps(call)
        def answered(**names: str) -> _Answer:
            if request.headers.get("Ophelos-Version") != VERSION:
                return {"message": f"Ophelos-Version is not {VERSION}"}, 400
            try:
                with self.transaction() as connection:
                    return call(Things(connection, self.now()), **names)
            except BadRequest as error:
                return {"message": str(error)}, 400
            except Conflict as error:
                return {"message": str(error)}, 409
            except rules.Unprocessable as error:
                return {"errors": error.errors}, 422

        name = f"{method} {path}"
        self.app.add_url_rule(path, name, self.needs_bearer()(answered), methods=[method])

    def _lister(self, kind: str) -> Callable[..., _Answer]:
        def listed(things: Things, name: str = "", organisation: str = "") -> _Answer:
            if (name and things.get("debt", name) is None) or organisation not in {"", self.organisation}:
                return _missing()
            return _page(things, things.all(kind, name))

        return listed

    @staticmethod
    def _getter(kind: str) -> Callable[..., _Answer]:
        def got(things: Things, name: str) -> _Answer:
            found = things.get(kind, name)
            return (found, 200) if found else _missing()

        return got

    def _create_customer(self, things: Things) -> _Answer:
        body = rules.customer(_body())
        contacts = [
            things.add("contact_detail", {"status": "unverified", **one}) for one in body.get("contact_details", [])
        ]
        made = things.add("customer", {**body, "contact_details": contacts, "debts": []})
        self.created("customer", str(made["metadata"].get("gw_customer", made["id"])))
        return made, 201

    @staticmethod
    def _change_customer(things: Things, name: str) -> _Answer:
        found = things.get("customer", name)
        if found is None:
            return _missing()
        things.change(found, **rules.customer({**found, **_body()}))
        return found, 200

    def _create_debt(self, things: Things) -> _Answer:
        known = {one["id"] for one in things.all("customer")}
        body = rules.debt(_body(), known, self.organisation)
        for one in things.all("refusal"):
            if one["account_number"] == body.get("account_number"):
                raise rules.Unprocessable({one["field"]: [one["text"]]})
        debt = Books(things).open(body)
        self.created("debt", str(debt["metadata"].get("gw_case", debt["id"])))
        self._ring(things, "debt.created", debt)
        return debt, 201

    @staticmethod
    def _summary(things: Things, name: str) -> _Answer:
        debt = things.get("debt", name)
        return (debt["summary"], 200) if debt else _missing()

    def _create_payment(self, things: Things, name: str) -> _Answer:
        return self._on_debt(things, name, rules.payment, Books.pay)

    def _create_line(self, things: Things, name: str) -> _Answer:
        return self._on_debt(things, name, rules.line_item, Books.add_line)

    def _on_debt(
        self,
        things: Things,
        name: str,
        examine: Callable[[object, str], dict[str, Any]],
        do: Callable[[Books, dict[str, Any], dict[str, Any]], dict[str, Any]],
    ) -> _Answer:
        debt = things.get("debt", name)
        if debt is None:
            return _missing()
        made = do(Books(things), debt, examine(_body(), debt["currency"]))
        self.created("item", str(made["metadata"].get("gw_item", made["id"])))
        self._ring(things, "debt.updated", debt)
        return made, 201

    def _act(self, things: Things, name: str, action: str) -> _Answer:
        debt = things.get("debt", name)
        reason = str(_body().get("reason", ""))
        if debt is None or not Books(things).act(debt, action, reason):
            return _missing()
        self.created("action", f"{name} {action} {reason}".strip())
        self._ring(things, f"debt.{debt['status']['value']}", debt)
        return debt, 200

    def _create_webhook(self, things: Things) -> _Answer:
        body = _body()
        key = hashlib.sha256(f"{self.root.name} {body.get('url')}".encode()).hexdigest()
        made = things.add("webhook", {"enabled": True, "enabled_events": ["*"], **body, "signing_key": key})
        return made, 201

    # --- webhooks ----------------------------------------------------------------------------------------------------

    def _ring(self, things: Things, kind: str, debt: Mapping[str, Any]) -> None:
        """Queue an event for each address that wants it."""
        for url in self._doors(things):
            event = things.add("event", {"type": _NAMES.get(kind, kind), "data": debt, "livemode": False})
            self.push(url, json.dumps(event).encode(), {"Content-Type": "application/json"})

    def _doors(self, things: Things) -> Mapping[str, str]:
        """Return signing keys by address: of webhooks that were made by a call, and of the one in ``webhook.json``."""
        doors = {one["url"]: one["signing_key"] for one in things.all("webhook") if one["enabled"]}
        agreed = self.root / _WEBHOOK
        if agreed.exists():
            told = json.loads(agreed.read_text())
            doors[told["url"]] = told["secret"]
        return doors

    def _sign(self, push: Push, moment: datetime) -> Mapping[str, str]:
        with self.transaction() as connection:
            key = self._doors(Things(connection, moment)).get(push.url, "")
        stamp = str(int(moment.timestamp()))
        value = hmac.new(key.encode(), f"{stamp}.".encode() + push.body, hashlib.sha256).hexdigest()
        return {"Ophelos-Signature": f"t={stamp},v1={value}"}

    # --- orders: what the world does ---------------------------------------------------------------------------------

    def refuse(self, account_number: str, field: str, text: str) -> None:
        """Refuse the debt of that number from now on, whatever it says."""
        with self.transaction() as connection:
            told = {"account_number": account_number, "field": field, "text": text}
            Things(connection, self.now()).add("refusal", told)

    def accept(self, account_number: str) -> None:
        """Take back a `refuse`."""
        with self.transaction() as connection:
            things = Things(connection, self.now())
            for one in things.all("refusal"):
                if one["account_number"] == account_number:
                    things.change(one, account_number=None)

    def pay(self, claim_id: str, minor: int, on: date, status: str = "pending") -> str:
        """Let the customer of a claim begin to pay by card; return the payment's id."""
        with self.transaction() as connection:
            things = Things(connection, self.now())
            debt = _debt_of(things, claim_id)
            told = {
                "amount": minor, "currency": debt["currency"], "payment_provider": "card", "status": status,
                "transaction_at": f"{on.isoformat()}T11:15:00Z", "transaction_ref": f"ch_{debt['id']}_{minor}",
            }  # fmt: skip
            made = Books(things).pay(debt, told)
            self._ring(things, "debt.updated", debt)
        return str(made["id"])

    def pay_some(self, on: date, seed: int) -> list[str]:
        """Let about half of the customers begin to pay, in full or in part; return the payments' ids."""
        dice, made = random.Random(seed), []  # noqa: S311  # guards nothing
        for claim_id, minor in sorted(self.balances().items()):
            if minor > 1 and dice.randrange(2):
                made.append(self.pay(claim_id, dice.choice((minor, minor // 2)), on))
        return made

    def write_payments(self, now: datetime) -> list[str]:
        """Let what was begun succeed; return the payments' ids: there is no file, only something new to ask for."""
        with self.transaction() as connection:
            things = Things(connection, now)
            begun = [payment for payment in things.all("payment") if payment["status"] == "pending"]
            for payment in begun:
                Books(things).succeed(payment)
        return [str(payment["id"]) for payment in begun]

    def refund(self, payment_id: str) -> None:
        """Give a payment back to the customer."""
        with self.transaction() as connection:
            things = Things(connection, self.now())
            payment = things.get("payment", payment_id)
            if payment is None:
                raise KeyError(payment_id)
            Books(things).refund(payment)

    def end(self, claim_id: str, status: str) -> None:
        """Give the debt of a claim a status of Ophelos' own making."""
        with self.transaction() as connection:
            things = Things(connection, self.now())
            debt = _debt_of(things, claim_id)
            things.change(debt, status={**debt["status"], "value": status, "whodunnit": "ophelos"})
            self._ring(things, "debt.updated", debt)

    def pay_out(self, on: date) -> str:
        """Pay out what customers have paid by now; the payout does not say what it contains."""
        with self.transaction() as connection:
            things = Things(connection, self.now())
            received = [one for one in things.all("payment") if one.get("payment_provider") and not one.get("paid_out")]
            for one in received:
                things.change(one, paid_out=True)
            currency = received[0]["currency"] if received else "EUR"
            told = {"amount": sum(one["amount"] for one in received), "currency": currency, "status": "completed"}
            made = things.add("payout", {**told, "payout_date": on.isoformat(), "organisation_id": self.organisation})
        return str(made["id"])

    def balances(self) -> dict[str, int]:
        """Return what is open of each claim's principal, in minor units; nothing once the debt was withdrawn."""
        with self.transaction() as connection:
            things = Things(connection, self.now())
            return {
                _claim_id(debt): 0
                if debt["status"]["value"] in ENDED - {"paid", "settled"}
                else Books(things).balance(debt)
                for debt in things.all("debt")
            }


def _debt_of(things: Things, claim_id: str) -> dict[str, Any]:
    return next(debt for debt in things.all("debt") if _claim_id(debt) == claim_id)


def _claim_id(debt: Mapping[str, Any]) -> str:
    return str(debt["metadata"].get("gw_case", debt["id"])).rpartition(":")[2]


def _body() -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise BadRequest("the body is no JSON object")
    return body


def _missing() -> _Answer:
    return {"message": "not found"}, 404


def _page(things: Things, rows: list[dict[str, Any]]) -> _Answer:
    asked = request.args.to_dict()
    page = things.page(rows, asked)
    body = {"object": "list", "data": page.rows, "has_more": page.has_next, "total_count": page.total}
    kept: dict[str, str] = {name: asked[name] for name in ("query", "limit") if name in asked} or {
        "limit": str(PAGE_ROWS)
    }
    links = [("first", kept)]
    if page.has_next and page.rows:
        links.append(("next", {**kept, "after": page.rows[-1]["id"]}))
    if page.has_previous and page.rows:
        links.append(("prev", {**kept, "before": page.rows[0]["id"]}))
    told = ", ".join(f'<{request.base_url}?{urlencode(values)}>; rel="{name}"' for name, values in links)
    headers = {"Link": told, "X-Total-Count": str(page.total), "X-Page-Items": str(len(page.rows))}
    return Response(json.dumps(body), 200, headers, content_type="application/json")
