"""Svea in Finland: declared, read and explained, but written by no hook.

Its records need VAT and the rows of each invoice, which the claims do not hold, and what an exporter puts into a row's amount
(with tax or without) no page says (factoring-others.md section 1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gateway.domain.exchange import Agreement, Claim, Finding
from plugins.factoring.by_profile import ByProfile, Widths
from plugins.factoring.faults import blocking


class Svea(ByProfile):
    """Holds every claim with the reason; its manifest promises no file."""

    def __init__(self) -> None:
        super().__init__("svea-fi", "FI", Widths(client=7, customer=6, invoice=10, amount=11))
        self.layout = replace(self.layout, series={})

    def own_faults(self, claim: Claim, agreement: Agreement) -> Iterator[Finding]:
        """Yield that the invoice's rows are missing, and what else is wrong."""
        yield blocking("factoring.rows_missing", "rows", claim.invoice_number)
        yield from super().own_faults(claim, agreement)
