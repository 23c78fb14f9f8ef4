"""What crosses the boundary while a hook runs: claims counted on their way out, answers looked at on their way in."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, BinaryIO, TypeVar, get_type_hints

from gateway.agencies.calling import Gate
from gateway.agencies.shapes import WrongType, checked
from gateway.domain.calls import Answer, Calls, Found, Request
from gateway.domain.exchange import (
    CaseStatus,
    Claim,
    Direction,
    Finding,
    LinkKind,
    ObjectReceipt,
    Payment,
    Receipt,
    Reference,
    Totals,
)
from gateway.domain.transport import Transport, Waiting

ANSWERS_MAX = 1000
"""Findings on one card or claim, files of one run: no honest plugin comes near, and each is kept and shown."""

T = TypeVar("T")


class LookedAt:
    """The payments of a plugin's stream, each looked at; *format* and *findings* are told after the last of them."""

    def __init__(self, payments: Iterator[Payment], stream: Any) -> None:
        self._payments, self._stream = payments, stream
        self.format, self.findings = "", list[Finding]()

    def __iter__(self) -> Iterator[Payment]:
        yield from self._payments
        self.format = checked(str, self._stream.format)
        self.findings = [checked(Finding, finding) for finding in self._stream.findings]


class StatusesLookedAt:
    """What a plugin says about cases, each looked at; *findings*, where its stream has any, are told after the last."""

    def __init__(self, statuses: Iterator[CaseStatus], stream: Any) -> None:
        self._statuses, self._stream = statuses, stream
        self.findings = list[Finding]()

    def __iter__(self) -> Iterator[CaseStatus]:
        yield from self._statuses
        self.findings = [checked(Finding, finding) for finding in getattr(self._stream, "findings", ())]


class Gated:
    """A transport that serves a plugin only while its caller waits; each use is a sign of life."""

    def __init__(self, transport: Transport, gate: Gate) -> None:
        self._transport, self._gate = transport, gate

    def put(self, filename: str, content: BinaryIO, size: int) -> str:
        """Upload."""
        with self._gate.passed():
            return self._transport.put(filename, content, size)

    def waiting(self) -> Sequence[Waiting]:
        """Return what waits."""
        with self._gate.passed():
            return self._transport.waiting()

    def get(self, filename: str, into: BinaryIO) -> None:
        """Copy one waiting file."""
        with self._gate.passed():
            self._transport.get(filename, into)

    def remove(self, filename: str) -> None:
        """Take a file out of the mailbox."""
        with self._gate.passed():
            self._transport.remove(filename)

    def read_back(self, filename: str, into: BinaryIO) -> bool:
        """Copy a file delivered earlier."""
        with self._gate.passed():
            return self._transport.read_back(filename, into)


class GatedCalls:
    """An agency's API, as `Gated` is its mailbox."""

    def __init__(self, calls: Calls, gate: Gate) -> None:
        self._calls, self._gate = calls, gate

    def ask(self, request: Request) -> Answer:
        """Make a call that changes nothing."""
        with self._gate.passed():
            return self._calls.ask(checked(Request, request))

    def known(self, key: str) -> Answer | None:
        """Return the noted answer of a call."""
        with self._gate.passed():
            return self._calls.known(checked(str, key))

    def once(self, key: str, request: Request, found: Found | None = None) -> Answer:
        """Make a call that changes something, once. *found* is the plugin's code and runs on its side of the gate."""
        try:
            return self._once(key, request, None if found is None else _look_first)
        except _LookFirst:
            assert found is not None
            has = found()
        return self._once(key, request, lambda: has if has is None else checked(Answer, has))

    def _once(self, key: str, request: Request, found: Found | None) -> Answer:
        with self._gate.passed():
            return self._calls.once(checked(str, key), checked(Request, request), found)


class _LookFirst(Exception):
    """The call was begun before: the plugin must look for it."""


