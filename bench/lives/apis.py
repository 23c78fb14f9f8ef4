"""Agencies with an API: their sandbox served over TLS on this machine, every call on a line that misbehaves, webhooks to our door."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from flask import Flask

from bench.lives.far import Far, Stage
from gateway import https
from gateway.demo.misbehaviour import API, POST, Postman
from gateway.demo.sandboxes import maker_of
from gateway.services import agreements, inbound
from gateway.testing.api_sandbox import Push, Pusher, Served, serving
from gateway.web.webhooks import webhook_blueprint

if TYPE_CHECKING:
    from bench.lives.counterparts import Counterpart
    from tests.rules.world import World

ACTOR = "bench"


class ApiFar(Far):
    """An agency that is asked and called over HTTPS.

    Args:
        terms: who it is.
        stage: where it lives.
    """

    def __init__(self, terms: Counterpart, stage: Stage) -> None:
        super().__init__(terms, stage)
        self.sandbox = self._made()
        self.sandbox.now = stage.clock
        self.sandbox.misbehave(self.ways & API, stage.dice, self._sleep)
        self.trouble = self.sandbox.trouble
        self._pusher: Pusher | None = None
        self._served: Served | None = None

    def _made(self) -> Any:
        return maker_of(self.terms.agency)(self.stage.folder / "far", self.terms.facts)

    def _sleep(self, seconds: float) -> None:
        """Waiting costs the time of the life, not ours."""
        self.stage.clock.moment += timedelta(seconds=seconds)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Serve the sandbox; waits and the life of tokens are those of the simulated clock."""
        simulated = SimpleNamespace(sleep=self._sleep, monotonic=lambda: self.stage.clock().timestamp())
        with ExitStack() as stack:
            self._served = stack.enter_context(serving(self.sandbox))
            stack.callback(self.sandbox.close)
            stack.enter_context(patch.object(https, "time", simulated))
            stack.enter_context(patch.object(https, "_tokens", {}))
            yield

    def _way_in(self) -> Mapping[str, Mapping[str, Any]]:
        assert self._served is not None
        way: Mapping[str, Mapping[str, Any]] = self.sandbox.way_in(self._served.address, self._served.ca_pem)
        return way

    def agreement(self) -> Mapping[str, Any]:
        """Return the way to the API."""
        return {"transport": self._way_in()["transport"]}

    def begin(self, world: World) -> None:
        """Exchange secrets, and the address for webhooks."""
        super().begin(world)
        for name, value in self._way_in()["secrets"].items():
            agreements.set_secret(world.house, world.agreement_id, name, value, ACTOR)
        agreements.set_secret(world.house, world.agreement_id, "webhook_secret", "a key that both sides know", ACTOR)
        address = (
            f"/webhooks/{self.terms.agency}/{agreements.new_webhook_token(world.house, world.agreement_id, ACTOR)}"
        )
        app = Flask("door")
        app.register_blueprint(webhook_blueprint(world.house))
        door = app.test_client()

        def post(push: Push) -> bool:
            return door.post(address, data=push.body, headers=dict(push.headers)).status_code in {200, 202}

        told = {"url": f"https://kravport.example{address}", "secret": "a key that both sides know"}
        (self.sandbox.root / "webhook.json").write_text(json.dumps(told))
        self._pusher = Pusher(self.sandbox, post)

    def calm(self) -> None:
        """End all trouble; the count of it stays with `trouble`."""
        super().calm()
        self.sandbox.misbehave(())

    def happened(self) -> Counter[str]:
        """Return how often each way struck."""
        struck: Counter[str] = self.trouble.happened + self.own
        return struck

    def work(self, now: datetime) -> None:
        """Let the agency work, and post what it has to say."""
        self.sandbox.work(now)
        assert self._pusher is not None
        self._pusher.work(now)

    def waits(self) -> int:
        """Return how many webhooks wait."""
        return len(self.sandbox.pushes())

    def balances(self) -> Mapping[str, int]:
        """Return the agency's own ledger."""
        found: Mapping[str, int] = self.sandbox.balances()
        return found

    def pay(self, claim: str, minor: int, on: date) -> None:
        """Let a debtor pay."""
        self.sandbox.pay(claim, minor, on)

    def tell(self, now: datetime) -> None:
        """Let what was paid be there to be asked for."""
        self.sandbox.write_payments(now)

    def doubles(self) -> Iterable[str]:
        """Yield what was created more than once."""
        made = self.sandbox.creations()
        yield from (f"{kind} {key} was made {count} times" for (kind, key), count in made.items() if count > 1)


