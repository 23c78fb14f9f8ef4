"""Writes ``Invoices`` and ``Updates`` of kravport-sls-1, and the factoring mark (intrum-sls.md B.4 to B.7).

Rows are written as they are read, one ``write`` per thousand claims, so a file of any length needs the same memory.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from typing import BinaryIO

from gateway.domain.exchange import (
    Agreement,
    Claim,
    Customer,
    Direction,
    Envelope,
    FactoringAssignment,
    LinkedItem,
    LinkKind,
    Origin,
    Seal,
    Service,
    Sink,
    Totals,
)
from gateway.domain.instructions import Instruction
from gateway.errors import DecodeError, EncodeError
from gateway.formats.kravport_sls import layout
from gateway.formats.kravport_sls.layout import INVOICES, UPDATES, amount
from gateway.formats.xml_element import DoesNotFit

_CHUNK = 1000
"""Claims per write: about half a megabyte, large enough that writing costs nothing, small enough to stay flat."""

_NO_SCHEME = "must say what the identity number is"
_SERVICES = {Service.LEDGER: "ledger", Service.COLLECTION: "collection", Service.REMINDER: "ledger"}
"""The profile has two words. A reminder service follows the invoice from now on, which is what it calls ledger (B.5)."""


@dataclasses.dataclass(slots=True)
class _Tally:
    """What `Control` must say; counted while writing, in minor units."""

    invoices: int = 0
    original: int = 0
    items: int = 0
    credit: int = 0
    debit: int = 0
    charges: int = 0
    instructions: int = 0

    def totals(self) -> Totals:
        debit = self.original + self.debit
        return Totals(self.invoices, self.items, debit, self.credit, self.charges, self.instructions)

    def control(self) -> str:
        return (
            f'  <Control invoiceCount="{self.invoices}" invoiceTotal="{amount(self.original)}"'
            f' itemCount="{self.items}" creditTotal="{amount(self.credit)}" debitTotal="{amount(self.debit)}"'
            f' chargeTotal="{amount(self.charges)}" instructionCount="{self.instructions}"/>\n'
        )


def write_invoices(claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink) -> tuple[Envelope, ...]:
    """Write new claims as ``invoices.nnn``; without a claim no file is opened and nothing is returned (B.5).

    Args:
        claims: read once; grouped by customer, customer numbers ascending. Invoices and items keep their order.
        agreement: *settings* hold ``ledger_id``; *market* is the ledger's country, *service* goes on every invoice.
        seal: sequence and file id under ``invoices``; *created_at* with its offset.
        sink: where the file is opened.

    Raises:
        EncodeError: a value does not fit; names claim, attribute and value. The file written so far is worthless.
    """
    service = _service(agreement)

    def invoice(claim: Claim, tally: _Tally) -> str:
        return _new_invoice(claim, service, tally)

    return _write(INVOICES, claims, agreement, seal, sink, invoice)


def write_updates(claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink) -> tuple[Envelope, ...]:
    """Write later items of known claims as ``updates.nnn`` (B.6). Arguments and errors as `write_invoices`.

    The totals count the items only: ``debit_minor`` holds no invoice totals, because the file holds none.
    """
    return _write(UPDATES, claims, agreement, seal, sink, _changed_invoice)


def mark_assigned(envelope: Envelope, assignment: FactoringAssignment, source: BinaryIO, sink: Sink) -> Envelope:
    """Copy *source* with ``Assignment`` as the first child of ``Ledger`` (B.4); items and totals stay as they are.

    Works by lines, which is safe because the file is our own: its fourth line is the start tag of ``Ledger``.

    Raises:
        DecodeError: *source* is not a file of this writer, or is marked already.
        EncodeError: a value of *assignment* does not fit.
    """
    mark = layout.ASSIGNMENT.start(
        f"agreement {assignment.agreement_number}",
        assignment.agreement_number,
        assignment.factor_name,
        assignment.factor_party_id,
        assignment.factor_address,
        assignment.pay_to_account,
        assignment.notice,
    )
    head, first = [source.readline() for _ in range(4)], source.readline()
    if not (head[3].startswith(b"  <Ledger ") and head[3].endswith(b">\n")):
        raise DecodeError("is not the start tag of Ledger", line=4, value=head[3].decode("utf-8", "replace"))
    if first.startswith(b"    <Assignment"):
        raise DecodeError("the envelope is marked as assigned already", line=5, path="Ledger/Assignment")
    with sink.open(envelope.filename) as target:
        target.write(b"".join(head) + f"{mark}/>\n".encode() + first)
        shutil.copyfileobj(source, target, 1 << 20)
    return dataclasses.replace(envelope, factoring_agreement=assignment.agreement_number)


def customer_faults(customer: Customer) -> list[tuple[str, str, str]]:
    """Return (attribute, value, what is wrong) for whatever of *customer* this layout cannot carry (B.5)."""
    faults = layout.CUSTOMER.faults([customer.customer_number])
    faults += layout.DETAILS.faults(_details(customer))
    if customer.identity_number.strip() and not customer.identity_scheme:
        faults.append(("identityScheme", "", _NO_SCHEME))
    return faults


def claim_faults(claim: Claim, agreement: Agreement) -> list[DoesNotFit]:
    """Return whatever of *claim* and its items this layout cannot carry, so that it can be held before a file is built."""
    whose, service, tally = f"claim {claim.claim_id}", _service(agreement), _Tally()
    attempts: list[Callable[[], str]] = [partial(_invoice_and_header, whose, claim, service)]
    attempts += [partial(_item, whose, item, tally) for item in claim.items]
    attempts += [partial(_instruction, whose, instruction) for instruction in claim.instructions]
    found = []
    for attempt in attempts:
        try:
            attempt()
        except DoesNotFit as fault:
            found.append(fault)
    return found


def _service(agreement: Agreement) -> str:
    try:
        return _SERVICES[agreement.service]
    except KeyError:
        raise EncodeError(f"{layout.PROFILE} has no service {agreement.service.value!r}") from None


# --- one file --------------------------------------------------------------------------------------------------------


def _write(
    kind: str,
    claims: Iterable[Claim],
    agreement: Agreement,
    seal: Seal,
    sink: Sink,
    render: Callable[[Claim, _Tally], str],
) -> tuple[Envelope, ...]:
    rest = iter(claims)
    first = next(rest, None)
    if first is None:
        return ()
    layout.check_currency(agreement.currency)
    sequence, tally = seal.sequences[kind], _Tally()
    filename = f"{kind}.{sequence:03d}"
    head = _head(kind, agreement, seal)
    with sink.open(filename) as stream:
        stream.write(head.encode())
        rows = _rows(kind, chain((first,), rest), tally, render)
        while chunk := "".join(islice(rows, _CHUNK)):
            stream.write(chunk.encode())
        stream.write(f"  </Ledger>\n{tally.control()}</{kind.capitalize()}>\n".encode())
    order = 0 if kind == INVOICES else 1
    return (Envelope(kind, sequence, filename, "application/xml", agreement.currency, tally.totals(), order),)


def _head(kind: str, agreement: Agreement, seal: Seal) -> str:
    whose = f"agreement {agreement.client_number}"
    identification = layout.IDENTIFICATION.start(
        whose,
        layout.PROFILE,
        kind,
        seal.file_ids[kind],
        f"{seal.sequences[kind]:03d}",
        seal.created_at.isoformat(timespec="seconds"),
        seal.sender_id,
        seal.receiver_id,
        "true" if seal.is_test else "false",
    )
    ledger_id = str(agreement.settings.get("ledger_id", ""))
    ledger = layout.LEDGER.start(whose, ledger_id, agreement.currency, agreement.market)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<{kind.capitalize()} xmlns="{layout.NAMESPACE}">\n{identification}/>\n{ledger}>\n'
    )


def _rows(kind: str, claims: Iterable[Claim], tally: _Tally, render: Callable[[Claim, _Tally], str]) -> Iterator[str]:
    """Yield the text of each claim, with its customer's start and end where they change."""
    customer: Customer | None = None
    for claim in claims:
        row = render(claim, tally)
        if claim.customer is customer:
            yield row
        elif customer is not None and claim.customer.customer_number == customer.customer_number:
            if claim.customer != customer:
                number = customer.customer_number
                raise DoesNotFit(
                    f"claim {claim.claim_id}", "Customer/@customerNumber", "has two different cards", number
                )
            yield row
        else:
            if customer is not None and claim.customer.customer_number < customer.customer_number:
                raise DoesNotFit(
                    f"claim {claim.claim_id}",
                    "Customer/@customerNumber",
                    f"comes after {customer.customer_number!r}; claims must be ordered by customer number",
                    claim.customer.customer_number,
                )
            end = layout.CUSTOMER.end if customer is not None else ""
            customer = claim.customer
            yield end + _customer(kind, claim) + row
    yield layout.CUSTOMER.end


