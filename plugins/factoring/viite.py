"""Finnish reference numbers that financiers prescribe (factoring-fall.md section 7).

Which scheme applies is a property of the agreement, never of a name.
"""

from __future__ import annotations

from gateway.domain.identifiers import is_rf, is_viitenumero, make_viitenumero
from gateway.errors import EncodeError

FINNISH, LASKURAHA = "finnish", "laskuraha"
"""Any reference with a right check digit; and Nordea's own: agreement number, 0, invoice number, check digit."""

_AGREEMENT_WIDTH, _INVOICE_WIDTH = 4, 8


def make_laskuraha(agreement: str, invoice: str) -> str:
    """Return the reference number of an invoice by Nordea's scheme.

    Args:
        agreement: the agreement's number, one to four digits.
        invoice: the invoice's number, at most eight digits.

    Raises:
        EncodeError: a number is no digits or wider than its place; cutting would make two invoices one.
    """
    for name, number, width in (("agreement", agreement, _AGREEMENT_WIDTH), ("invoice", invoice, _INVOICE_WIDTH)):
        if not (number.isascii() and number.isdigit() and len(number) <= width):
            raise EncodeError(f"{name} number {number!r} must be at most {width} digits in this reference")
    return make_viitenumero(f"{agreement}0{invoice.rjust(_INVOICE_WIDTH, '0')}")


def follows(scheme: str, reference: str, *, agreement: str, invoice: str) -> bool:
    """Return whether *reference* is one that *scheme* gives this invoice; False also where the numbers do not fit."""
    if scheme != LASKURAHA:
        return (is_viitenumero(reference) and " " not in reference) or is_rf(reference)
    try:
        return reference == make_laskuraha(agreement, invoice)
    except EncodeError:
        return False
