"""FactoNor: 128 characters per invoice, and the customers in a file of their own with a semicolon between fields.

Source: factoring-others.md section 2. The layout has no account and no place for a notice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from gateway.domain.exchange import (
    Agreement,
    Claim,
    Customer,
    CustomerKind,
    Envelope,
    FactoringAssignment,
    Finding,
    Seal,
    Sink,
    Totals,
)
from gateway.errors import DecodeError
from gateway.profiles import FileWriter, ProfileFile, Row
from gateway.profiles.kinds import Encode, encoder
from plugins.factoring.by_profile import ByProfile, Widths
from plugins.factoring.family import MEMORY
from plugins.factoring.faults import Seen, blocking, is_in, unfit
from plugins.factoring.kid import follows, make_kid

CUSTOMERS, CUSTOMER = "customers", "customer"
_SCHEME = "factonor-16"


class FactoNor(ByProfile):
    """Two files; the customers are delivered first."""

    def __init__(self) -> None:
        super().__init__("factonor", "NO", Widths(client=3, customer=6, invoice=6, amount=11))

    @cached_property
    def _cards(self) -> ProfileFile:
        return ProfileFile(self.profile, CUSTOMERS)

    def card_faults(self, customer: Customer, agreement: Agreement) -> Iterator[Finding]:
        """Yield also that a private person has no code."""
        yield from super().card_faults(customer, agreement)
        if customer.kind is CustomerKind.PRIVATE:
            yield blocking("factoring.private_customer", "kind")

    def text_faults(self, customer: Customer, agreement: Agreement) -> Iterator[Finding]:
        """Yield what the customer file has no form or no room for."""
        separator, encoding, values = (
            self._cards.layout.separator,
            self._cards.layout.encoding,
            _card(customer, agreement),
        )
        for name, encode in self._encoders.items():
            value = values.get(name, "")
            written = encode(value)
            if not isinstance(written, str) or separator in value or not is_in(written, encoding):
                yield unfit(_FROM.get(name, name), value)

    @cached_property
    def _encoders(self) -> Mapping[str, Encode]:
        """What makes the text of each field of a customer that is no literal, by name."""
        return {one.name: encoder(one.rule) for one in self._cards.layout.parts[CUSTOMER].values}

    def reference_faults(self, claim: Claim, agreement: Agreement) -> Iterator[Finding]:
        """Yield that the invoice's KID is not FactoNor's: it stands in the file."""
        kid, customer = claim.payment_reference, claim.customer.customer_number
        if not follows(_SCHEME, kid, client=agreement.client_number, customer=customer, invoice=claim.invoice_number):
            yield blocking("factoring.kid_scheme", "payment_reference", kid, scheme=_SCHEME)

    def note_reference(self, claim: Claim, number: str, agreement: Agreement) -> str:
        """Return the KID that the scheme makes of the credit note's own number."""
        customer = claim.customer.customer_number
        return make_kid(_SCHEME, client=agreement.client_number, customer=customer, invoice=number)

    def export(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink, *, are_new: bool
    ) -> tuple[Envelope, ...]:
        """Write both files; later credit notes are an invoice file alone, for the factor has the customers already."""
        if not are_new:
            return super().export(claims, agreement, seal, sink, are_new=False)
        with SpooledTemporaryFile(max_size=MEMORY) as spool:
            into = cast("BinaryIO", spool)
            with self._cards.write(into) as writer:
                items = super().export(_noting(claims, writer, agreement), agreement, seal, sink, are_new=True)
            spool.seek(0)
            sequence, layout = seal.sequences[CUSTOMERS], self._cards.layout
            name = layout.filename.made(sequence=sequence, day=seal.business_date, client=agreement.client_number)
            with sink.open(name) as file:
                copyfileobj(into, file)
        return Envelope(CUSTOMERS, sequence, name, "text/csv", agreement.currency, Totals(), layout.order), *items

    def mark(
        self, envelope: Envelope, assignment: FactoringAssignment, agreement: Agreement, source: BinaryIO, sink: Sink
    ) -> Envelope:
        """As for any, and the same for the file of customers."""
        return self.marked(self._file_of(envelope), envelope, assignment, agreement, source, sink)

    def check_row(self, row: Row, agreement: Agreement) -> None:
        """As for any; a customer names the client behind a V."""
        super().check_row(row, agreement)
        if row.part == CUSTOMER and row.values["client"] != _client(agreement):
            raise DecodeError("is not the agreement's", line=row.line, field="client", value=str(row.values["client"]))

    def verify(self, envelope: Envelope, agreement: Agreement, source: BinaryIO) -> Totals:
        """As for any; a file of customers has no totals, and each customer once."""
        if envelope.kind != CUSTOMERS:
            return super().verify(envelope, agreement, source)
        seen = Seen()
        for row in self._cards.read(source):
            self.check_row(row, agreement)
            seen.once(CUSTOMER, str(row.values["customer_number"]))
        return Totals()

    def _file_of(self, envelope: Envelope) -> ProfileFile:
        return self._cards if envelope.kind == CUSTOMERS else self.file


_FROM = {"address_1": "address1", "address_2": "address2", "postcode_city": "city", "telephone": "phone"}
"""Names of the customer card for the fields that are called otherwise."""


def _client(agreement: Agreement) -> str:
    return "V" + agreement.client_number.rjust(3, "0")


def _card(customer: Customer, agreement: Agreement) -> dict[str, str]:
    """Return the values of a customer's line; the name for sorting is the name itself."""
    return {
        "client": _client(agreement),
        "customer_number": customer.customer_number,
        "name": customer.name,
        "address_1": customer.address1,
        "address_2": customer.address2,
        "postcode_city": f"{customer.postcode} {customer.city}".strip(),
        "telephone": customer.phone,
        "organisation_number": customer.organisation_number.replace(" ", ""),
        "country": customer.country,
        "email": customer.email,
        "sort_name": customer.name,
    }


def _noting(claims: Iterable[Claim], writer: FileWriter, agreement: Agreement) -> Iterator[Claim]:
    """Yield *claims*, and write each new customer's line; they come ordered by customer."""
    last = ""
    for claim in claims:
        yield claim
        if claim.customer.customer_number != last:
            last = claim.customer.customer_number
            writer.put(CUSTOMER, _card(claim.customer, agreement), whose=f"customer {last}")
