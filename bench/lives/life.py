"""One creditor and one agency: invoices, links, refusals and money on evenings of trouble; in the end everything must agree."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.lives.accounts import Accounts
from bench.lives.counterparts import Counterpart
from bench.lives.far import Stage
from bench.lives.issuing import issue
from bench.world import Clock, open_house
from gateway.db.tables import Envelope, Task, TransferItem
from gateway.jobs import Desk
from gateway.services import agreements, called, customers, delivery, receipts, schedule, tasks
from tests.rules.world import ACTOR, World

EVENINGS_OF_A_LIFE = 5
SETTLES_WITHIN = 240
"""Steps of an hour and a half, fifteen days: longer than any letter and any retry waits."""
_QUIET_STEPS = 17
"""A whole evening more, in which nothing may go wrong again."""


@dataclass(slots=True)
class _Invoice:
    """What the creditor knows of an invoice that it has sent: its *customer*, and what is still owed in whole units."""

    number: str
    customer: str
    owed: int
    items: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Outcome:
    """How a life ended. *faults* is empty for one that ended well; *struck* counts each way of trouble."""

    counterpart: str
    seed: int
    evenings: int
    claims: int
    payments: int
    struck: Counter[str]
    faults: list[str] = field(default_factory=list)


class Life:
    """One creditor and its agency.

    Args:
        folder: empty.
        seed: decides everything that happens.
        terms: who the agency is.
        ways: what may go wrong; by default a part of all that there is, by the dice.
    """

    def __init__(self, folder: Path, seed: int, terms: Counterpart, ways: frozenset[str] | None = None) -> None:
        self.seed, self.terms, self.dice = seed, terms, random.Random(seed)
        self.clock, self.evenings, self.paid = Clock(), 0, 0
        self.house = open_house(f"sqlite:///{folder / 'kravport.sqlite'}", self.clock)
        self.ways = self._some_of(terms.ways) if ways is None else ways
        self.far = terms.far(terms, Stage(folder, self.clock, self.dice, self.ways))
        self._folder = folder
        self._invoices: list[_Invoice] = []
        self._refused: dict[str, _Invoice] = {}

    def _some_of(self, ways: frozenset[str]) -> frozenset[str]:
        """Choose a random combination; one life in five has all the trouble there is."""
        chosen = frozenset(way for way in sorted(ways) if self.dice.randrange(2))
        return chosen if self.seed % 5 and chosen else ways

    def live(self, evenings: int) -> Outcome:
        """Live through *evenings*, let everything settle, and say how it ended."""
        with self.far.open():
            self._begin()
            for _ in range(evenings):
                self._evening()
            struck = self.far.happened()
            self.far.calm()
            self._settle()
            faults = self._faults()
            claims = len(self.accounts.ours())
        return Outcome(self.terms.name, self.seed, self.evenings, claims, self.paid, struck, faults)

    def _begin(self) -> None:
        terms = self.terms
        options = {"profile": terms.layout, **terms.options, **self.far.agreement()}
        world = World(self.house, self.clock, self._folder, terms.agency, terms.country, terms.currency, options)
        self.world = world.start_draft()
        if terms.options.get("service") == "factoring":
            assert not world.use_factoring(account_number=terms.factors_account)
        self.far.begin(world)
        agreements.activate(self.house, world.agreement_id, ACTOR)
        self.accounts = Accounts(world, terms)
        for number in range(1, 5):
            world.customer(f"{10000 + number}", **terms.card)

    # --- an evening --------------------------------------------------------------------------------------------------

    def _evening(self) -> None:
        self.evenings += 1
        self._telephone()
        self._later_items()
        for n in range(self.dice.randrange(1, 5)):
            self._invoice(self.evenings * 10 + n)
        self._change_minds()
        self._pay()
        self.clock.moment = max(self.clock.moment, self.world.agreement().next_run_at)
        for _ in range(self.dice.randrange(6, 16)):
            self._step(self.dice.randrange(5, 100))

    def _invoice(self, number: int) -> None:
        name, customer = str(5000 + number), f"{10001 + self.dice.randrange(4)}"
        amount, day = self.dice.randrange(200, 2000), self.clock().date()
        days = {"booked": day, "due": day + timedelta(days=14)}
        if self.terms.is_overdue:
            days = {n: day - timedelta(days=d) for n, d in (("booked", 75), ("due", 60), ("reminder_date", 50))}
        reference = self.terms.reference(name, customer)
        self.world.invoice(name, amount, f"c{customer}", payment_reference=reference, **days)
        if self.terms.issues_documents:
            issue(self.world, f"c{customer}", name, "invoice", payment_reference=reference)
        invoice = _Invoice(name, customer, amount)
        self._invoices.append(invoice)
        kind = self.dice.choice((*self.terms.first, "", ""))
        if kind:
            self._item(invoice, kind, amount // 4)

    def _later_items(self) -> None:
        """Link payments and credit notes to invoices of earlier evenings."""
        owed = self.accounts.theirs(self.far)
        for invoice in self.dice.sample(self._invoices, min(len(self._invoices), 2)):
            amount = self.dice.randrange(20, 60)
            known = self.accounts.name_of(invoice.number)
            if self.terms.later and invoice.owed > 2 * amount and owed.get(known, 0) > 200 * amount:
                self._item(invoice, self.dice.choice(self.terms.later), amount)

    def _item(self, invoice: _Invoice, kind: str, amount: int) -> None:
        invoice.owed -= amount
        number = int(invoice.number) % 1000 + 100 * (len(invoice.items) + 1)
        name = f"9{number}" if kind == "credit_note" else f"p{number}"
        customer, booked = f"c{invoice.customer}", self.clock().date()
        if kind == "credit_note":
            self.world.credit_note(name, amount, invoice.number, customer=customer, booked=booked)
            if self.terms.issues_documents:
                issue(self.world, customer, name, "credit_note", credits=[invoice.number])
        else:
            self.world.payment(name, amount, customer=customer, booked=booked)
        invoice.items.append(name)
        self.world.link(invoice.number, *invoice.items, ref=f"L{invoice.number}")

    def _change_minds(self) -> None:
        """The agency refuses somebody, or takes one back whose card was mended."""
        if self._refused and self.dice.randrange(2):
            self._mend(self.dice.choice(sorted(self._refused)))
        elif self.far.strikes("partial_rejection", 40):
            invoice = self.dice.choice(self._invoices)
            self._refused.setdefault(invoice.customer, invoice)
            self.far.refuse(*self._names(self._refused[invoice.customer]))

    def _mend(self, customer: str) -> None:
        self.far.accept(*self._names(self._refused.pop(customer)))
        changes = {"phone": f"22{self.dice.randrange(10**6):06d}"}
        customers.correct_customer(self.house, self.world.customer_id(f"c{customer}"), changes, ACTOR)

    def _names(self, invoice: _Invoice) -> tuple[str, str, str]:
        return invoice.customer, f"kp-{self.world.entry_id(invoice.number)}", invoice.number

    def _pay(self) -> None:
        owed = [(claim, minor) for claim, minor in self.accounts.theirs(self.far).items() if minor > 100]
        for claim, minor in self.dice.sample(owed, min(len(owed), self.dice.randrange(4))):
            # Never twice the same part: equal money of one day in two formats is left to a person, and rightly (ADR 0026).
            is_part = self.far.strikes("partial_settlement", 33)
            self.far.pay(claim, minor // 2 - 1 - self.paid % 40 if is_part else minor, self.clock().date())
            self.paid += 1
        self.far.tell(self.clock())

    def _step(self, minutes: int) -> None:
        self.clock.moment += timedelta(minutes=minutes)
        schedule.tick(self.house)
        Desk(self.house, "worker-1").drain()
        self.far.work(self.clock())
        proposed = [row.id for row in self.world.payments(state="proposed")]
        if proposed and self.dice.randrange(2):
            self.world.post()

    # --- the end -----------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        for customer in sorted(self._refused):
            self._mend(customer)
        self.far.tell(self.clock())
        quiet = 0
        for step in range(SETTLES_WITHIN):
            self._step(90)
            if step % 16 == 15:
                self._telephone()
            quiet = quiet + 1 if not self.far.waits() and not self._faults() else 0
            if quiet == _QUIET_STEPS:
                return

    def _telephone(self) -> None:
        """What a person does once a day: ask for what was never answered, try again what was given up after three days, and
        offer again what the agency takes by now.
        """
        for row in self.world.rows(Task, Task.state == "failed"):
            tasks.retry(self.house, row.id, ACTOR)
        for row in self.world.rows(Envelope, Envelope.state == "delivered", Envelope.receipt_due_at < self.clock()):
            self.far.remind(row, self.clock())
        for row in self.world.rows(Envelope, Envelope.state == "in_doubt") if self.far.needs_telephone else ():
            self._clear_up(row)
        is_mended = (TransferItem.is_current, TransferItem.state == "rejected")
        for row in self.world.rows(TransferItem, *is_mended) if not self._refused else ():
            receipts.offer_again(self.house, row.envelope_id, ACTOR, "the agency takes it by now")

    def _clear_up(self, envelope: Any) -> None:
        with self.house.database.read() as connection:
            calls = called.open_calls_of(connection, envelope.id)
        for call in calls:
            delivery.confirm_delivery(self.house, envelope.id, ACTOR, self.far.has(call), call)
        if not calls:
            delivery.confirm_delivery(self.house, envelope.id, ACTOR, self.far.has(envelope.sha256))

    def _faults(self) -> list[str]:
        found = [
            *self.accounts.differences(self.far),
            *self.accounts.unsettled(),
            *self.far.doubles(),
            *self.far.faults(),
        ]
        told = len(self.world.payments())
        if told != self.paid:
            found.append(f"{self.paid} payments were made, {told} are known")
        cut = self.far.happened()["truncated"]
        if (set_aside := self.accounts.set_aside()) > cut:
            found.append(f"{set_aside} files set aside, {cut} were cut off")
        stuck = self.world.rows(Task, Task.state.in_(("failed", "in_doubt", "stopped")))
        return found + [f"{row.topic} {row.ref_id} is {row.state}" for row in stuck]


def live(seed: int, evenings: int, terms: Counterpart, ways: frozenset[str] | None = None) -> Outcome:
    """Live through *evenings* with one counterpart as *seed* decides; return how it ended."""
    with tempfile.TemporaryDirectory(prefix="kravport-life-") as folder:
        life = Life(Path(folder), seed, terms, ways)
        with closing(life.house.database):
            return life.live(evenings)
