"""A layout with separators as somebody would write it in code, with the checks that a profile makes of its fields."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from functools import lru_cache
from typing import BinaryIO, NamedTuple

from gateway.domain.exchange import Claim
from gateway.errors import DecodeError, EncodeError

PROFILE = """\
[profile]
name = "separators"
title = "Claims between separators"
source = "bench"
newline = "crlf"
[file.claims]
direction = "out"
kind = "delimited"
separator = ";"
quote = '"'
filename = "claims.csv"
[file.claims.record.names]
fields = [
  { name = "invoice", const = "InvoiceNo" },
  { name = "due_date", const = "DueDate" },
  { name = "balance", const = "Balance" },
  { name = "name", const = "Name" },
  { name = "reference", const = "Reference" },
]
[file.claims.record.claim]
each = "claim"
fields = [
  { name = "invoice", longest = 30, from = "claim.invoice_number" },
  { name = "due_date", type = "date", form = "YYYY-MM-DD", from = "claim.due_date" },
  { name = "balance", type = "amount", form = "0,00", longest = 15, from = "claim.open_minor" },
  { name = "name", longest = 60, from = "customer.name" },
  { name = "reference", type = "digits", longest = 25, from = "claim.payment_reference" },
]
"""
"""What `written` and `read` do, as data."""
NAMES = ("InvoiceNo", "DueDate", "Balance", "Name", "Reference")
_AMOUNT = re.compile("[0-9]{1,12},[0-9]{2}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Row(NamedTuple):
    """One claim that was read."""

    line: int
    invoice: str
    due_date: date
    balance_minor: int
    name: str
    reference: str


def written(claims: Iterable[Claim]) -> bytes:
    """Return the file of *claims*; raise ``EncodeError`` where a value does not fit."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow(NAMES)
    for claim in claims:
        invoice, name = claim.invoice_number, claim.customer.name
        reference, minor = claim.payment_reference, str(claim.open_minor)
        whose = f"claim {claim.claim_id}"
        _demand(_is_text(invoice, 30), whose, "invoice", invoice)
        _demand(_is_text(name, 60), whose, "name", name)
        _demand(_is_digits(reference, 25), whose, "reference", reference)
        _demand(claim.open_minor >= 100 and len(minor) < 15, whose, "balance", minor)
        writer.writerow((invoice, _shown(claim.due_date), f"{minor[:-2]},{minor[-2:]}", name, reference))
    return out.getvalue().encode()


def _demand(fits: bool, whose: str, field: str, value: str) -> None:
    if not fits:
        raise EncodeError(f"{whose}: {field} does not fit: {value!r}")


def read(stream: BinaryIO) -> Iterator[Row]:
    """Yield the claims of a file; raise ``DecodeError`` with line and field where it is wrong."""
    reader = csv.reader(io.TextIOWrapper(stream, "utf-8", newline=""), delimiter=";", strict=True)
    if tuple(next(reader)) != NAMES:
        raise DecodeError("is no file of claims", line=1)
    for cells in reader:
        if len(cells) != len(NAMES):
            raise DecodeError("has other fields", line=reader.line_num)
        for name, cell, fits in zip(NAMES, cells, _FITS, strict=True):
            if not fits(cell):
                raise DecodeError("does not fit", line=reader.line_num, field=name, value=cell)
        invoice, due, balance, name, reference = cells
        yield Row(reader.line_num, invoice, date.fromisoformat(due), int(balance.replace(",", "")), name, reference)


def _is_text(value: str, longest: int) -> bool:
    return 0 < len(value) <= longest and not _CONTROL.search(value)


def _is_digits(value: str, longest: int) -> bool:
    return 0 < len(value) <= longest and value.isascii() and value.isdigit()


@lru_cache(maxsize=4096)
def _is_day(value: str) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


@lru_cache(maxsize=4096)
def _shown(day: date) -> str:
    return day.isoformat()


_FITS: tuple[Callable[[str], object], ...] = (
    lambda cell: _is_text(cell, 30),
    _is_day,
    _AMOUNT.fullmatch,
    lambda cell: _is_text(cell, 60),
    lambda cell: _is_digits(cell, 25),
)
