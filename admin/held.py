"""Held items as a person meets them: why, who can mend it, when it goes at the earliest, and where to press (point 3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from flask import url_for

from admin.shell import sentence
from gateway.db.tables import Agreement
from gateway.domain.reasons import reason
from gateway.services.preview import Held

_FIELDS = {
    "customer.kind_missing": "kind",
    "customer.kind_contradicts_id": "kind",
    "customer.number_missing": "customer_number",
    "customer.number_empty": "customer_number",
    "customer.name_missing": "name",
    "customer.org_number_missing": "organisation_number",
    "customer.national_id_missing": "national_id",
    "customer.address_missing": "address1",
    "customer.address_filler": "address1",
    "customer.country_missing": "country",
    "customer.foreign": "country",
    "customer.email_missing": "email",
    "customer.phone_missing": "phone",
    "customer.duplicate": "customer_number",
    "identifier.check_digit": "organisation_number",
    "identifier.first_digit": "organisation_number",
}
"""Which field of the customer card mends a finding (R-CD-07), where the finding itself does not say."""


@dataclass(slots=True)
class HeldGroup:
    """Entries of one agreement that are held for the same reason, said in the same words."""

    agreement: Agreement
    code: str
    said: str
    who: str
    is_exclusion: bool
    next_date: date | None
    href: str
    action: str
    entries: list[Held] = field(default_factory=list)

    @property
    def sum_minor(self) -> int:
        """Sum of the entries' amounts, minor units of the agreement's currency."""
        return sum(entry.amount_minor for entry in self.entries)


def field_of(code: str, place: str = "") -> str:
    """Return the field of the customer card that mends *code*; empty where it is not on the card."""
    return place if place and code.startswith(("customer.", "identifier.")) else _FIELDS.get(code, "")


def is_on_card(code: str) -> bool:
    """Say whether a finding is mended on the customer card."""
    return code in _FIELDS or code == "exclusion.customer" or code.startswith("customer.")


def mend(held: Held, agreement_id: int) -> tuple[str, str]:
    """Return (address, text key) of the place where *held* is mended: one press leads to the field."""
    if is_on_card(held.code):
        field_name = field_of(held.code)
        target = url_for("panel_customers.card", customer_id=held.customer_id, field=field_name or None)
        return f"{target}#{field_name}" if field_name else target, "held.mend_customer"
    if held.code.startswith("factoring."):
        return url_for("panel_factoring.index_view"), "held.mend_factoring"
    if held.code.startswith(("agreement.", "delivery.")):
        return url_for("panel_agreements.detail", agreement_id=agreement_id), "held.mend_agreement"
    return url_for("panel_invoices.detail", entry_id=held.group_id), "held.mend_invoice"


def grouped(agreement: Agreement, held: Iterable[Held], limit: int) -> list[HeldGroup]:
    """Gather what is held for the same reason; the group leads to its first entry's place, or to the list of all."""
    groups: dict[tuple[str, str], HeldGroup] = {}
    for entry in held:
        said = sentence(entry.code, entry.values)
        key = (entry.code, said)
        if key not in groups:
            if len(groups) >= limit:
                continue
            href, action = mend(entry, agreement.id)
            who = reason(entry.code).who
            groups[key] = HeldGroup(agreement, entry.code, said, who, entry.is_exclusion, entry.next_date, href, action)
        groups[key].entries.append(entry)
    return list(groups.values())
