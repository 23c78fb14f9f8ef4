"""Intrum Finland's file of cancelled claims, record type 10, as a program of 2002 to 2004 read it (intrum-fi-type10.md).

Inbound only: nothing is ever handed over by it. A line that is no record 10 is kept with the file, counted and told. What a
digit of the cancellation code means nobody documents: an agreement says which ask for a write-off, any other ends the claim
and a person sees it. Nothing is posted by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date
from zoneinfo import ZoneInfo

from gateway.domain.exchange import Agreement, CaseStatus, Finding, InboundFile, InboundKind, LayoutProfile, Severity
from gateway.domain.money import format_minor
from gateway.errors import DecodeError, EncodeError
from gateway.formats.record import const, decode, digits, number, record, text

CURRENCY, MARKET, ENCODING = "EUR", "FI", "iso-8859-1"
WRITTEN_OFF = "written-off"
_RECORD, _LENGTH = "10", 121
_WORD = "LASKU "
"""Finnish for invoice; may stand before the number."""
_LINE_BYTES_MAX = 4096
"""Far longer than any record: only a damaged file meets it."""
_HELSINKI = ZoneInfo("Europe/Helsinki")

LAYOUT = LayoutProfile(
    "intrum-fi-type10",
    "Intrum Finland, cancelled claims, record type 10; to read only",
    "a production reader of 2002 to 2004; that Intrum still sends the file is not confirmed",
    receipt_within_hours=None,
    carries=frozenset(),
    markets=frozenset({MARKET}),
    currencies=frozenset({CURRENCY}),
)
LIMITS = (
    "intrum-fi-type10 is read, never written. Records of other types are passed over and counted.",
    "intrum-fi-type10 has no control total: what it says of a case is shown, and nothing is posted by it.",
)
SETTINGS: Mapping[str, object] = {
    "write_off_codes": {
        "type": "string",
        "title": "Cancellation codes that ask for a write-off (Finland)",
        "description": "Digits of record type 10 after which the agency expects the loss to be booked, as agreed with it.",
        "pattern": "^[0-9]{0,10}$",
    }
}


@record(length=_LENGTH)
class CancelledClaim:
    """Record 10. Columns 109 and 111 were never read; what stands after 121 is kept with the file and means nothing here."""

    record_type: str = const(1, _RECORD)
    invoice_number: str = text(3, 36)
    client_reference: str = text(39, 16)
    debtor_identity: str = text(55, 10)
    debtor_name: str = text(65, 37)
    agency_reference: str = text(102, 7)
    unread_109: str = text(109, 1)
    code: str = digits(110, 1)
    unread_111: str = text(111, 1)
    amount_minor: int = number(112, 10)


def claim_faults(agreement: Agreement) -> tuple[Finding, ...]:
    """Hold every claim of an agreement that names this layout: there is nothing to hand over by."""
    if agreement.profile != LAYOUT.name:
        return ()
    return (Finding(Severity.BLOCKING, "claim.not_writable", "", "", {"reason": LIMITS[0]}),)


def refuse_to_write(agreement: Agreement) -> None:
    """Raise ``EncodeError`` for an agreement that names this layout."""
    if agreement.profile == LAYOUT.name:
        raise EncodeError(LIMITS[0])


def identify(file: InboundFile, agreements: tuple[Agreement, ...]) -> InboundKind | None:
    """Claim a file whose head holds a whole record 10 and no other thing than lines with a record type of two digits."""
    if not any(agreement.market == MARKET and agreement.is_sandbox for agreement in agreements):
        return None
    lines = file.head.decode(ENCODING).splitlines()
    whole = lines if len(file.head) == file.size else lines[:-1]
    if not whole or not all(line[:2].isascii() and line[:2].isdigit() for line in whole):
        return None
    return InboundKind.CASE_STATUS if any(_is_whole(line) for line in whole) else None


def _is_whole(line: str) -> bool:
    try:
        decode(CancelledClaim, line[:_LENGTH])
    except DecodeError:
        return False
    return True


class CancelledClaims:
    """What a file says about cases, in its order; *findings* is complete after the iteration.

    Args:
        file: the stored file.
        agreement: its settings say which codes ask for a write-off.
    """

    def __init__(self, file: InboundFile, agreement: Agreement) -> None:
        self._file, self._codes = file, str(agreement.settings.get("write_off_codes", ""))
        received = file.received_at if file.received_at.tzinfo else file.received_at.replace(tzinfo=UTC)
        self._day = received.astimezone(_HELSINKI).date()
        self.findings: list[Finding] = []

    def __iter__(self) -> Iterator[CaseStatus]:
        """Yield the state of each cancelled claim; raises ``DecodeError`` with line, field and value."""
        self.findings, others = [], 0
        for number_, line in self._lines():
            if not line.startswith(_RECORD):
                others += bool(line.strip())
                continue
            try:
                claim = decode(CancelledClaim, line[:_LENGTH])
            except DecodeError as error:
                raise error.at_line(number_) from error
            yield _status(claim, self._codes, self._day)
        if others:
            self.findings.append(Finding(Severity.WARNING, "file.unknown_record", "", str(others)))

    def _lines(self) -> Iterator[tuple[int, str]]:
        with self._file.open() as stream:
            for number_, raw in enumerate(iter(lambda: stream.readline(_LINE_BYTES_MAX), b""), start=1):
                if len(raw) == _LINE_BYTES_MAX:
                    raise DecodeError("is longer than any record", line=number_)
                yield number_, raw.rstrip(b"\r\n\x1a").decode(ENCODING)


def _status(claim: CancelledClaim, write_off_codes: str, day: date) -> CaseStatus:
    return CaseStatus(
        case_number=claim.agency_reference.strip(),
        claim_id="",
        invoice_number=claim.invoice_number.removeprefix(_WORD).strip(),
        state="closed",
        stage="",
        close_code=WRITTEN_OFF if claim.code in write_off_codes else "",
        date=day,
        raw_code=claim.code,
        raw_text=f"{format_minor(claim.amount_minor, CURRENCY)} {CURRENCY}",
        balance_minor=claim.amount_minor,
        customer_reference=claim.client_reference.strip(),
        customer_name=claim.debtor_name.strip(),
    )
