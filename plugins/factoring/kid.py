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

READINGS: Mapping[str, tuple[KidScheme, ...]] = {
    "long-21": tuple(
        KidScheme(KidCheck.MOD10, (("customer", 6), fixed, ("invoice", width)))
        for fixed, width in (("7988027000", 4), ("798802700", 5), ("7988027", 7))
    ),
}
"""Schemes that are held: their one published example can be read in all of these ways, which differ above invoice 9999."""


def make_kid(scheme: str, *, client: str, customer: str, invoice: str) -> str:
    """Return the KID of an invoice.

    Raises:
        EncodeError: the scheme is held or unknown, or a number is not digits or wider than its place. Cutting would
            make two customers one.
    """
    if scheme in READINGS:
        raise EncodeError(f"KID scheme {scheme} can be read in several ways; held until the factor confirms one")
    if scheme not in SCHEMES:
        raise EncodeError(f"unknown KID scheme {scheme!r}")
    return _made(SCHEMES[scheme], {"client": client, "customer": customer, "invoice": invoice})


def readings_of(scheme: str, *, client: str, customer: str, invoice: str) -> frozenset[str]:
    """Return the KIDs that a held *scheme* may mean for an invoice: one where its readings agree.

    Raises:
        EncodeError: the scheme is not one of `READINGS`, or a number does not fit into one of them.
    """
    if scheme not in READINGS:
        raise EncodeError(f"KID scheme {scheme!r} is not held")
    numbers = {"client": client, "customer": customer, "invoice": invoice}
    return frozenset(_made(reading, numbers) for reading in READINGS[scheme])


def follows(scheme: str, kid: str, *, client: str, customer: str, invoice: str) -> bool:
    """Return whether *kid* is the one *scheme* gives this invoice; False also where the numbers do not fit."""
    try:
        return kid == make_kid(scheme, client=client, customer=customer, invoice=invoice)
    except EncodeError:
        return False


def _made(scheme: KidScheme, numbers: Mapping[str, str]) -> str:
    payload = "".join([part if isinstance(part, str) else _placed(*part, numbers[part[0]]) for part in scheme.parts])
    return payload + (mod10(payload) if scheme.check is KidCheck.MOD10 else mod11(payload))


def _placed(name: str, width: int, number: str) -> str:
    if not (number.isascii() and number.isdigit() and len(number) <= width):
        raise EncodeError(f"{name} number {number!r} must be at most {width} digits in this KID")
    return number.rjust(width, "0")
