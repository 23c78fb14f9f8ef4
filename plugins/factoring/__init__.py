"""Factoring: invoices and credit notes are assigned to a factor, in the layout that the agreement with it names.

Being in the file is the assignment. Payments have no record in any of these layouts and no file of the factor's own comes
back: money arrives as ordinary bank files. Each family of layouts is a module beside this one; see README.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import BinaryIO

from gateway.domain.exchange import (
    AgencyProfile,
    Agreement,
    Can,
    Claim,
    Customer,
    Envelope,
    FactoringAssignment,
    Finding,
    Seal,
    Service,
    Sink,
    Totals,
)
from gateway.domain.transport import Transport
from gateway.errors import EncodeError
from gateway.hookspecs import AgencyHooks, hookimpl
from plugins.factoring.factonor import FactoNor
from plugins.factoring.fall import Fall
from plugins.factoring.family import Family
from plugins.factoring.k9409 import CUSTOMERS, INVOICES, K9409
from plugins.factoring.peppol import Peppol
from plugins.factoring.settings import SCHEMA
from plugins.factoring.svea import Svea

__all__ = ["CUSTOMERS", "INVOICES", "Factoring", "plugin"]

_FAMILIES: tuple[Family, ...] = (
    K9409(),
    *map(Fall, ("nordea", "op", "danske", "aktia")),
    Peppol(),
    FactoNor(),
    Svea(),
)
_BY_NAME = {family.layout.name: family for family in _FAMILIES}

_PROFILE = AgencyProfile(
    key="factoring",
    name="Factoring",
    markets=frozenset().union(*(family.layout.markets for family in _FAMILIES)),
    currencies=frozenset().union(*(family.layout.currencies for family in _FAMILIES)),
    services=frozenset({Service.FACTORING}),
    can=Can.EXPORT_INVOICE | Can.EXPORT_LINKED_ITEMS | Can.MARK_FACTORING | Can.CHECK_CUSTOMER,
    layouts=tuple(family.layout for family in _FAMILIES),
    delivery_is_idempotent=False,
    settings_schema=SCHEMA,
    limits=(
        "Payments have no record: a customer who pays you directly must be told to the factor by hand.",
        "No receipt and no settlement file is known; money comes by the bank's own files.",
        "Only the documents of peppol-factored have a place for notice and account: otherwise the invoice itself must say it.",
        *(f"{family.layout.name}: {limit}" for family in _FAMILIES for limit in family.limits),
    ),
)


class Factoring(AgencyHooks):
    """The hooks; all pure but `deliver`. Each is answered by the family of the agreement's layout."""

    api_version = "1.1"

    @hookimpl
    def agency_profile(self) -> AgencyProfile:
        """Return the manifest."""
        return _PROFILE

    @hookimpl
    def check_customer(self, customer: Customer, agreement: Agreement) -> tuple[Finding, ...]:
        """Return why the layout cannot hold *customer*."""
        return tuple(_family(agreement).customer_faults(customer, agreement))

    @hookimpl
    def check_claim(self, claim: Claim, agreement: Agreement) -> tuple[Finding, ...]:
        """Return why the layout cannot hold *claim*, or that its reference is not the factor's."""
        return tuple(_family(agreement).claim_faults(claim, agreement))

    @hookimpl
    def export_invoice(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink
    ) -> tuple[Envelope, ...]:
        """Write new invoices with their credit notes."""
        return _exported(claims, agreement, seal, sink, are_new=True)

    @hookimpl
    def export_linked_items(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink
    ) -> tuple[Envelope, ...]:
        """Write later credit notes, without their invoices."""
        return _exported(claims, agreement, seal, sink, are_new=False)

    @hookimpl
    def mark_factoring_envelope(
        self, envelope: Envelope, assignment: FactoringAssignment, agreement: Agreement, source: BinaryIO, sink: Sink
    ) -> Envelope:
        """Copy the file, proven to be this agreement's, and note the agreement's number on the envelope."""
        return _family(agreement).mark(envelope, assignment, agreement, source, sink)

    @hookimpl
    def verify_envelope(self, envelope: Envelope, agreement: Agreement, source: BinaryIO) -> Totals:
        """Read the finished file; what stands in it twice is refused."""
        return _family(agreement).verify(envelope, agreement, source)

    @hookimpl
    def deliver(  # type: ignore[override]  # a hook names only the arguments it uses
        self, envelope: Envelope, transport: Transport, content: BinaryIO, size: int, agreement: Agreement
    ) -> str:
        """Upload, unless an earlier file of that name still lies there; documents go one by one."""
        return _family(agreement).deliver(envelope, transport, content, size)


plugin = Factoring()


def _family(agreement: Agreement) -> Family:
    family = _BY_NAME.get(agreement.profile)
    if family is None:
        raise EncodeError(f"there is no factoring layout {agreement.profile!r}; there are {', '.join(_BY_NAME)}")
    return family


def _exported(
    claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink, *, are_new: bool
) -> tuple[Envelope, ...]:
    stream = iter(claims)
    first = next(stream, None)
    if first is None:
        return ()
    return _family(agreement).export(chain((first,), stream), agreement, seal, sink, are_new=are_new)
