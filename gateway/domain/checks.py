"""Customer checks before anything is sealed: the matrix of R-CD as data, and the factoring settings of R-FA.

The host knows one column per service. For a ledger service it is the milder one (warnings where the source pages say
"preferably"); an agency that demands more says so from its own ``check_customer`` hook, best by `demand`::

    return demand(customer, agreement, {"customer.org_number_missing": Severity.BLOCKING})
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from gateway.domain.exchange import Agreement, Customer, CustomerKind, Finding, LayoutProfile, Service, Severity
from gateway.domain.identifiers import (
    account_key,
    is_account,
    is_national_id,
    is_organisation_number,
    is_personal,
    masked,
    national_id_fault,
    organisation_number_fault,
)

TAKES_FOREIGN = "takes_foreign_customers"
"""Setting of an agreement: the agency has agreed to customers abroad, so `customer.foreign` only warns."""

B, W, I, NOT = Severity.BLOCKING, Severity.WARNING, Severity.INFO, None  # noqa: E741  the letters of the matrix


class _Row(NamedTuple):
    """One line of the matrix: the severity per service; None where the service does not look."""

    ledger: Severity | None
    collection: Severity | None
    factoring: Severity | None


_MATRIX: Mapping[str, _Row] = {
    "customer.kind_missing": _Row(B, B, B),
    "customer.kind_contradicts_id": _Row(B, B, B),
    "customer.number_missing": _Row(B, B, B),
    "customer.number_empty": _Row(B, B, B),
    "customer.name_missing": _Row(B, B, B),
    "customer.org_number_missing": _Row(W, B, B),
    "customer.national_id_missing": _Row(I, W, NOT),
    "identifier.check_digit": _Row(B, B, B),
    "identifier.first_digit": _Row(B, B, B),
    "customer.address_missing": _Row(B, B, B),
    "customer.address_filler": _Row(B, B, B),
    "customer.country_missing": _Row(W, B, B),
    "customer.foreign": _Row(W, B, B),
    "customer.email_missing": _Row(I, I, W),
    "customer.phone_missing": _Row(I, I, W),
    "customer.duplicate": _Row(W, W, W),
}
"""Rules section 7. The ledger column is Lowell's; Intrum's plugin raises organisation number, country and national id.
A reminder service posts letters like a ledger service and uses its column."""

_ABSOLUTE = frozenset(code for code, row in _MATRIX.items() if set(row) == {B})
"""What blocks everywhere. No plugin may lower it (R-CD-09: never sent, to no agency)."""

_RANK = {Severity.INFO: 0, Severity.WARNING: 1, Severity.BLOCKING: 2}


def check_customer(
    customer: Customer,
    agreement: Agreement,
    layout: LayoutProfile,
    plugin_findings: Iterable[Finding] = (),
    *,
    duplicate_of: str = "",
) -> tuple[Finding, ...]:
    """Return everything wrong with *customer* for *agreement*, sternest first; each finding's place is a field name.

    Args:
        customer: the card as it stands now (R-CD-10).
        agreement: decides the column by its service and the home country by its market.
        layout: the agreed layout; it may demand a national id.
        plugin_findings: what the agency's own ``check_customer`` said. A code the host found as well takes the
            plugin's severity, except that nothing which blocks everywhere can be lowered; other findings are added.
        duplicate_of: number of another customer with the same identity, known to the caller only.
    """
    found = {(finding.code, finding.place): finding for finding in _host_findings(customer, agreement, layout)}
    if duplicate_of:
        code = "customer.duplicate"
        found[code, "customer_number"] = Finding(W, code, "customer_number", duplicate_of)
    said: dict[str, Severity] = {}
    for finding in plugin_findings:
        found.setdefault((finding.code, finding.place), finding)
        said[finding.code] = max(said.get(finding.code, finding.severity), finding.severity, key=_RANK.__getitem__)
    settled = [
        finding._replace(severity=said[finding.code])
        if finding.code in said and finding.code not in _ABSOLUTE
        else finding
        for finding in found.values()
    ]
    return tuple(sorted(settled, key=lambda finding: -_RANK[finding.severity]))


def demand(customer: Customer, agreement: Agreement, severities: Mapping[str, Severity]) -> tuple[Finding, ...]:
    """Return the host's findings of the codes in *severities*, with those severities: for a plugin's own column.

    A code the host's column leaves out altogether (national id in factoring) is looked for as well.
    """
    return tuple(
        Finding(severities[code], code, place, value, values)
        for code, place, value, values in _observations(customer, agreement)
        if code in severities
    )


def has_blocking(findings: Iterable[Finding]) -> bool:
    """Return whether any of *findings* holds the customer's items (R-CD-08)."""
    return any(finding.severity is Severity.BLOCKING for finding in findings)