def _customer(kind: str, claim: Claim) -> str:
    whose = f"claim {claim.claim_id}"
    start = layout.CUSTOMER.start(whose, claim.customer.customer_number) + ">\n"
    if kind == UPDATES:  # CustomerDetails there would replace the whole card; changed cards are not told by items
        return start
    if claim.customer.identity_number.strip() and not claim.customer.identity_scheme:
        raise DoesNotFit(whose, "CustomerDetails/@identityScheme", _NO_SCHEME, "")
    return start + layout.DETAILS.start(whose, *_details(claim.customer)) + "/>\n"


def _details(customer: Customer) -> tuple[str, ...]:
    number = customer.identity_number
    return (
        customer.kind.value if customer.kind else "",
        customer.name,
        number,
        customer.identity_scheme if number.strip() else "",
        customer.address1,
        customer.address2,
        customer.postcode,
        customer.city,
        customer.country,
        customer.email,
        customer.phone,
        customer.language,
    )


# --- one claim -------------------------------------------------------------------------------------------------------


def _new_invoice(claim: Claim, service: str, tally: _Tally) -> str:
    whose = f"claim {claim.claim_id}"
    start = _invoice_and_header(whose, claim, service)
    tally.invoices += 1
    tally.original += claim.original_minor
    if claim.instructions:
        raise DoesNotFit(whose, "Instruction", "cannot stand in the file that brings the invoice", claim.invoice_number)
    items = "".join([_item(whose, item, tally) for item in claim.items])
    if "<Unlink " in items:
        raise DoesNotFit(whose, "Unlink", "cannot stand in the file that brings the invoice", claim.invoice_number)
    return f"{start}{items}      </Invoice>\n"


