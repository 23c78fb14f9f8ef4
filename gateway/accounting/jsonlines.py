"""JSON Lines: the ledger of any accounting system as one object per line, read as a stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from gateway.accounting.records import RecordRejected, decode_record, loads_strict
from gateway.domain.ledger import LedgerRecord, Rejected
from gateway.domain.reasons import said
from gateway.errors import DataError

MAX_LINE_BYTES = 1 << 20
"""Bytes of one line; a link of ten thousand entries fits, a file without line ends does not fill the memory."""

REJECTED_MAX = 100
"""Faults after which reading stops: past this a list helps nobody."""


class LinesRejected(DataError):
    """Lines that cannot be taken, with line, field and value of each; nothing of the file may take effect."""

    def __init__(self, rejected: Sequence[Rejected]) -> None:
        self.rejected = list(rejected)
        first = self.rejected[0]
        super().__init__(f"{len(self.rejected)} rejected; first: {first.place} {first.field}: {first.reason}")


def read_records(stream: BinaryIO) -> Iterator[tuple[str, LedgerRecord]]:
    """Yield (place, record) for every line of *stream*; place is ``line 12``. Blank lines are passed over.

    Raises:
        LinesRejected: when the stream is read through (or after `REJECTED_MAX` faults), so that a person gets the whole
            list at once. Whoever consumes this inside a transaction commits nothing then.
    """
    rejected: list[Rejected] = []
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            rejected.append(Rejected(f"line {number}", "", said("wrong.line_too_long", most=MAX_LINE_BYTES), ""))
            break
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            continue
        try:
            record = decode_record(loads_strict(line))
        except RecordRejected as error:
            rejected += [Rejected(f"line {number}", *fault) for fault in error.faults]
            if len(rejected) >= REJECTED_MAX:
                break
        else:
            yield f"line {number}", record
    if rejected:
        raise LinesRejected(rejected[:REJECTED_MAX])
