"""Ophelos, part of Intrum: a REST API with webhooks, the second service of the plugin (layout ``ophelos-2025-04-01``).

An evening is a sealed file of calls (`planning`), which `delivering` makes once each; `fetching` asks what is new and keeps
each thing as a file, which `reading` turns into receipts, statuses and payments. `terms` holds the facts as data.
"""

from plugins.intrum.ophelos.delivering import deliver
from plugins.intrum.ophelos.fetching import fetch
from plugins.intrum.ophelos.planning import claim_faults, customer_faults, export_changes, export_new, verify
from plugins.intrum.ophelos.pushes import check as check_webhook
from plugins.intrum.ophelos.reading import DebtFile, PaymentFile, identify, read_receipt
from plugins.intrum.ophelos.terms import LAYOUT, LIMITS, SETTINGS, organisation_of

__all__ = [
    "LAYOUT",
    "LIMITS",
    "SETTINGS",
    "DebtFile",
    "PaymentFile",
    "check_webhook",
    "claim_faults",
    "customer_faults",
    "deliver",
    "export_changes",
    "export_new",
    "fetch",
    "identify",
    "organisation_of",
    "read_receipt",
    "verify",
]
