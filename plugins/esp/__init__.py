"""ESP ("ESP Purring", ESP Credit Management): nothing of its formats is public, so this plugin sends nothing yet.

It exists so that the reminder chooser (R-RM-02 to R-RM-10) can name ESP, an agreement can be kept, and everybody sees
what is missing. Inventing a layout and calling it ESP's is what it refuses to do (A-25; esp.md section 1).
"""

from __future__ import annotations

from gateway.domain.exchange import AgencyProfile, Can, LayoutProfile, Service
from gateway.hookspecs import AgencyHooks, hookimpl

_PROFILE = AgencyProfile(
    key="esp",
    name="ESP Credit Management",
    markets=frozenset({"NO"}),
    currencies=frozenset({"NOK"}),
    services=frozenset({Service.REMINDER, Service.COLLECTION}),
    can=Can(0),
    layouts=(
        LayoutProfile(
            name="kravport-sls-1",
            title="Kravport reference profile kravport-sls-1. Chosen by Kravport, not by any agency. "
            "Unconfirmed: sandbox only.",
            source="Kravport; planned for an ESP sandbox with the collection service",
            carries=frozenset(),
            receipt_within_hours=None,
        ),
    ),
    delivery_is_idempotent=False,
    settings_schema={"type": "object", "additionalProperties": False, "properties": {}},
    limits=(
        "ESP publishes no file format, no interface, no codes and no test account: nothing can be sent to ESP yet.",
        "The layout kravport-sls-1 is planned for a sandbox that plays ESP; this version does not write it.",
        "Nothing ESP might send back can be read: no receipts, statuses, payments or settlements.",
        "Delivery to production is refused until ESP's own description exists and an operator has confirmed it.",
        "To go on, ask ESP for its specification, a test account and its bank account.",
    ),
)


class Esp(AgencyHooks):
    """Describes itself; promises nothing."""

    api_version = "1.0"

    @hookimpl
    def agency_profile(self) -> AgencyProfile:
        """Return the manifest."""
        return _PROFILE


plugin = Esp()
