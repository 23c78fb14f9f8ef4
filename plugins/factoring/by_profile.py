"""The families whose columns are data: FALL in four dialects, FactoNor and Svea, each a TOML file beside this module.

What a column table cannot say stands here: which numbers may lose their zeros, whose references are right, what may be
shortened, and which records must name the agreement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, NamedTuple

from gateway.domain.exchange import (
    Agreement,
    Claim,
    Customer,
    Envelope,
    FactoringAssignment,
    Finding,
    LinkKind,
    Seal,
    Sink,
    Totals,
)
from gateway.errors import DecodeError
from gateway.formats.marking import copied_as_assigned
from gateway.profiles import ClaimCheck, Profile, ProfileFile, Row, export, layout_profile, load, verify
from plugins.factoring.family import Family, require_number
from plugins.factoring.faults import (
    Seen,
    amount_faults,
    is_number,
    item_faults,
    number_fault,
    refuse,
    terms_faults,
    unfit,
)

INVOICES, INVOICE = "invoices", "invoice"
_KINDS = ("type", "voucher_code", "sign")
"""Columns that tell an invoice from a credit note; each layout has one of them."""


class Widths(NamedTuple):
    """Digits that the numbers and the amount of a layout may have."""

    client: int
    customer: int
    invoice: int
    amount: int


class ByProfile(Family):
    """A layout compiled from the profile *name*.

    Args:
        name: of the profile in the folder beside this module.
        market: the only country whose customers it carries.
        widths: of its numbers.
        settings: names of the settings an agreement must have.
    """

    def __init__(self, name: str, market: str, widths: Widths, settings: Iterable[str] = ()) -> None:
        self.profile: Profile = load(Path(__file__).with_name("profiles") / f"{name}.toml")
        layout = replace(layout_profile(self.profile), markets=frozenset({market}), settings=frozenset(settings))
        super().__init__(layout, self.profile.limits)
        self.market, self.widths = market, widths

    @cached_property
    def file(self) -> ProfileFile:
        """The file of invoices and credit notes, compiled when it is first needed."""
        return ProfileFile(self.profile, INVOICES)

    @cached_property
    def _check(self) -> ClaimCheck:
        return ClaimCheck(self.file)

    # --- what is held ------------------------------------------------------------------------------------------------

    def customer_faults(self, customer: Customer, agreement: Agreement) -> Iterator[Finding]:
        """Yield why the columns cannot hold *customer*; numbers with a leading zero would become another's."""
        shortened, findings = self.fitted(customer, agreement)
        own = [*self.card_faults(customer, agreement), *findings, *self.text_faults(customer, agreement)]
        yield from _each_place_once(own, self._check.customer_faults(shortened))

    def card_faults(self, customer: Customer, agreement: Agreement) -> Iterator[Finding]:
        """Yield what of *customer* the columns would take, and the factor not."""
        del agreement
        if not is_number(customer.customer_number, self.widths.customer):
            yield number_fault("customer", "customer_number", customer.customer_number, self.widths.customer)
        if customer.country not in ("", self.market):
            yield unfit("country", customer.country)

    def text_faults(self, customer: Customer, agreement: Agreement) -> Iterator[Finding]:
        """Yield what a second file has no form or no room for; whatever writes that file refuses it by itself."""
        del customer, agreement
        yield from ()

    def claim_faults(self, claim: Claim, agreement: Agreement) -> Iterator[Finding]:
        """Yield why the columns cannot hold *claim*, or what the factor does not take of it."""
        own = list(self.own_faults(claim, agreement))
        yield from _each_place_once(own, self._check.claim_faults(self.prepared(claim, agreement)))

    def own_faults(self, claim: Claim, agreement: Agreement) -> Iterator[Finding]:
        """Yield what of *claim* the columns would take, and the factor not."""
        widths = self.widths
        yield from terms_faults(self.layout, agreement, widths.client)
        if not is_number(claim.invoice_number, widths.invoice):
            yield number_fault("invoice", "invoice_number", claim.invoice_number, widths.invoice)
        yield from amount_faults(claim, agreement, widths.amount)
        yield from self.reference_faults(claim, agreement)
        for item in claim.items:
            yield from item_faults(item, agreement, number_width=widths.invoice, amount_width=widths.amount)

    def reference_faults(self, claim: Claim, agreement: Agreement) -> Iterator[Finding]:
        """Yield that the reference printed on the invoice is not the factor's."""
        del claim, agreement
        yield from ()

    # --- what is written ---------------------------------------------------------------------------------------------

    def prepared(self, claim: Claim, agreement: Agreement) -> Claim:
        """Return *claim* as it is written: text shortened where that is agreed, credit notes with their references."""
        customer = self.fitted(claim.customer, agreement)[0]
        if customer is claim.customer and not claim.items:
            return claim
        items = tuple(
            item._replace(
                payment_reference=self.note_reference(claim, item.number, agreement) or item.payment_reference
            )
            if item.kind is LinkKind.CREDIT_NOTE
            else item
            for item in claim.items
        )
        return claim._replace(customer=customer, items=items)

    def note_reference(self, claim: Claim, number: str, agreement: Agreement) -> str:
        """Return the reference that the factor's scheme gives credit note *number*; empty where it prescribes none."""
        del claim, number, agreement
        return ""

    def fitted(self, customer: Customer, agreement: Agreement) -> tuple[Customer, tuple[Finding, ...]]:
        """Return *customer* as it is written, and a finding for each text that was shortened for it."""
        del agreement
        return customer, ()

    def export(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink, *, are_new: bool
    ) -> tuple[Envelope, ...]:
        """Write one file of invoices and credit notes."""
        return export(self.file, self._asked(claims, agreement), agreement, seal, sink, are_new=are_new)

    def _asked(self, claims: Iterable[Claim], agreement: Agreement) -> Iterator[Claim]:
        for claim in claims:
            refuse(f"invoice {claim.invoice_number}", self.own_faults(claim, agreement))
            refuse(f"customer {claim.customer.customer_number}", self.card_faults(claim.customer, agreement))
            yield self.prepared(claim, agreement)

    # --- what is read again ------------------------------------------------------------------------------------------

    def mark(
        self, envelope: Envelope, assignment: FactoringAssignment, agreement: Agreement, source: BinaryIO, sink: Sink
    ) -> Envelope:
        """Copy the file once every record in it is proven to be the agreement's; the records have no mark."""
        return self.marked(self.file, envelope, assignment, agreement, source, sink)

    def marked(
        self,
        file: ProfileFile,
        envelope: Envelope,
        assignment: FactoringAssignment,
        agreement: Agreement,
        source: BinaryIO,
        sink: Sink,
    ) -> Envelope:
        """Do what `mark` says with one *file* of the profile."""
        number = require_number(assignment)
        for row in file.read(source):
            self.check_row(row, agreement)
        source.seek(0)
        return copied_as_assigned(envelope, number, source, sink)

    def check_row(self, row: Row, agreement: Agreement) -> None:
        """Raise ``DecodeError`` where a record names another agreement than this one."""
        for name in ("agreement_number", "client_number"):
            same(row, name, agreement.client_number)

    def verify(self, envelope: Envelope, agreement: Agreement, source: BinaryIO) -> Totals:
        """Read the finished file; an invoice or credit note that stands in it twice is refused."""
        seen = Seen()

        def watch(row: Row) -> None:
            self.check_row(row, agreement)
            if row.part == INVOICE:
                kind = next(str(row.values[name]) for name in _KINDS if name in row.values)
                seen.once(kind, str(row.values["invoice_number"]))

        return verify(self.file, envelope, source, watch)


def _each_place_once(own: Iterable[Finding], columns: Iterable[Finding]) -> Iterator[Finding]:
    """Yield *own* findings, and those of the *columns* about other fields: one reason for a value is enough."""
    told = set[str]()
    for finding in own:
        told.add(finding.place)
        yield finding
    yield from (finding for finding in columns if finding.place.rpartition(".")[2] not in told)


def same(row: Row, name: str, expected: str) -> None:
    """Raise ``DecodeError`` where column *name* of a record holds another number than *expected*."""
    found = str(row.values.get(name, expected))
    if found.lstrip("0") != expected.lstrip("0"):
        raise DecodeError("is not the agreement's", line=row.line, field=name, value=found)