# --- what can be seen on a card --------------------------------------------------------------------------------------

_Observation = tuple[str, str, str, Mapping[str, object]]
"""Reason code, field name, value as it may be shown, values of the sentence."""


def _host_findings(customer: Customer, agreement: Agreement, layout: LayoutProfile) -> Iterator[Finding]:
    for code, place, value, values in _observations(customer, agreement):
        severity = _severity(code, agreement, layout)
        if severity is not None:
            yield Finding(severity, code, place, value, values)


def _severity(code: str, agreement: Agreement, layout: LayoutProfile) -> Severity | None:
    if code == "customer.national_id_missing" and layout.needs_national_id:
        return B
    if code == "customer.foreign" and agreement.settings.get(TAKES_FOREIGN) is True:
        return W
    row = _MATRIX[code]
    if agreement.service is Service.COLLECTION:
        return row.collection
    return row.factoring if agreement.service is Service.FACTORING else row.ledger


def _observations(customer: Customer, agreement: Agreement) -> Iterator[_Observation]:
    yield from _who(customer)
    yield from _numbers(customer, customer.country or agreement.market, allow_synthetic=agreement.is_sandbox)
    yield from _address(customer)
    if not _is_country(customer.country):
        yield "customer.country_missing", "country", customer.country, {}
    elif customer.country != agreement.market:
        yield "customer.foreign", "country", customer.country, {"agency": agreement.display_name}
    for field in ("email", "phone"):
        if not getattr(customer, field).strip():
            yield f"customer.{field}_missing", field, "", {}


def _who(customer: Customer) -> Iterator[_Observation]:
    if customer.kind is None:
        yield "customer.kind_missing", "kind", "", {}
    if customer.kind is CustomerKind.PRIVATE and not (customer.has_own_number and customer.customer_number.strip()):
        yield "customer.number_missing", "customer_number", "", {}
    elif not customer.customer_number.strip():
        yield "customer.number_empty", "customer_number", "", {}
    if not customer.name.strip() or is_filler(customer.name):
        yield "customer.name_missing", "name", customer.name, {}


def _numbers(customer: Customer, country: str, *, allow_synthetic: bool) -> Iterator[_Observation]:
    organisation_number, national_id = customer.organisation_number.strip(), customer.national_id.strip()
    if _contradicts(customer.kind, organisation_number, national_id, country, allow_synthetic=allow_synthetic):
        yield "customer.kind_contradicts_id", "kind", "", {}
    if organisation_number:
        yield from _organisation_number(organisation_number, country, is_private=customer.kind is CustomerKind.PRIVATE)
    elif customer.kind in (CustomerKind.COMPANY, CustomerKind.PUBLIC):
        yield "customer.org_number_missing", "organisation_number", "", {}
    if national_id:
        fault = national_id_fault(country, national_id, allow_synthetic=allow_synthetic)
        if fault:
            shown = masked(national_id)
            yield fault, "national_id", shown, {"value": shown}
    elif customer.kind is CustomerKind.PRIVATE:
        yield "customer.national_id_missing", "national_id", "", {}


def _organisation_number(number: str, country: str, *, is_private: bool) -> Iterator[_Observation]:
    fault = organisation_number_fault(country, number)
    if fault:
        shown = masked(number) if is_private or is_personal(country, number) else number
        yield fault, "organisation_number", shown, {"value": shown}