def _invoice_and_header(whose: str, claim: Claim, service: str) -> str:
    if claim.due_date < claim.invoice_date:
        raise DoesNotFit(whose, "InvoiceHeader/@dueDate", "is before the invoice date", claim.due_date)
    if service == "collection" and not (claim.reminder_number and claim.reminder_date):
        raise DoesNotFit(whose, "InvoiceHeader/@reminderDate", "and reminderNumber are needed with collection", "")
    return layout.INVOICE_AND_HEADER.both(
        whose,
        claim.invoice_number,
        claim.claim_id,
        claim.reminder_number,
        claim.invoice_date.isoformat(),
        claim.due_date.isoformat(),
        amount(claim.original_minor),
        amount(claim.open_minor),
        claim.payment_reference,
        service,
        claim.reminder_date.isoformat() if claim.reminder_date else "",
        claim.text,
    )


def _changed_invoice(claim: Claim, tally: _Tally) -> str:
    whose = f"claim {claim.claim_id}"
    if not (claim.items or claim.instructions):
        raise DoesNotFit(whose, "Invoice", "of Updates must have an item or an instruction", claim.invoice_number)
    invoice = layout.CHANGED_INVOICE.start(
        whose,
        claim.invoice_number,
        claim.claim_id,
        claim.reminder_number,
        claim.case_number,
        amount(claim.open_minor),
    )
    tally.invoices += 1
    tally.instructions += len(claim.instructions)
    items = [_item(whose, item, tally) for item in claim.items]
    said = [_instruction(whose, instruction) for instruction in claim.instructions]  # a closing comes last (R-OP-11)
    return f"{invoice}>\n{''.join(items)}{''.join(said)}      </Invoice>\n"


