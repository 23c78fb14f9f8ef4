"""Reads a sealed ``Invoices`` or ``Updates`` file back strictly: schema, then everything `Control` claims (B.4, B.6)."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

from gateway.domain.exchange import Agreement, Envelope, Totals
from gateway.errors import DecodeError
from gateway.formats.kravport_sls.layout import INVOICES, NAMESPACE, amount
from gateway.formats.kravport_sls.scan import Scan, scan
from gateway.formats.schema_proof import is_proven
from gateway.formats.xmltree import XmlSchema, iter_elements

_UTF8_XML = re.compile(
    rb"""(?:\xef\xbb\xbf)?\s*(?:<\?xml\s+version\s*=\s*["']1\.0["'](?:\s+encoding\s*=\s*["']utf-8["'])?(?:\s+standalone\s*=\s*["']\w+["'])?\s*\?>|<[^?])""",
    re.IGNORECASE,
)
_LONGEST_DECLARATION = 200
_FIXED_SIDE = {"Payment": "credit", "CreditNote": "credit", "Disbursement": "debit", "Charge": "charge"}
_ITEMS = frozenset({*_FIXED_SIDE, "VoucherLine", "Unlink"})
_CHILDREN = _ITEMS | {"InvoiceHeader", "Instruction"}


@cache
def compiled(schema_path: Path) -> XmlSchema:
    """Return the schema at *schema_path*, compiled on first use."""
    return XmlSchema(schema_path)


def demand_utf8(head: bytes) -> None:
    """Raise ``DecodeError`` unless *head* opens an XML file in UTF-8, the profile's only encoding (B.1)."""
    if _UTF8_XML.match(head) is None:
        raise DecodeError("is not XML in UTF-8", line=1, value=head[:60].decode("utf-8", "replace"))


def minor_units(text: str) -> int:
    """Return the minor units of an amount the schema has accepted: always two decimals."""
    return int(text.replace(".", "", 1))


UNIT = f"{{{NAMESPACE}}}Customer"
"""The repeated element of a file we write, as `XmlSchema.validate_stream` wants it."""


def verify(envelope: Envelope, agreement: Agreement, source: BinaryIO, schema_path: Path) -> Totals:
    """Return the totals found in the finished bytes of *envelope*.

    Args:
        envelope: tells kind, sequence, currency and factoring agreement; its totals are not looked at.
        agreement: client number, ledger and mode that must stand in the file.
        source: the whole file, seekable, read twice from its start.
        schema_path: kravport-sls-1.xsd.

    Raises:
        DecodeError: not valid against the schema, of another envelope or agreement, or at odds with its own `Control`.
    """
    demand_utf8(source.readline(_LONGEST_DECLARATION))
    source.seek(0)
    if not is_proven(schema_path, source):
        source.seek(0)
        compiled(schema_path).validate_stream(source, UNIT)
    source.seek(0)
    counted = scan(source)
    if counted is not None:
        with suppress(DecodeError):  # the strict reader finds the same fault and its line
            return _read(_Found(envelope, agreement, counted), io.BytesIO(counted.frame))
    source.seek(0)
    return _read(_Found(envelope, agreement), source)


def _read(found: _Found, source: BinaryIO) -> Totals:
    for event, name, namespace, attributes, line in iter_elements(source):
        if event == "start":
            found.start(name, namespace, attributes, line)
    return found.totals()


class _Found:
    """Counts a file while it passes. The schema has been checked, so structure and types are certain.

    What `scan` has *counted* needs not pass: the frame around it does, and must agree with it.
    """

    def __init__(self, envelope: Envelope, agreement: Agreement, counted: Scan | None = None) -> None:
        self._envelope, self._agreement = envelope, agreement
        self._counts, self._sums = Counter[str](), Counter[str]()
        if counted is not None:
            self._counts.update(invoice=counted.invoices, item=counted.items)
            self._sums.update(counted.sums)
        self._customer, self._assigned = "", ""
        self._empty: tuple[int, str] | None = None

    def start(self, name: str, namespace: str, attributes: Mapping[str, str], line: int) -> None:
        if name in _CHILDREN:
            self._empty = None
        if name in _ITEMS:
            side = _FIXED_SIDE.get(name) or attributes["direction"]
            self._counts["item"] += 1
            self._sums[side] += minor_units(attributes["amount"])
        elif name == "InvoiceHeader":
            self._sums["original"] += minor_units(attributes["originalAmount"])
        elif name == "Invoice":
            self._refuse_empty()
            self._counts["invoice"] += 1
            self._empty = (line, attributes["claimId"])
        elif name == "Customer":
            self._customer = _after(self._customer, attributes["customerNumber"], line)
        else:
            self._frame(name, namespace, attributes, line)

    def totals(self) -> Totals:
        return Totals(
            self._counts["invoice"],
            self._counts["item"],
            self._sums["original"] + self._sums["debit"],
            self._sums["credit"],
            self._sums["charge"],
            self._counts["instruction"],
        )

    def _frame(self, name: str, namespace: str, attributes: Mapping[str, str], line: int) -> None:
        """Look at the elements that stand once in a file."""
        if name == self._envelope.kind.capitalize() and namespace == NAMESPACE:
            return
        if name == "Identification":
            self._same(name, attributes, line, self._identification())
        elif name == "Ledger":
            ledger_id = str(self._agreement.settings.get("ledger_id", ""))
            self._same(name, attributes, line, {"ledgerId": ledger_id, "currency": self._envelope.currency})
        elif name == "Assignment":
            self._assigned = attributes["agreementNumber"]
        elif name == "Instruction":
            self._counts["instruction"] += 1
        elif name == "Control":
            self._refuse_empty()
            self._same(name, attributes, line, self._control())
            if self._assigned != self._envelope.factoring_agreement:
                raise DecodeError("is not that of the envelope", path="Assignment", value=self._assigned)
        elif name not in {"CustomerDetails", "InvoiceLine"}:
            raise DecodeError(f"is not {self._envelope.kind}", line=line, path=name)

    def _identification(self) -> Mapping[str, str]:
        return {
            "message": self._envelope.kind,
            "fileSequence": f"{self._envelope.sequence:03d}",
            "senderId": self._agreement.client_number,
            "test": "true" if self._agreement.is_sandbox else "false",
        }

    def _control(self) -> Mapping[str, str]:
        return {
            "invoiceCount": str(self._counts["invoice"]),
            "invoiceTotal": amount(self._sums["original"]),
            "itemCount": str(self._counts["item"]),
            "creditTotal": amount(self._sums["credit"]),
            "debitTotal": amount(self._sums["debit"]),
            "chargeTotal": amount(self._sums["charge"]),
            "instructionCount": str(self._counts["instruction"]),
        }

    def _refuse_empty(self) -> None:
        if self._empty and self._envelope.kind != INVOICES:
            line, claim_id = self._empty
            raise DecodeError("has no children", line=line, path="Invoice", field="claimId", value=claim_id)

    @staticmethod
    def _same(path: str, attributes: Mapping[str, str], line: int, expected: Mapping[str, str]) -> None:
        for name, value in expected.items():
            if attributes[name] != value:
                raise DecodeError(f"should be {value!r}", line=line, path=path, field=name, value=attributes[name])


def _after(previous: str, number: str, line: int) -> str:
    """Return *number*; a customer may stand in a file once, which ascending order makes certain (B.1, B.5)."""
    if previous and number <= previous:
        raise DecodeError(
            f"does not come after {previous!r}", line=line, path="Customer", field="customerNumber", value=number
        )
    return number
