"""Makes a `Payment` of what a camt transaction says, however it was read: its identity, its references, its texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from hashlib import blake2b
from typing import NamedTuple

from gateway.domain.exchange import Direction, Payment, Reference
from gateway.formats.audit import Ordinals
from gateway.formats.camt_parts import account_number, address, primary, reference_kind
from gateway.formats.camt_shapes import Row

MAX_KEY_CHARACTERS = 160
"""A longer identity, or one with line ends in it, is stored as its digest: references are at most 35 characters, all in
one line, where a bank keeps to the schema."""

_new = tuple.__new__
_CREDIT, _DEBIT = Direction.CREDIT, Direction.DEBIT


class Booking(NamedTuple):
    """What the payments of one entry have in common; *identity* is how their keys begin."""

    identity: str
    account: str
    status: str
    is_reversal: bool
    booking_date: date | None
    value_date: date | None
    bank_reference: str


class Told(NamedTuple):
    """What a transaction says about where it belongs.

    *value* is the reference to match on, *raw* as it stands in the file; *references* are as in `Payment`.
    """

    raw: str = ""
    value: str = ""
    kind: str = ""
    references: tuple[Reference, ...] = ()
    text: str = ""


class Payer(NamedTuple):
    """Who paid. Empty text means: not told."""

    name: str = ""
    account: str = ""
    identity: str = ""
    address: str = ""


def told(found: Sequence[Reference], parts: Sequence[str], text: str, *, is_divided: bool) -> Told:
    """Return references and texts as a payment has them.

    They are listed only where they say more than the one reference and the text do: banks cut words at 35 or 140
    characters, so the parts of a text count. *is_divided* says that the parts of the amount differ from the amount.
    """
    texts = [Reference(part, part.strip(), "text") for part in parts if part.strip()]
    references = (*found, *texts) if is_divided or len(found) > 1 or len(texts) > 1 else ()
    first = primary(found)
    raw, value, kind = (first.raw, first.value, first.kind) if first else ("", "", "")
    return Told(raw, value, kind, references, " ".join(part.strip() for part in parts) or text.strip())


class Payments:
    """Makes payments, and numbers those that look alike. *message* is ``camt.054`` or ``camt.053``."""

    def __init__(self) -> None:
        self.message = ""
        self._next_ordinal = Ordinals().next

    def booking(
        self,
        account: str,
        status: str,
        dates: tuple[date | None, date | None],
        bank_reference: str,
        *,
        is_reversal: bool,
    ) -> Booking:
        """Return what the payments of an entry have in common."""
        state = "" if status == "BOOK" else f"{status}:"
        identity = f"{self.message}:{account}:{state}"
        return _new(Booking, (identity, account, status, is_reversal, *dates, bank_reference))

    def make(
        self,
        booking: Booking,
        position: int,
        minor: int,
        currency: str,
        own: str,
        end_to_end: str,
        payer: tuple[str, str, str, str],
        told: tuple[str, str, str, tuple[Reference, ...], str],
        order_date: date | None,
        is_credit: bool,
        is_return: bool,
        charges: int = 0,
        why_not: str = "",
    ) -> Payment:
        """Return the payment at *position*; *payer* and *told* are a `Payer` and a `Told`, or the bare tuples.

        *own* is the bank's reference of the transaction itself, empty where it has none; *why_not* says why it does not
        post although it is booked.
        """
        identity, account, status, is_reversal, booking_date, value_date, bank_reference = booking
        name, payer_account, payer_id, payer_address = payer
        raw, value, kind, references, text = told
        if status != "BOOK":
            why_not = "payment.not_booked"
        amount = f"C{minor}{currency}" if is_credit else f"D{minor}{currency}"
        identity = f"{identity}{amount}:{own}"
        if not own or len(identity) > MAX_KEY_CHARACTERS or not identity.isprintable():
            identity = self._digest(booking, identity, amount, value, end_to_end, payer_account)
        return _new(Payment, (
            position, minor, currency, _CREDIT if is_credit else _DEBIT, is_reversal or is_return, status, not why_not,
            why_not, value, raw, references, booking_date, value_date, name, payer_account, account,
            own or bank_reference, text, f"{identity}:{self._next_ordinal(identity)}", "", "", "", None, "",
            kind, bank_reference, order_date, charges, "", payer_id, payer_address,
        ))  # fmt: skip

    def _digest(
        self, booking: Booking, identity: str, amount: str, reference: str, end_to_end: str, payer_account: str
    ) -> str:
        """Return the identity across files (payments.md 8): nothing in it changes when a copy is ordered again."""
        end_to_end = end_to_end.strip()
        facts = (
            identity, booking.bank_reference, str(booking.booking_date or booking.value_date or ""),
            reference, "" if end_to_end == "NOTPROVIDED" else end_to_end, payer_account,
        )  # fmt: skip
        digest = blake2b("\x1f".join(facts).encode(errors="surrogatepass"), digest_size=16).hexdigest()
        account = booking.account[:34] if booking.account.isprintable() else ""
        return f"{self.message}:{account}:{amount[:40]}:#{digest}"

    def of_row(
        self,
        booking: Booking,
        position: int,
        minor: int,
        row: Row,
        found: re.Match[str],
        order_date: date | None,
        is_credit: bool,
    ) -> Payment:
        """Return the payment that a match of *row* is."""
        (
            fields, currency, _, is_return, code, proprietary, issuer, usual_kind, has_texts, texts, additional,
            return_reason, where, where_lines, _,
        ) = row  # fmt: skip
        _, own, end_to_end, name, other, account, raw, payer_id = found.group(*fields)
        if account and not account.isdecimal():
            account = account_number(account)
        value = raw.strip()
        kind = usual_kind if value else ""
        if value[:2] == "RF":
            kind = reference_kind(value, code, proprietary, issuer)
        if has_texts:
            parts = [found[group] for group in texts]
            only = (Reference(raw, value, kind),) if value else ()
            text = found[additional].strip() or return_reason
            says: tuple[str, str, str, tuple[Reference, ...], str] = told(only, parts, text, is_divided=False)
        else:
            says = raw if value else "", value, kind, (), ""
        told_address = address(found.group(*where), [found[group] for group in where_lines]) if where else ""
        return self.make(
            booking, position, minor, currency, own.strip(), end_to_end,
            ((name or other).strip(), account, payer_id.strip(), told_address), says, order_date, is_credit, is_return,
        )  # fmt: skip
