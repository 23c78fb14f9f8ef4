"""Agencies behind a mailbox: the sandbox of the plugin, its post carried badly, and a line that breaks."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from unittest.mock import patch

from bench.lives.far import Far, Stage
from gateway import transports
from gateway.demo.misbehaviour import POST, FlakyLine, Postman
from gateway.demo.sandboxes import maker_of
from gateway.domain.transport import Transport
from gateway.services import delivery, mailbox

if TYPE_CHECKING:
    from bench.lives.counterparts import Counterpart


class MailboxFar(Far):
    """An agency whose files lie in a folder.

    Args:
        terms: who it is.
        stage: where it lives.
    """

    needs_telephone = True

    def __init__(self, terms: Counterpart, stage: Stage) -> None:
        super().__init__(terms, stage)
        self.box = stage.folder / terms.agency
        make = maker_of(terms.agency)
        self.post = Postman(lambda inner: make(inner, terms.facts), self.box, self.ways & POST, stage.dice)
        self._put = set[str]()

    @contextmanager
    def open(self) -> Iterator[None]:
        """Let deliveries and looks go over the bad line; the folder's files are whole, so nobody waits for them to settle."""
        plain = transports.open_transport

        def flaky(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> FlakyLine:
            mailbox_of = cast("Transport", _Remembering(plain(settings, secrets), self._put))
            return FlakyLine(mailbox_of, self.ways, self.stage.dice, self.post.happened)

        with ExitStack() as stack:
            for module in (delivery, mailbox):
                stack.enter_context(patch.object(module, "open_transport", flaky))
            stack.enter_context(patch.object(transports, "SETTLE_SECONDS", 0))
            yield

    def agreement(self) -> Mapping[str, Any]:
        """Return the folder."""
        return {"transport": {"kind": "folder", "root": str(self.box)}}

    def calm(self) -> None:
        """End all trouble."""
        super().calm()
        self.post.ways = frozenset()

    def happened(self) -> Counter[str]:
        """Return how often each way struck."""
        return self.post.happened + self.own

    def work(self, now: datetime) -> None:
        """Let the agency and the post work."""
        self.post.work(now)

    def waits(self) -> int:
        """Return how many letters are on their way."""
        return self.post.waits()

    def balances(self) -> Mapping[str, int]:
        """Return the agency's own ledger."""
        found: Mapping[str, int] = self.post.balances()
        return found

    def has(self, what: str) -> bool:
        """Say whether the bytes of a file ever lay in the mailbox."""
        return what in self._put

    @abstractmethod
    def doubles(self) -> Iterable[str]:
        """Yield what reached the agency a second time."""


class _Remembering:
    """A transport that remembers the hash of whatever it has put."""

    def __init__(self, transport: Transport, arrived: set[str]) -> None:
        self._transport, self._arrived = transport, arrived

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def put(self, filename: str, content: BinaryIO, size: int) -> str:
        """Upload."""
        seen = hashlib.sha256()
        name = self._transport.put(filename, cast("BinaryIO", _Hashing(content, seen.update)), size)
        self._arrived.add(seen.hexdigest())
        return name


class _Hashing:
    """A stream whose bytes are seen by somebody else as they are read."""

    def __init__(self, content: BinaryIO, see: Callable[[bytes], None]) -> None:
        self._content, self._see = content, see

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        found = self._content.read(size)
        self._see(found)
        return found


class LedgerService(MailboxFar):
    """The shared sandbox agency of kravport-sls-1, and of the Norwegian process."""

    def refuse(self, customer: str, claim: str, invoice: str) -> None:
        """Refuse a customer."""
        del claim, invoice
        self.post.refuse("customer", customer, "CUSTOMER_DECEASED", "refused on purpose")

    def accept(self, customer: str, claim: str, invoice: str) -> None:
        """Take the customer back."""
        del claim, invoice
        self.post.accept("customer", customer)

    def pay(self, claim: str, minor: int, on: date) -> None:
        """Let a debtor pay."""
        self.post.pay(claim, minor, on)

    def tell(self, now: datetime) -> None:
        """Tell by one of the files that the agency or its bank has."""
        if self.strikes("skipped_number", 15):
            self.post.skip_number(self.stage.dice.choice(("payments", "camt054")))
        getattr(self.post, self.stage.dice.choice(self.terms.tells))(now)

    def work(self, now: datetime) -> None:
        """Work; now and then a receipt is lost for good, until somebody asks for it."""
        if self.strikes("lost_receipt", 5):
            self.post.lose_receipts(1)
        super().work(now)

    def calm(self) -> None:
        """End all trouble."""
        super().calm()
        self.post.lose_receipts(0)

    def remind(self, envelope: Any, now: datetime) -> bool:
        """Send a receipt once more."""
        self.post.repeat_receipt(envelope.kind, envelope.sequence, now)
        return True

    def doubles(self) -> Iterable[str]:
        """Yield receipts that told of claims and items which had come before."""
        yield from self.post.doubles()


class Factor(MailboxFar):
    """A factor: no receipt and no refusal; it pays through its bank."""

    def __init__(self, terms: Counterpart, stage: Stage) -> None:
        super().__init__(terms, stage)
        self._paid: dict[str, int] = {}

    def pay(self, claim: str, minor: int, on: date) -> None:
        """Have the factor pay; the bank tells with the next file."""
        del on
        self._paid[claim] = self._paid.get(claim, 0) + minor

    def balances(self) -> Mapping[str, int]:
        """Return the factor's ledger less what it is about to pay."""
        return {claim: minor - self._paid.get(claim, 0) for claim, minor in super().balances().items()}

    def tell(self, now: datetime) -> None:
        """Let the bank tell of the money."""
        if self._paid:
            self.post.pay(self._paid, now, via=self.stage.dice.choice(self.terms.tells))
            self._paid = {}

    def doubles(self) -> Iterable[str]:
        """Yield files that were not taken: what comes twice is refused whole."""
        yield from self.post.problems()


class Nk003(MailboxFar):
    """ESP's desk for NK003: no receipt; money by the bank."""

    def pay(self, claim: str, minor: int, on: date) -> None:
        """Let a debtor pay."""
        self.post.pay(claim, minor, on)

    def tell(self, now: datetime) -> None:
        """Let the bank tell of the money."""
        self.post.write_camt054(now)

    def doubles(self) -> Iterable[str]:
        """Yield files that were not taken: what comes twice is refused whole."""
        yield from self.post.nk003.problems()
