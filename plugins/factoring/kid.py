"""KIDs that Norwegian factors prescribe: made from client, customer and invoice number, printed before the invoice goes.

Source: factoring-sgfinans.md sections 4 and 5. Which scheme applies is a property of the agreement, never of a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gateway.domain.identifiers import KidCheck, mod10, mod11
from gateway.errors import EncodeError


class KidScheme(NamedTuple):
    """A scheme: *parts* are a literal or (``client``, ``customer``, ``invoice``; width), then the check character."""

    check: KidCheck
    parts: tuple[str | tuple[str, int], ...]


SCHEMES: Mapping[str, KidScheme] = {
    "standard-15": KidScheme(KidCheck.MOD10, (("invoice", 7), ("customer", 7))),
    "sgfinans-16": KidScheme(KidCheck.MOD10, ("9", ("client", 4), ("invoice", 8), "00")),
    "kfinans-20": KidScheme(KidCheck.MOD10, (("customer", 7), ("client", 4), ("invoice", 7), "1")),
    "dnb-20": KidScheme(KidCheck.MOD11, ("5", ("client", 4), ("invoice", 7), ("customer", 7))),
    "factonor-16": KidScheme(KidCheck.MOD10, (("client", 3), ("customer", 6), ("invoice", 6))),
}

HELD: Mapping[str, str] = {
    "long-21": "three readings of positions 7-20 fit the only published example and differ above invoice 9999; "
    "held until the factor confirms one",
}
"""Schemes we know of and do not make."""


def make_kid(scheme: str, *, client: str, customer: str, invoice: str) -> str:
    """Return the KID of an invoice.

    Raises:
        EncodeError: the scheme is held or unknown, or a number is not digits or wider than its place. Cutting would
            make two customers one.
    """
    if scheme in HELD:
        raise EncodeError(f"KID scheme {scheme}: {HELD[scheme]}")
    if scheme not in SCHEMES:
        raise EncodeError(f"unknown KID scheme {scheme!r}")
    numbers = {"client": client, "customer": customer, "invoice": invoice}
    check, parts = SCHEMES[scheme]
    payload = "".join([part if isinstance(part, str) else _placed(*part, numbers[part[0]]) for part in parts])
    return payload + (mod10(payload) if check is KidCheck.MOD10 else mod11(payload))


def follows(scheme: str, kid: str, *, client: str, customer: str, invoice: str) -> bool:
    """Return whether *kid* is the one *scheme* gives this invoice; False also where the numbers do not fit."""
    try:
        return kid == make_kid(scheme, client=client, customer=customer, invoice=invoice)
    except EncodeError:
        return False


def _placed(name: str, width: int, number: str) -> str:
    if not (number.isascii() and number.isdigit() and len(number) <= width):
        raise EncodeError(f"{name} number {number!r} must be at most {width} digits in this KID")
    return number.rjust(width, "0")