class Ophelos(ApiFar):
    """Ophelos refuses single debts; a payment is begun, and succeeds later."""

    def refuse(self, customer: str, claim: str, invoice: str) -> None:
        """Refuse the debt of an invoice."""
        del customer, claim
        self.sandbox.refuse(invoice, "due_on", "lies too far back")

    def accept(self, customer: str, claim: str, invoice: str) -> None:
        """Take the debt."""
        del customer, claim
        self.sandbox.accept(invoice)

    def pay(self, claim: str, minor: int, on: date) -> None:
        """Let a customer begin to pay."""
        self.sandbox.pay(claim, minor, on, "succeeded")


class Kravia(ApiFar):
    """Kravia refuses a customer, and pays out settlements that are to be acknowledged."""

    def refuse(self, customer: str, claim: str, invoice: str) -> None:
        """Refuse a debtor."""
        del claim, invoice
        self.sandbox.refuse("customer", customer, "DEBTOR_UNKNOWN", "no such debtor")

    def accept(self, customer: str, claim: str, invoice: str) -> None:
        """Take the debtor back."""
        del claim, invoice
        self.sandbox.accept("customer", customer)

    def faults(self) -> Iterable[str]:
        """Yield settlements that nobody has acknowledged."""
        yield from (
            f"settlement {number} is not acknowledged" for number, ours in self.sandbox.booked().items() if not ours
        )


class LowellAssignments(ApiFar):
    """Lowell in Finland: what nobody answered a person settles call by call; money comes by the bank, whose post is bad."""

    needs_telephone = True

    def _made(self) -> Any:
        make = maker_of(self.terms.agency)
        dice, ways = self.stage.dice, self.ways & POST
        self.post = Postman(lambda inner: make(inner, self.terms.facts), self.stage.folder / "far", ways, dice)
        self._owing = 0
        return self.post.api

    def calm(self) -> None:
        """End all trouble."""
        super().calm()
        self.post.ways = frozenset()

    def happened(self) -> Counter[str]:
        """Return how often each way struck."""
        return super().happened() + self.post.happened

    def work(self, now: datetime) -> None:
        """Let the bank's files arrive as a bookkeeper takes them in."""
        super().work(now)
        self.post.work(now)
        for path in sorted((self.stage.folder / "far" / "download").iterdir()):
            content = io.BytesIO(path.read_bytes())
            inbound.store(self.world.house, self.world.agreement_id, "upload", path.name, content)
            path.unlink()

    def waits(self) -> int:
        """Return how much is on its way."""
        return super().waits() + self.post.waits()

    def refuse(self, customer: str, claim: str, invoice: str) -> None:
        """Refuse a claim."""
        del customer, invoice
        self.sandbox.refuse("claim", claim, "E17", "debtor is unknown")

    def accept(self, customer: str, claim: str, invoice: str) -> None:
        """Take the claim."""
        del customer, invoice
        self.sandbox.accept("claim", claim)

    def pay(self, claim: str, minor: int, on: date) -> None:
        """Let a debtor pay."""
        super().pay(claim, minor, on)
        self._owing += 1

    def tell(self, now: datetime) -> None:
        """Let the bank tell, where there is something."""
        if self._owing:
            super().tell(now)
            self._owing = 0

    def has(self, what: str) -> bool:
        """Say whether the claim of a call was assigned."""
        return ("assignment", what.split(":")[1]) in self.sandbox.creations()
