"""What a factor's layout does for the hooks: one family per kind of file, chosen by the agreement's profile."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from gateway.domain.exchange import (
    Agreement,
    Claim,
    Customer,
    Envelope,
    FactoringAssignment,
    Finding,
    LayoutProfile,
    Seal,
    Sink,
    Totals,
)
from gateway.domain.transport import Transport
from gateway.errors import DeliveryError, EncodeError

MEMORY = 1 << 20
"""Bytes of a second file kept in memory while the first is written; the rest goes to a temporary file."""


class Family(ABC):
    """One layout.

    Args:
        layout: as the manifest names it.
        limits: what it cannot do, in words; the manifest shows them with the layout's name.
    """

    def __init__(self, layout: LayoutProfile, limits: Iterable[str] = ()) -> None:
        self.layout, self.limits = layout, tuple(limits)

    @abstractmethod
    def customer_faults(self, customer: Customer, agreement: Agreement) -> Iterator[Finding]:
        """Yield why *customer* cannot be written; empty for one that is carried whole."""

    @abstractmethod
    def claim_faults(self, claim: Claim, agreement: Agreement) -> Iterator[Finding]:
        """Yield why *claim* cannot be written, apart from its customer."""

    @abstractmethod
    def export(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink, *, are_new: bool
    ) -> tuple[Envelope, ...]:
        """Write at least one claim with its credit notes; not *are_new*, the credit notes alone."""

    @abstractmethod
    def mark(
        self, envelope: Envelope, assignment: FactoringAssignment, agreement: Agreement, source: BinaryIO, sink: Sink
    ) -> Envelope:
        """Copy *source* into *sink* as assigned, once it is proven to be this agreement's."""

    @abstractmethod
    def verify(self, envelope: Envelope, agreement: Agreement, source: BinaryIO) -> Totals:
        """Return the totals of the finished file, read strictly."""

    def deliver(self, envelope: Envelope, transport: Transport, content: BinaryIO, size: int) -> str:
        """Upload, unless the last file of that name still lies there: the usual names carry no number."""
        with SpooledTemporaryFile(max_size=MEMORY) as earlier:
            if transport.read_back(envelope.filename, cast("BinaryIO", earlier)):
                raise DeliveryError(f"{envelope.filename} of an earlier run has not been fetched yet")
        return transport.put(envelope.filename, content, size)


def require_number(assignment: FactoringAssignment) -> str:
    """Return the agreement's number to mark an envelope with; raise ``EncodeError`` where there is none."""
    if not assignment.agreement_number:
        raise EncodeError("the assignment has no agreement number to mark the envelope with")
    return assignment.agreement_number