def _look_first() -> Answer | None:
    raise _LookFirst


_CHARGE, _DEBIT = LinkKind.CHARGE, Direction.DEBIT  # looked up for every item of an evening


class Counting:
    """Hands claims through and counts them, so that a plugin cannot lose or invent one unnoticed."""

    def __init__(self, claims: Iterable[Claim], *, are_new: bool) -> None:
        self._claims, self._are_new, self.totals = claims, are_new, Totals()
        self.is_over = False

    def __iter__(self) -> Iterator[Claim]:
        claims = items = debit = credit = charge = instructions = 0
        for claim in self._claims:
            claims += 1
            instructions += len(claim.instructions)
            if self._are_new:
                debit += claim.original_minor
            for item in claim.items:
                items += 1
                if item.kind is _CHARGE:
                    charge += item.amount_minor
                elif item.direction is _DEBIT:
                    debit += item.amount_minor
                else:
                    credit += item.amount_minor
            yield claim
        self.totals = Totals(claims, items, debit, credit, charge, instructions)
        self.is_over = True


def add_totals(parts: Iterable[Totals]) -> Totals:
    """Return the sum of control totals of one currency."""
    return Totals(*(sum(column) for column in zip(Totals(), *parts, strict=True)))


def several(kind: type[T], found: object) -> tuple[T, ...]:
    """Return *found* as a tuple of *kind*; raises `WrongType`, also when there are too many."""
    answers = checked(tuple, found)
    if len(answers) > ANSWERS_MAX:
        raise WrongType(f"a plugin must return at most {ANSWERS_MAX} of {kind.__name__}, got {len(answers)}")
    return tuple(checked(kind, one) for one in answers)


def payment_of(row: object) -> Payment:
    """Return *row* as a payment; raises `WrongType`, also for a negative amount."""
    payment = readable(checked(Payment, row))
    if payment.amount_minor < 0:
        raise WrongType(f"payment {payment.position} is negative; its direction tells which way money went")
    if payment.references:
        payment = payment._replace(references=tuple(readable(checked(Reference, one)) for one in payment.references))
    return payment


def status_of(row: object) -> CaseStatus:
    """Return *row* as what an agency says about a case; raises `WrongType`."""
    return readable(checked(CaseStatus, row))


def receipt_of(found: object) -> Receipt:
    """Return *found* as a receipt; raises `WrongType`."""
    receipt = readable(checked(Receipt, found))
    return dataclasses.replace(receipt, objects=tuple(readable(checked(ObjectReceipt, one)) for one in receipt.objects))


# --- texts -----------------------------------------------------------------------------------------------------------

_UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
"""NUL and half a character fit into no database; the others are nothing a page could show. Line ends are meant."""


def readable_text(text: str) -> str:
    """Return a text from outside with what no database takes written out, as its number in Unicode.

    Written out and not replaced: two ids that differ stay two, and a person sees what stood there.
    """
    return text if text.isprintable() else _UNSTORABLE.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)


def readable(row: T) -> T:
    """Return *row*, a named tuple or a dataclass, with all its texts as `readable_text` returns them."""
    kind: type = type(row)
    names, get = _texts(kind)
    texts = get(row)
    joined = "".join(texts)  # one look at all of them: there may be a million rows
    if joined.isprintable() or not _UNSTORABLE.search(joined):
        return row
    changes = dict(zip(names, map(readable_text, texts), strict=True))
    if dataclasses.is_dataclass(row):
        return dataclasses.replace(row, **changes)  # type: ignore[type-var]
    made: T = row._replace(**changes)  # type: ignore[attr-defined]
    return made


@cache
def _texts(kind: type) -> tuple[tuple[str, ...], Callable[[Any], tuple[str, ...]]]:
    """Return the fields that hold text, two at least, and what reads them."""
    names = tuple(name for name, hint in get_type_hints(kind).items() if hint is str)
    return names, attrgetter(*names)
