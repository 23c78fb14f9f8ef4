"""Small readings shared by the levels of a camt document: accounts, dates, remittance (payments.md 5.1, 5.2)."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from gateway.domain.exchange import Reference
from gateway.formats.camt_amounts import Amounts
from gateway.formats.camt_paths import Values

_DOCUMENT_KINDS = {"CINV": "invoice", "CREN": "credit_note"}
_NORWEGIAN_IBAN_LENGTH = 15


@lru_cache(maxsize=4096)
def account_number(raw: str) -> str:
    """Return an account as it is compared: no blanks or dots, a Norwegian IBAN as its eleven-digit account number."""
    number = "".join(raw.split())
    if number.startswith("NO") and len(number) == _NORWEGIAN_IBAN_LENGTH:
        return number[4:]
    plain = number.replace(".", "")
    return plain if plain.isdecimal() else number


@lru_cache(maxsize=4096)
def local_day(raw: str) -> date | None:
    """Return the day of a date or date-time as written, never moved through UTC; None when it is no date.

    An offset or time behind the day is left alone: the bank's books are kept in local days.
    """
    text = raw.strip()
    if len(text) > 10 and text[10] not in "TZ+-":
        return None
    try:
        return date.fromisoformat(text[:10]) if text[4:5] == "-" else None
    except ValueError:
        return None


def references_of(values: Values) -> tuple[Reference, ...]:
    """Return the references of one ``Strd``: the creditor reference first, then the documents. Amounts come later."""
    found = []
    raw = values.get("reference", "")
    value = raw.strip()
    if value:
        found.append(Reference(raw, value, _reference_kind(value, values)))
    for code, number in values.get("documents", ()):
        if number.strip():
            found.append(Reference(number, number.strip(), _DOCUMENT_KINDS.get(code.strip(), "")))
    return tuple(found)


def _reference_kind(value: str, values: Values) -> str:
    """Say what a creditor reference is. A reference without a type is taken for structured: banks leave it out."""
    if (value[:2] == "RF" and value[2:4].isdecimal()) or values.get("issuer", "").strip() == "ISO":
        return "rf"
    return "scor" if values.get("code", "").strip() == "SCOR" or not values.get("proprietary") else ""


def allocated(
    values: Values, references: tuple[Reference, ...], amounts: Amounts, place: str
) -> tuple[tuple[Reference, ...], str]:
    """Return the references of one ``Strd`` with their parts of the payment, and the currency of those parts.

    A credit note's part is negative, since it lowers what was paid: the parts of a payment add up to it.
    """
    found, currency = list(references), ""
    for key, sign in (("remitted", 1), ("credited", -1)):
        if key not in values:
            continue
        text, currency = values[key]
        minor = amounts.minor(text, currency, f"{place}/RfrdDocAmt")
        index = next((i for i, ref in enumerate(found) if (ref.kind == "credit_note") == (sign < 0)), 0)
        if minor is not None and found and found[index].amount_minor is None:
            raw, value, kind, _ = found[index]
            found[index] = Reference(raw, value, kind, sign * minor)
    return tuple(found), currency


def primary(references: list[Reference]) -> Reference | None:
    """Return the reference to match on: the structured one, else another creditor reference, else a document."""
    for reference in references:
        if reference.kind in {"scor", "rf"}:
            return reference
    return next((reference for reference in references if reference.kind != "text"), None)
