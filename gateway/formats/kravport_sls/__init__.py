"""kravport-sls-1: Kravport's own reference profile for a ledger service (intrum-sls.md, part B).

It is no agency's layout. Plugins whose agency keeps its own layout secret speak it to their sandboxes; which agency
that is, this package does not know: agency key and schema file are handed in.

Outbound: `write_invoices`, `write_updates`, `mark_assigned`, `verify`; `customer_faults` and `claim_faults` tell
beforehand what cannot be said. Inbound: `InboundReader`.
"""

from gateway.formats.kravport_sls.layout import INVOICES, LABEL, NAMESPACE, PROFILE, SERIES, UPDATES
from gateway.formats.kravport_sls.reader import AgencyPayments, Balance, InboundReader, Settlement
from gateway.formats.kravport_sls.verifier import UNIT, verify
from gateway.formats.kravport_sls.writer import (
    claim_faults,
    customer_faults,
    mark_assigned,
    write_invoices,
    write_updates,
)

__all__ = [
    "INVOICES",
    "LABEL",
    "NAMESPACE",
    "PROFILE",
    "SERIES",
    "UNIT",
    "UPDATES",
    "AgencyPayments",
    "Balance",
    "InboundReader",
    "Settlement",
    "claim_faults",
    "customer_faults",
    "mark_assigned",
    "verify",
    "write_invoices",
    "write_updates",
]
