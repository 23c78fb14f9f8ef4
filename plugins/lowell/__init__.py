"""Lowell: sales ledger service and collection.

Lowell's own ledger-service layout is not public, so this plugin speaks Kravport's reference profile, to sandboxes
only. Money mostly comes through the agency's bank (OCR giro, camt.054), which the host reads; ``payments.nnn`` of the
profile is taken as well. See README.md here.
"""

from __future__ import annotations

from pathlib import Path

from gateway.domain.exchange import AgencyProfile, Service
from plugins.sls_agency import ABILITIES, LIMITS, LedgerServiceAgency, layout_profile, settings_schema

SCHEMA = Path(__file__).with_name("kravport-sls-1.xsd")

PROFILE = AgencyProfile(
    key="lowell",
    name="Lowell",
    markets=frozenset({"NO", "SE", "FI", "DK"}),
    currencies=frozenset({"NOK", "SEK", "DKK", "EUR"}),
    services=frozenset({Service.LEDGER, Service.COLLECTION}),
    can=ABILITIES,
    layouts=(layout_profile(needs_national_id=False),),
    # As the profile defines a repeat (B.2): the same bytes get the same receipt and change nothing.
    delivery_is_idempotent=True,
    settings_schema=settings_schema("Lowell"),
    limits=(
        *LIMITS,
        "Lowell's Norwegian ledger-service files need the client's contract documents.",
        "The Finnish Assignment API (lowell-fi-assignment-1) is not spoken yet.",
    ),
)


class Lowell(LedgerServiceAgency):
    """Lowell prefers an organisation number and does not insist (R-CD-04): the host's matrix stands as it is."""

    def __init__(self) -> None:
        super().__init__(PROFILE, SCHEMA, {})


plugin = Lowell()