def _instruction(whose: str, said: Instruction) -> str:
    until = said.until.isoformat() if said.until else ""
    start = layout.INSTRUCTION.start(whose, said.item_id, said.action.value, said.day.isoformat(), until, said.reason)
    return start + "/>\n"


# --- one linked item -------------------------------------------------------------------------------------------------

_CHARGE, _CREDIT, _AGENCY, _BANK = LinkKind.CHARGE, Direction.CREDIT, Origin.AGENCY, Origin.BANK
_EFFECTS = {
    LinkKind.DIRECT_PAYMENT: Direction.CREDIT,
    LinkKind.CREDIT_NOTE: Direction.CREDIT,
    LinkKind.DISBURSEMENT: Direction.DEBIT,
    LinkKind.CHARGE: Direction.DEBIT,
}
"""Elements whose name alone says what they do (B.7); an item that says otherwise cannot be written."""


def _item(whose: str, item: LinkedItem, tally: _Tally) -> str:
    if item.origin is _AGENCY:
        raise DoesNotFit(whose, "Payment", "came from the agency and is never sent back (R-OP-04)", item.item_id)
    if _EFFECTS.get(item.kind, item.direction) is not item.direction:
        fault = f"of kind {item.kind.value} cannot be a {item.direction.value}"
        raise DoesNotFit(whose, "item", fault, item.item_id)
    start = _ITEMS[item.kind](whose, item, item.date.isoformat(), amount(item.amount_minor))
    tally.items += 1
    if item.kind is _CHARGE:
        tally.charges += item.amount_minor
    elif item.direction is _CREDIT:
        tally.credit += item.amount_minor
    else:
        tally.debit += item.amount_minor
    return start + "/>\n"


def _payment(whose: str, item: LinkedItem, day: str, money: str) -> str:
    # Told by the bank means paid by bank; who else paid how is not known, and is not guessed.
    method = "bank" if item.origin is _BANK else ""
    return layout.PAYMENT.start(
        whose,
        item.item_id,
        day,
        money,
        item.payment_reference,
        item.voucher_number,
        method,
        item.bank_reference,
        item.text,
    )


def _credit_note(whose: str, item: LinkedItem, day: str, money: str) -> str:
    return layout.CREDIT_NOTE.start(whose, item.item_id, day, money, item.number, item.voucher_number, item.text)


def _disbursement(whose: str, item: LinkedItem, day: str, money: str) -> str:
    return layout.DISBURSEMENT.start(whose, item.item_id, day, money, item.voucher_number, item.text)


def _voucher_line(whose: str, item: LinkedItem, day: str, money: str) -> str:
    direction = item.direction.value
    return layout.VOUCHER_LINE.start(whose, item.item_id, day, money, direction, item.voucher_number, item.text)


def _charge(whose: str, item: LinkedItem, day: str, money: str) -> str:
    return layout.CHARGE.start(whose, item.item_id, item.charge_kind, day, money, item.voucher_number, item.text)


def _unlink(whose: str, item: LinkedItem, day: str, money: str) -> str:
    return layout.UNLINK.start(whose, item.item_id, item.unlinks_item_id, day, money, item.direction.value, item.text)


_ITEMS = {
    LinkKind.DIRECT_PAYMENT: _payment,
    LinkKind.CREDIT_NOTE: _credit_note,
    LinkKind.DISBURSEMENT: _disbursement,
    LinkKind.VOUCHER_LINE: _voucher_line,
    LinkKind.CHARGE: _charge,
    LinkKind.UNLINK: _unlink,
}
