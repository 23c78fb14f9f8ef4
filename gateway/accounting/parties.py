"""Who is who in a document: organisation numbers by the scheme they came with, and what tells a customer again."""

from __future__ import annotations

import hashlib
import re

from gateway.domain.exchange import CustomerKind
from gateway.domain.ledger import CustomerRecord
from gateway.formats.ubl import Party

_COUNTRIES = {
    "0192": "NO", "NO:ORGNR": "NO", "0007": "SE", "SE:ORGNR": "SE", "0184": "DK", "0096": "DK", "0198": "DK",
    "DK:CVR": "DK", "DK:SE": "DK", "0212": "FI", "0216": "FI", "FI:OVT": "FI",
}  # fmt: skip
"""Schemes of organisation numbers and the country that issues them (files.md 2.2; EHF 2 and OIOUBL spell them out)."""

_NOT_ORGANISATIONS = frozenset({"0088", "GLN"})
"""A location number says where, not who."""

_SEPARATORS = re.compile(r"[\s.-]")
_LONG_FORM = {"SE": "16", "FI": "0037"}


def country_of_scheme(scheme: str) -> str:
    """Return the country whose organisation numbers *scheme* names, empty for any other scheme."""
    return _COUNTRIES.get(scheme.upper(), "")


def organisation_number(party: Party) -> str:
    """Return the organisation number of *party*, without separators and country prefix where its scheme is known.

    Empty when the document gives none: a location number is none, neither is the transport address (U4).
    """
    if party.legal_scheme.upper() in _NOT_ORGANISATIONS:
        return ""
    country = country_of_scheme(party.legal_scheme)
    return bare_number(party.legal_id, country) if country else party.legal_id


def registered_number(party: Party) -> str:
    """Return what identifies *party* in law: its organisation number, else the one inside its VAT number."""
    number = organisation_number(party)
    return number or ("" if party.legal_id else _number_in_vat(party.vat_number))


def bare_number(number: str, country: str) -> str:
    """Return an organisation number as its digits alone, so that two spellings of *country* compare equal.

    A Swedish ``16`` and a Finnish ``0037`` in front are prefixes of longer registers, ``MVA`` behind a Norwegian number
    says that it is registered for VAT.
    """
    plain = _SEPARATORS.sub("", number).upper().removeprefix(country)
    if len(plain) == 12:
        plain = plain.removeprefix(_LONG_FORM.get(country, ""))
    return plain.removesuffix("MVA") if country == "NO" else plain


def _number_in_vat(vat_number: str) -> str:
    country = vat_number[:2].upper()
    number = bare_number(vat_number, country) if country in {"NO", "DK", "FI"} else _SEPARATORS.sub("", vat_number)
    return number[2:].removesuffix("01") if country == "SE" and len(number) == 14 else number


def customer_number(party: Party) -> str:
    """Return the number the creditor knows the customer by, empty when the document gives only official ones."""
    return "" if country_of_scheme(party.party_scheme) else party.party_id


def customer_record(party: Party) -> CustomerRecord:
    """Return *party* as a customer card. The kind is company when it has a legal id, else not said (U5)."""
    number = organisation_number(party)
    return CustomerRecord(
        external_id=_external_id(party, number),
        customer_number=customer_number(party),
        kind=CustomerKind.COMPANY if number else None,
        name=party.name,
        organisation_number=number,
        address1=party.address1,
        address2=party.address2,
        postcode=party.postcode,
        city=party.city,
        country=party.country,
        email=party.email,
        phone=party.phone,
    )


def _external_id(party: Party, number: str) -> str:
    """Return an id that the same customer gets in every file: legal id, else customer number, else name and address.

    A hash, because a sole trader's number is a personal number and ids stand in addresses and logs.
    """
    parts: tuple[str, ...]
    if number:
        parts = ("legal", country_of_scheme(party.legal_scheme) or party.legal_scheme, number)
    elif party.party_id:
        parts = ("number", party.party_scheme, party.party_id)
    else:
        parts = ("name", party.name, party.address1, party.address2, party.postcode, party.city, party.country)
    return "ubl-" + hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]