def _contradicts(
    kind: CustomerKind | None, organisation_number: str, national_id: str, country: str, *, allow_synthetic: bool
) -> bool:
    """R-CD-03: a person with a valid organisation number, or a legal person with a valid national id, in either field.

    A Swedish sole trader's organisation number is a personal number: it contradicts neither kind (L-ID-08).
    """
    organisation_is_legal = is_organisation_number(country, organisation_number)
    organisation_is_person = is_national_id(country, organisation_number, allow_synthetic=allow_synthetic)
    national_is_person = is_national_id(country, national_id, allow_synthetic=allow_synthetic)
    if kind is CustomerKind.PRIVATE:
        national_is_legal = is_organisation_number(country, national_id) and not national_is_person
        return national_is_legal or (organisation_is_legal and not organisation_is_person)
    if kind is None:
        return False
    is_sole_trader = organisation_is_legal and organisation_is_person
    return (national_is_person or organisation_is_person) and not is_sole_trader


def _address(customer: Customer) -> Iterator[_Observation]:
    lines = {"address1": customer.address1 or customer.address2, "postcode": customer.postcode, "city": customer.city}
    for field, value in lines.items():
        if not value.strip():
            yield "customer.address_missing", field, "", {}
    for field in ("address1", "address2", "postcode", "city"):
        value = getattr(customer, field)
        if value.strip() and is_filler(value):
            yield "customer.address_filler", field, value, {}


_FILLERS = frozenset(
    {"na", "nn", "none", "null", "unknown", "no address", "tba", "tbd", "x"}
    | {"ukjent", "ukjent adresse", "ingen", "ingen adresse", "mangler", "adresse mangler"}
    | {"okänd", "okand", "okänd adress", "saknas", "adress saknas", "ukendt", "tuntematon"}
)
_SAME_SIGN = re.compile(r"0+|x{2,}|([^\W\d_])\1{2,}")
"""Zeros only, or one letter over and over. Not any digit: 111 11 is a postcode of Stockholm."""


def is_filler(text: str) -> bool:
    """Return whether *text* only fills a field that had to hold something: ``-``, ``n.a``, ``0000``, ``.``, ``xxx``."""
    words = " ".join("".join(sign if sign.isalnum() else " " for sign in text.casefold()).split())
    joined = words.replace(" ", "")
    return not joined or words in _FILLERS or joined in _FILLERS or _SAME_SIGN.fullmatch(joined) is not None


def _is_country(text: str) -> bool:
    return len(text) == 2 and text.isascii() and text.isalpha() and text.isupper() and text not in {"XX", "ZZ"}


# --- factoring settings ----------------------------------------------------------------------------------------------


class PostingMode(Enum):
    """How invoices are posted while the agency is treated as a factor; only this one is known (A-10)."""

    NORMAL = "normal"


@dataclass(frozen=True, slots=True)
class FactoringSettings:
    """The factoring screen of a creditor (R-FA-03, R-FA-05). *posting* is as stored, and may be of an unknown mode."""

    customer_number: str
    name: str
    address: str
    account_number: str
    invoice_text: str = ""
    posting: str = PostingMode.NORMAL.value


def check_factoring_settings(
    settings: FactoringSettings, market: str, payment_account: str = ""
) -> tuple[Finding, ...]:
    """Return what is wrong with the factoring *settings* (R-FA-03, R-FA-04, R-FA-05).

    Args:
        settings: as on the screen.
        market: the agreement's country; decides which account forms are known.
        payment_account: the account of the agreement, empty when it has none yet. A difference is a warning.
    """
    found = [
        Finding(B, "factoring.field_missing", field, "", {"field": field})
        for field in ("customer_number", "name", "address", "account_number")
        if not getattr(settings, field).strip()
    ]
    account = settings.account_number.strip()
    if account and not is_account(market, account):
        found.append(Finding(B, "identifier.check_digit", "account_number", account, {"value": account}))
    if account and payment_account and account_key(account) != account_key(payment_account):
        found.append(Finding(W, "factoring.account_differs", "account_number", account))
    if settings.posting != PostingMode.NORMAL.value:
        found.append(Finding(B, "factoring.posting_mode", "posting", settings.posting))
    return tuple(found)
