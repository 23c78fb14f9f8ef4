"""Intrum Justitia: sales ledger service and collection.

Intrum's own attribute tables are not public, so this plugin speaks Kravport's reference profile, to sandboxes only.
See README.md here.
"""

from __future__ import annotations

from pathlib import Path

from gateway.domain.exchange import AgencyProfile, Service, Severity
from plugins.sls_agency import ABILITIES, LIMITS, LedgerServiceAgency, layout_profile, settings_schema

SCHEMA = Path(__file__).with_name("kravport-sls-1.xsd")

PROFILE = AgencyProfile(
    key="intrum",
    name="Intrum Justitia",
    markets=frozenset({"NO", "SE", "FI", "DK"}),
    currencies=frozenset({"NOK", "SEK", "DKK", "EUR"}),
    services=frozenset({Service.LEDGER, Service.COLLECTION}),
    can=ABILITIES,
    layouts=(layout_profile(needs_national_id=True),),
    # The profile says what a repeat does (B.2): the same bytes get the same receipt and change nothing, and a sealed
    # envelope is always sent again with the same bytes. SEQUENCE_REUSED strikes only another file of that number.
    delivery_is_idempotent=True,
    settings_schema=settings_schema("Intrum"),
    limits=(*LIMITS, "Intrum's own files (UpdateSLSCase and its siblings) need the client's contract documents."),
)


class Intrum(LedgerServiceAgency):
    """Intrum's intake stops without organisation number or country, so both hold the customer (R-CD-04, R-CD-06)."""

    def __init__(self) -> None:
        demands = {
            "customer.org_number_missing": Severity.BLOCKING,
            "customer.country_missing": Severity.BLOCKING,
        }
        super().__init__(PROFILE, SCHEMA, demands)


plugin = Intrum()
