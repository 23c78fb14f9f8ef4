"""FALL, the 400 characters of the Finnish finance houses' association, in the dialects of its members.

The records have no account and no place for a notice: being in the file is the assignment, and the invoice that the
debtor gets says whom to pay. Source: factoring-fall.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.domain.exchange import Agreement, Claim, Customer, Finding, Severity
from gateway.profiles import Row
from plugins.factoring.by_profile import ByProfile, Widths, same
from plugins.factoring.faults import blocking, is_in, unfit
from plugins.factoring.viite import FINNISH, LASKURAHA, follows, make_laskuraha

_CLIENT, _CUSTOMER, _AMOUNT = 6, 6, 12
_INVOICE = {"danske": 9}
"""Digits of an invoice number where the dialect has not ten."""
_TEXTS = {"name": 30, "address1": 20, "address2": 30}
_TELLS_INTEREST = frozenset({"nordea", "danske", "aktia"})
"""Dialects that say what the buyer pays when late: left blank it would say nothing per cent."""
_SENDER, _TOWN = 30, 20
"""Columns of the sender's name; and of the postcode, a blank and the town."""


class Fall(ByProfile):
    """One *dialect*: ``nordea``, ``op``, ``danske`` or ``aktia``."""

    def __init__(self, dialect: str) -> None:
        widths = Widths(_CLIENT, _CUSTOMER, _INVOICE.get(dialect, 10), _AMOUNT)
        settings = ("business_id", "late_interest") if dialect in _TELLS_INTEREST else ("business_id",)
        super().__init__(f"fall-{dialect}", "FI", widths, settings)

    def own_faults(self, claim: Claim, agreement: Agreement) -> Iterator[Finding]:
        """Yield also that the sender's name has no room: it stands in the file once, and would stop all of it."""
        sender = agreement.creditor_name
        if not (0 < len(sender) <= _SENDER and sender.isprintable() and is_in(sender, self.file.layout.encoding)):
            yield unfit("creditor_name", sender)
        yield from super().own_faults(claim, agreement)

    def reference_faults(self, claim: Claim, agreement: Agreement) -> Iterator[Finding]:
        """Yield that the invoice's reference is not of the agreement's scheme: the money would not be known again."""
        scheme = _scheme(agreement)
        if not follows(
            scheme, claim.payment_reference, agreement=agreement.client_number, invoice=claim.invoice_number
        ):
            yield blocking("factoring.reference_scheme", "payment_reference", claim.payment_reference, scheme=scheme)

    def note_reference(self, claim: Claim, number: str, agreement: Agreement) -> str:
        """Return what laskuraha makes of the credit note's own number; other schemes prescribe nothing."""
        del claim
        if _scheme(agreement) != LASKURAHA or not number.isdigit():
            return ""
        return make_laskuraha(agreement.client_number, number)

    def fitted(self, customer: Customer, agreement: Agreement) -> tuple[Customer, tuple[Finding, ...]]:
        """Shorten names and addresses where the agreement says so; the finding stays, and no number is touched."""
        if agreement.settings.get("shorten_text") is not True:
            return customer, ()
        widths = {**_TEXTS, "city": _TOWN - len(customer.postcode) - 1}
        long = {name: getattr(customer, name) for name, width in widths.items() if len(getattr(customer, name)) > width}
        if not long:
            return customer, ()
        cut = {name: text[: widths[name]].rstrip() for name, text in long.items()}
        told = [
            Finding(Severity.WARNING, "factoring.text_shortened", name, cut[name], {"field": name}) for name in long
        ]
        return customer._replace(**cut), tuple(told)

    def check_row(self, row: Row, agreement: Agreement) -> None:
        """As for any; the seller, too, is the agreement's, and each invoice's reference that of its scheme."""
        super().check_row(row, agreement)
        same(row, "seller_id", str(agreement.settings.get("business_id", "")).replace("-", ""))


def _scheme(agreement: Agreement) -> str:
    return str(agreement.settings.get("reference_scheme", FINNISH))
