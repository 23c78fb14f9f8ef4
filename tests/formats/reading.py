"""Shared by the tests of payment readers: read bytes to a verdict that can be compared."""

from __future__ import annotations

import io
from typing import NamedTuple

from gateway.domain.exchange import Finding, Payment
from gateway.errors import FileQuarantined, FileRefused
from gateway.formats.detect import HEAD_BYTES, open_payments


class Read(NamedTuple):
    verdict: str
    payments: list[Payment]
    findings: tuple[Finding, ...]
    totals: dict[str, dict[str, int]]
    transactions: int

    @property
    def codes(self) -> set[str]:
        return {finding.code for finding in self.findings}

    @property
    def places(self) -> str:
        return " | ".join(f"{finding.code} {finding.place} {finding.value}" for finding in self.findings)


def read(data: bytes) -> Read:
    """Read *data* as the host does; any exception but the two of the contract is the test's failure."""
    payments: list[Payment] = []
    reader = None
    try:
        reader = open_payments(io.BytesIO(data), data[:HEAD_BYTES])
        for payment in reader:
            payments.append(payment)  # noqa: PERF402 - what was read before a fault counts
    except FileQuarantined as error:
        verdict, findings = "quarantined", error.findings
    except FileRefused as error:
        verdict, findings = "refused", error.findings
    else:
        verdict, findings = "accepted", tuple(reader.findings)
    return Read(verdict, payments, findings, getattr(reader, "totals", {}), getattr(reader, "transactions", 0))
