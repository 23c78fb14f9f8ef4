"""Reads CREMUL bytes both ways, with leaps over ordinary transactions and without, and holds the two equal."""

from __future__ import annotations

import io

from gateway.errors import FileQuarantined, FileRefused
from gateway.formats.cremul import CremulReader
from tests.formats.reading import Read, read


def read_one_way(data: bytes, *, leaps: bool) -> Read:
    reader = CremulReader(io.BytesIO(data), leaps=leaps)
    payments = []
    try:
        for payment in reader:
            payments.append(payment)  # noqa: PERF402 - what was read before a fault counts
    except FileQuarantined as error:
        verdict, findings = "quarantined", error.findings
    except FileRefused as error:
        verdict, findings = "refused", error.findings
    else:
        verdict, findings = "accepted", tuple(reader.findings)
    return Read(verdict, payments, findings, reader.totals, reader.transactions)


def read_both_ways(data: bytes) -> Read:
    """Return what the host reads; the fast and the thorough way must agree on every payment, finding and total."""
    fast, thorough = (read_one_way(data, leaps=leaps) for leaps in (True, False))
    assert fast == thorough
    got = read(data)
    if got.verdict != "refused":
        assert got == fast
    return got
