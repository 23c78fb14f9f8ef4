"""What Ophelos' pages and SDK say, as data: version, currencies, statuses and kinds (API version 2025-04-01)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from gateway.domain.exchange import Agreement, LayoutProfile, LinkKind, Series
from gateway.domain.instructions import Action

VERSION = "2025-04-01"
NAME = f"ophelos-{VERSION}"
LABEL = "For clients with Ophelos access; Nordic availability unconfirmed"
CLAIMS, CHANGES = "claims", "changes"
"""Kinds of envelope: new claims with what is linked to them, and what comes later."""

ITEM_KEY, CASE_KEY, CUSTOMER_KEY = "gw_item", "gw_case", "gw_customer"
"""Names under which our own ids stand in the metadata of Ophelos' objects; a customer of theirs never sees metadata."""
OWN_ITEM = re.compile(r"kp-[0-9]+-[0-9]+")
"""What the host's ids of linked items look like; a payment with such a reference is one that we told (R-OP-04)."""
SEARCHABLE = re.compile(r"[A-Za-z0-9 ._/:#+-]{1,60}")
"""Values that stand between the quotation marks of a search and cannot end it; how a mark itself is written is unknown."""

CHARGES: Mapping[str, str] = {
    "interest": "interest",
    "reminder-fee": "fee",
    "notice-fee": "fee",
    "compensation": "fee",
}
"""Kinds of line item by the kind of charge; of any other nobody knows where it belongs."""

ACTIONS: Mapping[Action, str] = {
    Action.WITHDRAW: "withdraw",
    Action.HOLD: "pause",
    Action.RELEASE: "resume",
    Action.DISPUTE: "dispute",
    Action.DISPUTE_RESOLVED: "resolve-dispute",
}
"""Endpoints of a debt by instruction. A write-off in the creditor's books has none: the agency goes on anyway."""

LAYOUT = LayoutProfile(
    NAME,
    f"Ophelos REST API {VERSION}",
    LABEL,
    series={CLAIMS: Series(), CHANGES: Series()},
    carries=frozenset({LinkKind.DIRECT_PAYMENT, LinkKind.CREDIT_NOTE, LinkKind.CHARGE}),
    instructions=frozenset(ACTIONS),
    currencies=frozenset({"GBP", "EUR", "USD"}),
    settings=frozenset({"organisation_id"}),
)

LIMITS = (
    f"Ophelos: {LABEL}.",
    "Ophelos: only GBP, EUR and USD are known to be taken; claims in kroner are held.",
    "Ophelos: neither a company's number nor a postal address is sent: their fields are not published.",
    "Ophelos: a customer without e-mail and telephone is held: nobody could reach it.",
    "Ophelos: a changed customer card is not sent; what a payout contains is unknown, so it is kept and not split.",
    "Ophelos: a payment that fails or is disputed after it succeeded is kept as a file; a refund is a reversal of the whole.",
)

SETTINGS: Mapping[str, Mapping[str, object]] = {
    "organisation_id": {
        "type": "string",
        "title": "Ophelos: organisation",
        "description": "Id of the creditor's organisation at Ophelos, for example org_1.",
        "pattern": r"^[A-Za-z0-9_-]{0,80}$",
    },
    "tenant_id": {
        "type": "string",
        "title": "Ophelos: tenant",
        "description": "Sent as OPHELOS_TENANT_ID where Ophelos asks for it; else left empty.",
        "pattern": r"^[A-Za-z0-9_-]{0,80}$",
    },
    "search_address": {
        "type": "string",
        "title": "Ophelos: where searches go",
        "description": "'search' as their SDK does it (/debts/search), 'list' as their manual shows it (/debts).",
        "enum": ["search", "list"],
    },
}


class Meaning(NamedTuple):
    """What a status is in Kravport's words (`CaseStatus`)."""

    state: str
    stage: str = ""
    close_code: str = ""


UNKNOWN = Meaning("unknown")
"""A status that came after this was written: shown in Ophelos' own word, never guessed."""

_ACTIVE = Meaning("active")
LOOK_AT_IT = "action-required"
"""Stage of what waits for somebody to act."""
_TO_BE_LOOKED_AT = Meaning("active", LOOK_AT_IT)
_DISPUTED = Meaning("disputed", LOOK_AT_IT)

STATUSES: Mapping[str, Meaning] = {
    "initializing": Meaning("received"),
    "prepared": Meaning("received"),
    "paused": Meaning("paused"),
    "withdrawn": Meaning("closed", "", "withdrawn"),
    "deleted": Meaning("closed", "", "withdrawn"),
    "analysing": _ACTIVE,
    "resumed": _ACTIVE,
    "contacted": _ACTIVE,
    "contact_established": _ACTIVE,
    "contact_failed": _ACTIVE,
    "enriching": _ACTIVE,
    "returned": Meaning("closed", "", "withdrawn"),
    "discharged": Meaning("closed", "", "written-off"),
    "arranging": _ACTIVE,
    "paying": _ACTIVE,
    "settled": Meaning("closed", "", "paid"),
    "paid": Meaning("closed", "", "paid"),
    "queried": _DISPUTED,
    "disputed": _DISPUTED,
    "defaulted": _TO_BE_LOOKED_AT,
    "follow_up_required": _TO_BE_LOOKED_AT,
    "adjusted": _TO_BE_LOOKED_AT,
    "assessing": _ACTIVE,
    "recovering": _ACTIVE,
    "process_exhausted": Meaning("closed"),  # without a code the host asks a person, who may write it off
    "legal_protection": Meaning("paused", "legal"),
    "closed": Meaning("closed", "", "paid"),
    "open": _ACTIVE,
}
"""Section "debt.status.value" of the facts; the right-hand side is Kravport's reading."""

SETTLED = "settled"
"""May be less than the whole: what remains tells."""


def headers_of(agreement: Agreement) -> tuple[tuple[str, str], ...]:
    """Return the headers of every call under *agreement*, beside the token."""
    tenant = str(agreement.settings.get("tenant_id", ""))
    named = (("Ophelos-Version", VERSION),)
    return (*named, ("OPHELOS_TENANT_ID", tenant)) if tenant else named


def organisation_of(agreement: Agreement) -> str:
    """Return the id of the creditor's organisation at Ophelos."""
    return str(agreement.settings.get("organisation_id", ""))


def own_id(agreement: Agreement, number: str) -> str:
    """Return the name by which Ophelos' objects know ours: a tenant may hold several creditors."""
    return f"{agreement.client_number}:{number}"


def our_number(agreement: Agreement, name: str) -> str:
    """Return our number in a name made by `own_id`; empty where it is another creditor's, or none of ours."""
    prefix = own_id(agreement, "")
    return name.removeprefix(prefix) if name.startswith(prefix) else ""
