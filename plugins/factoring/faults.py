"""What keeps a customer or claim out of a factor's file: the findings and small judgements every layout shares."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.domain.exchange import (
    Agreement,
    Claim,
    Direction,
    Finding,
    LayoutProfile,
    LinkedItem,
    LinkKind,
    Severity,
)
from gateway.domain.reasons import sentence
from gateway.errors import DecodeError, EncodeError

YEARS = range(2000, 2069)
"""Two-digit years are read back as 1969-2068; a ledger date before 2000 is a slip of the pen."""


def blocking(code: str, place: str, shown: str = "", **values: object) -> Finding:
    """Return a finding that holds what it is about."""
    return Finding(Severity.BLOCKING, code, place, shown, values)


def unfit(place: str, value: str) -> Finding:
    """Return the finding that *value* has no room in the layout."""
    return blocking("layout.does_not_fit", place, value, field=place)


def number_fault(what: str, place: str, value: str, width: int) -> Finding:
    """Return the finding that a ``customer`` or ``invoice`` number (*what*) is not one of at most *width* digits."""
    return blocking(f"factoring.{what}_number", place, value, width=width)


def is_digits(value: str) -> bool:
    """Return whether *value* is figures alone, at least one."""
    return value.isascii() and value.isdigit()


def is_in(text: str, encoding: str) -> bool:
    """Return whether every sign of *text* is in the charset."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def is_number(value: str, width: int) -> bool:
    """Return whether *value* survives zeros on its left: a leading zero would vanish, and make customers 17 and 017 one."""
    return is_digits(value) and len(value) <= width and value[0] != "0"


def terms_faults(layout: LayoutProfile, agreement: Agreement, client_width: int) -> Iterator[Finding]:
    """Yield why nothing at all can go under *agreement*: market, currency, client number and settings of its layout."""
    if agreement.currency not in layout.currencies:
        yield unfit("currency", agreement.currency)
    if agreement.market not in layout.markets:
        yield unfit("market", agreement.market)
    if not (is_digits(agreement.client_number) and len(agreement.client_number) <= client_width):
        yield unfit("client_number", agreement.client_number)
    for name in sorted(layout.settings):
        if agreement.settings.get(name, "") == "":
            yield blocking("factoring.setting_missing", name, setting=name)


def amount_faults(claim: Claim, agreement: Agreement, width: int) -> Iterator[Finding]:
    """Yield why the days and the total of *claim* cannot stand in columns of two-digit years and *width* digits."""
    if claim.original_minor <= 0:
        yield blocking("amount.not_carried", "original_minor", agency=agreement.display_name)
    elif claim.original_minor >= 10**width:
        yield unfit("original_minor", str(claim.original_minor))
    for place, day in (("invoice_date", claim.invoice_date), ("due_date", claim.due_date)):
        if day.year not in YEARS:
            yield unfit(place, day.isoformat())


def item_faults(item: LinkedItem, agreement: Agreement, *, number_width: int, amount_width: int) -> Iterator[Finding]:
    """Yield why a linked item is no credit note that these layouts can carry."""
    if item.kind is not LinkKind.CREDIT_NOTE or item.direction is not Direction.CREDIT:
        yield blocking("item.not_carried", "items", item.number, kind=item.kind.value, agency=agreement.display_name)
        return
    if not is_number(item.number, number_width):
        yield number_fault("invoice", "items", item.number, number_width)
    if not 0 < item.amount_minor < 10**amount_width or item.date.year not in YEARS:
        yield unfit("items", f"{item.date} {item.amount_minor}")


def refuse(what: str, faults: Iterator[Finding]) -> None:
    """Raise ``EncodeError`` with the first of *faults* that blocks, if there is one."""
    for fault in faults:
        if fault.severity is Severity.BLOCKING:
            raise EncodeError(f"{what}: {sentence(fault.code, 'en', fault.values)} {fault.value}".rstrip())


class Seen:
    """The numbers a file has shown so far; a second time is refused."""

    def __init__(self) -> None:
        self._numbers: set[tuple[str, str]] = set()

    def once(self, kind: str, number: str) -> None:
        """Take note of *number*; raise ``DecodeError`` where the file has one of this *kind* already."""
        if (kind, number) in self._numbers:
            raise DecodeError("stands in the file twice", field="number", value=number)
        self._numbers.add((kind, number))
