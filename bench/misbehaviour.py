"""Evenings with an agency that misbehaves in every way at once; at the end both ledgers must agree, claim by claim.

``python -m bench.misbehaviour [--evenings 1000] [--seed 1] [--agency lowell]``. Each life is a creditor with its agency for a
few evenings: invoices, links, payments, refused customers, on a line that breaks and with post that comes late, twice,
cut off and in the wrong order (`gateway.demo.misbehaviour`). Then the trouble ends and everything must settle by itself. Same
seed, same lives. Exit code 0 when every life ended well; a life that did not is named by its seed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import structlog
from sqlalchemy import func, select

from bench.world import Clock, open_house
from gateway import transports
from gateway.db.tables import Claim, Envelope, InboundFile, IncomingPayment, Task, TransferItem
from gateway.demo.misbehaviour import WAYS, FlakyLine, Postman
from gateway.demo.sandboxes import maker_of
from gateway.domain.identifiers import KidCheck, make_kid
from gateway.jobs import Desk
from gateway.services import customers, delivery, mailbox, receipts, schedule
from tests.rules.world import ACTOR, World

EVENINGS_OF_A_LIFE = 5
SETTLES_WITHIN = 200
"""Steps of an hour and a half, twelve days: longer than any letter and any retry waits."""


class Life:
    """One creditor and its agency.

    Args:
        folder: empty.
        seed: decides everything that happens.
        agency: key of a plugin whose sandbox speaks kravport-sls-1.
        ways: what may go wrong.
    """

    def __init__(self, folder: Path, seed: int, agency: str = "lowell", ways: frozenset[str] = WAYS) -> None:
        self.seed, self.dice, self.ways = seed, random.Random(seed), ways
        self.clock, self.evenings = Clock(), 0
        self.house = open_house(f"sqlite:///{folder / 'kravport.sqlite'}", self.clock)
        box = folder / agency
        transport = {"kind": "folder", "root": str(box)}
        self.world = World(self.house, self.clock, folder, agency, options={"transport": transport}).start()
        facts = {"client_number": "4711", "ledger_id": "4711-NOK", "currency": "NOK", "country": "NO"}
        make = maker_of(agency)
        self.post = Postman(lambda inner: make(inner, facts), box, ways, self.dice)
        self.refused: set[str] = set()
        for number in range(1, 5):
            self.world.customer(f"{10000 + number}")

    def live(self, evenings: int) -> None:
        """Live through *evenings* and let everything settle."""
        with self._line():
            for _ in range(evenings):
                self._evening()
            self.ways = self.post.ways = frozenset()
            self._settle()

    def faults(self) -> list[str]:
        """Return what is not as it must be; empty for a life that ended well."""
        ours, theirs = self._our_balances(), self.post.balances()
        found = [f"{claim}: we {ours.get(claim)}, agency {theirs.get(claim)}" for claim in sorted({*ours, *theirs})
                 if ours.get(claim) != theirs.get(claim)]  # fmt: skip
        told = self._count(IncomingPayment.id)
        if told != self.paid:
            found.append(f"{self.paid} payments were made, {told} are known")
        unanswered = self._count(Envelope.id, Envelope.state.not_in(("accepted", "partly", "rejected")))
        unread = self._count(InboundFile.id, InboundFile.state.in_(("stored", "reading")))
        set_aside = self._count(InboundFile.id, InboundFile.state.in_(("quarantined", "refused")))
        waiting = self._count(TransferItem.item_id, TransferItem.is_current, TransferItem.state != "accepted")
        stuck = self._count(Task.id, Task.state.in_(("failed", "in_doubt", "stopped")))
        for what, count in (
            ("files unanswered", unanswered),
            ("files unread", unread),
            ("items open", waiting),
            ("tasks stuck", stuck),
        ):
            found += [f"{count} {what}"] if count else []
        if set_aside > self.post.happened["truncated"]:
            found.append(f"{set_aside} files set aside, {self.post.happened['truncated']} were cut off")
        return found

    # --- an evening --------------------------------------------------------------------------------------------------

    paid = 0

    def _evening(self) -> None:
        self.evenings += 1
        for n in range(self.dice.randrange(1, 5)):
            self._invoice(self.evenings * 10 + n)
        self._change_minds()
        self._pay()
        self.clock.moment = max(self.clock.moment, self.world.agreement().next_run_at)
        for _ in range(self.dice.randrange(6, 16)):
            self._step(self.dice.randrange(5, 100))

    def _invoice(self, number: int) -> None:
        name, customer = str(5000 + number), f"c{10001 + self.dice.randrange(4)}"
        kroner, day = self.dice.randrange(200, 2000), self.clock().date()
        kid = make_kid(f"{number:07d}", KidCheck.MOD10)
        self.world.invoice(name, kroner, customer, payment_reference=kid, booked=day, due=day + timedelta(days=14))
        choice = self.dice.randrange(4)
        if choice == 0:
            self.world.payment(f"p{name}", kroner // 4, customer=customer, booked=day)
            self.world.link(name, f"p{name}")
        elif choice == 1:
            self.world.credit_note(f"k{name}", kroner // 5, customer=customer, booked=day)
            self.world.link(name, f"k{name}")

    def _change_minds(self) -> None:
        """The agency refuses a customer, or takes one back whose card was mended."""
        number = f"{10001 + self.dice.randrange(4)}"
        if number in self.refused:
            self._mend(number)
        elif self.dice.randrange(3) == 0:
            self.post.happened["partial_rejection"] += 1
            self.post.refuse("customer", number, "CUSTOMER_DECEASED", "refused on purpose")
            self.refused.add(number)

    def _mend(self, number: str) -> None:
        self.refused.discard(number)
        self.post.accept("customer", number)
        changes = {"phone": f"22{self.dice.randrange(10**6):06d}"}
        customers.correct_customer(self.house, self.world.customer_id(f"c{number}"), changes, ACTOR)

    def _pay(self) -> None:
        owed = [(claim, minor) for claim, minor in self.post.balances().items() if minor > 100]
        for claim, minor in self.dice.sample(owed, min(len(owed), self.dice.randrange(4))):
            # Never twice the same part: equal money of one day in two formats is left to a person, and rightly (ADR 0026).
            part = minor if self.dice.randrange(3) else minor // 2 - 1 - self.paid % 40
            self.post.pay(claim, part, self.clock().date())
            self.paid += 1
        self.dice.choice((self.post.write_payments, self.post.write_camt054))(self.clock())

    def _step(self, minutes: int) -> None:
        self.clock.moment += timedelta(minutes=minutes)
        schedule.tick(self.house)
        Desk(self.house, "worker-1").drain()
        self.post.work(self.clock())
        proposed = [row.id for row in self.world.payments(state="proposed")]
        if proposed and self.dice.randrange(2):
            self.world.post()

    def _settle(self) -> None:
        for number in sorted(self.refused):
            self._mend(number)
        quiet = 0
        for step in range(SETTLES_WITHIN):
            self._step(90)
            if step % 16 == 15:
                self._offer_again()
            is_calm = not self.post.waits() and not self.faults()
            quiet = quiet + 1 if is_calm else 0
            if quiet > 16:  # a whole evening more, in which nothing may go wrong again
                return

    def _offer_again(self) -> None:
        """What a person does of whom a refusal reached only after the card was mended: nothing else would release it."""
        for row in self.world.rows(TransferItem, TransferItem.is_current, TransferItem.state == "rejected"):
            receipts.offer_again(self.house, row.envelope_id, ACTOR, "the agency takes the customer back")

    # --- looking -----------------------------------------------------------------------------------------------------

    def _our_balances(self) -> dict[str, int]:
        query = select(Claim.claim_id, Claim.told_minor - Claim.agency_paid_minor).where(Claim.state != "rejected")
        with self.house.database.read() as connection:
            return {claim: int(minor) for claim, minor in connection.execute(query)}

    def _count(self, column: object, *which: object) -> int:
        with self.house.database.read() as connection:
            return int(connection.execute(select(func.count(column)).where(*which)).scalar_one())

    @contextmanager
    def _line(self) -> Iterator[None]:
        """Let delivery and fetching go over the flaky line; the folder's files are whole, so nobody waits for them to settle."""
        plain = transports.open_transport

        def flaky(settings, secrets):
            return FlakyLine(plain(settings, secrets), self.ways, self.dice, self.post.happened)

        with ExitStack() as stack:
            for module in (delivery, mailbox):
                stack.enter_context(patch.object(module, "open_transport", flaky))
            stack.enter_context(patch.object(transports, "SETTLE_SECONDS", 0))
            yield


def live(seed: int, evenings: int, agency: str = "lowell") -> tuple[Life, list[str]]:
    """Live through *evenings* as *seed* decides; return the life and what was wrong at its end."""
    with tempfile.TemporaryDirectory(prefix="kravport-life-") as folder:
        life = Life(Path(folder), seed, agency)
        with closing(life.house.database):
            life.live(evenings)
            return life, life.faults()


def main() -> int:
    """Run as many lives as the evenings need."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--evenings", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--agency", default="lowell")
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    happened, bad, claims, began = Counter(), [], 0, time.monotonic()
    for number in range(-(-asked.evenings // EVENINGS_OF_A_LIFE)):
        life, faults = live(asked.seed + number, EVENINGS_OF_A_LIFE, asked.agency)
        happened += life.post.happened
        claims += life.evenings
        if faults:
            bad.append(life.seed)
            print(f"seed {life.seed}: {'; '.join(faults[:5])}", flush=True)
    print(f"{claims} evenings in {time.monotonic() - began:.0f} s, {len(bad)} lives ended badly {bad[:20]}")
    for way, count in sorted(happened.items()):
        print(f"  {way:22} {count}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
