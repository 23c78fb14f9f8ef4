"""Small readings shared by the levels of a camt document: accounts, dates, remittance (payments.md 5.1, 5.2)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import lru_cache

from gateway.domain.exchange import Reference
from gateway.formats.camt_amounts import Amounts
from gateway.formats.camt_paths import Values

IS_CREDIT = {"CRDT": True, "DBIT": False}
"""``CdtDbtInd`` to whether the money comes in."""

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


def address(parts: Sequence[str], lines: Sequence[str]) -> str:
    """Return an address with its lines divided by line ends; what is not known takes no line.

    Args:
        parts: street, number of the building, postcode, town, country.
        lines: what stands before them.
    """
    street, building, postcode, town, country = parts
    first = f"{street} {building}" if building else street
    text = f"{first}\n{postcode} {town}\n{country}" if country else f"{first}\n{postcode} {town}"
    if not lines and text == text.strip() and "\n\n" not in text and " \n" not in text and "\n " not in text:
        return text
    found = (first, f"{postcode} {town}", country)
    return "\n".join(line for line in (part.strip() for part in (*lines, *found)) if line)


def references_of(values: Values) -> tuple[Reference, ...]:
    """Return the references of one ``Strd``: the creditor reference first, then the documents. Amounts come later."""
    found = []
    raw = values.get("reference", "")
    value = raw.strip()
    if value:
        kind = reference_kind(value, values.get("code", ""), values.get("proprietary", ""), values.get("issuer", ""))
        found.append(Reference(raw, value, kind))
    for document in values.get("documents", ()):
        number = document.get("number", "")
        if number.strip():
            found.append(Reference(number, number.strip(), _DOCUMENT_KINDS.get(document.get("code", "").strip(), "")))
    return tuple(found)


def reference_kind(value: str, code: str, proprietary: str, issuer: str) -> str:
    """Say what a creditor reference is. A reference without a type is taken for structured: banks leave it out."""
    if (value[:2] == "RF" and value[2:4].isdecimal()) or issuer.strip() == "ISO":
        return "rf"
    return "scor" if code.strip() == "SCOR" or not proprietary else ""


def allocated(values: Values, references: tuple[Reference, ...], amounts: Amounts) -> tuple[tuple[Reference, ...], str]:
    """Return the references of one ``Strd`` with their parts of the payment, and the currency of those parts.

    A credit note's part is negative, since it lowers what was paid: the parts of a payment add up to it. What was due
    stands in for what was remitted where that is not told, and so does a single amount of a type of its own (.12).
    """
    found, currency = list(references), ""
    stated = {1: values.get("remitted") or values.get("due"), -1: values.get("credited")}
    typed = values.get("amounts", ())
    if len(typed) == 1 and not any(stated.values()):
        stated[-1 if references and references[-1].kind == "credit_note" else 1] = typed[0].get("amount")
    for sign, money in stated.items():
        if money:
            text, currency = money
            minor = amounts.minor(text, currency, "Strd/RfrdDocAmt")
            index = next((i for i, ref in enumerate(found) if (ref.kind == "credit_note") == (sign < 0)), 0)
            if minor is not None and found:
                raw, value, kind, before = found[index]
                found[index] = Reference(raw, value, kind, (before or 0) + sign * minor)
    return tuple(found), currency


def primary(references: Sequence[Reference]) -> Reference | None:
    """Return the reference to match on: the structured one, else another creditor reference, else a document."""
    for reference in references:
        if reference.kind in {"scor", "rf"}:
            return reference
    return next((reference for reference in references if reference.kind != "text"), None)
