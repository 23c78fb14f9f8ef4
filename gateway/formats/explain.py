"""Says in words and in JSON what a payment file holds and what would become of it. Changes nothing.

The file is read by the reader that would import it, and once more for the records that are shown (`view`). Payments go to
a temporary file as they come, so a file of a million needs no more memory than one of ten; a damaged file is told as far
as it could be read.
"""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self

from gateway.domain.exchange import Finding, Payment, PaymentStream
from gateway.errors import FileQuarantined, FileRefused
from gateway.formats.detect import HEAD_BYTES, detect, open_payments
from gateway.formats.view.model import FIRST, FindingTold, View, tell
from gateway.formats.view.page import PAYMENTS, as_html
from gateway.formats.view.read import view_of
from gateway.formats.view.text import as_text

ACCEPTED, QUARANTINED, REFUSED = "accepted", "quarantined", "refused"
EXIT_CODES = {ACCEPTED: 0, QUARANTINED: 2, REFUSED: 3}

SPOOL_BYTES = 1 << 20
"""Payments kept in memory before they go to disk."""


class SupportsWrite(Protocol):
    """Where JSON goes: a text stream, or anything that takes text."""

    def write(self, text: str, /) -> object:
        """Take *text*."""


class Explanation:
    """What a file holds, and the verdict. Close it, or use it in a ``with`` block: it holds a temporary file.

    *verdict* is ``accepted``, ``quarantined`` or ``refused``; *exit_code* 0, 2 or 3. *transactions* counts what the
    file holds whether or not it would be posted; *totals* are minor units by currency and direction over all of it.
    *told_findings* are in *language*; *view* is the file record by record, None where it was not asked for.
    """

    def __init__(self, language: str = "en", payments: int | None = None) -> None:
        self.format = ""
        self.verdict = ACCEPTED
        self.transactions = 0
        self.totals: Mapping[str, Mapping[str, int]] = {}
        self.language = language
        self.view: View | None = None
        self._kept = payments
        self._findings: tuple[Finding, ...] = ()
        self._spool = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - open as long as the explanation is
            max_size=SPOOL_BYTES, mode="w+", encoding="utf-8", newline="\n"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the temporary file back."""
        self._spool.close()

    @property
    def exit_code(self) -> int:
        """0 accepted, 2 quarantined, 3 refused."""
        return EXIT_CODES[self.verdict]

    @property
    def told_findings(self) -> list[FindingTold]:
        """What is noteworthy or wrong, for a person."""
        return [tell(finding, self.language) for finding in self._findings]

    @property
    def findings(self) -> list[dict[str, Any]]:
        """The same as plain values: code, severity, place, value, and the sentence for a person."""
        names = ("code", "severity", "place", "value", "text")
        return [{name: getattr(told, name) for name in names} for told in self.told_findings]

    def payments(self) -> Iterator[dict[str, Any]]:
        """Yield the payments in file order."""
        self._spool.seek(0)
        for line in self._spool:
            yield json.loads(line)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values. For a huge file use `write_json`."""
        return {**self._head(), "payments": list(self.payments()), **self._tail()}

    def write_json(self, out: SupportsWrite) -> None:
        """Write what `as_dict` returns as one JSON object, at constant memory."""
        put = out.write
        put(_inner(self._head()) + ',\n"payments": [')
        self._spool.seek(0)
        for index, line in enumerate(self._spool):
            put(("\n" if index == 0 else ",\n") + line.rstrip("\n"))
        put("],\n" + _inner(self._tail()).removeprefix("{") + "}\n")

    def as_text(self, name: str = "") -> str:
        """Return it for a person: verdict, totals, the first payments, every finding, the records of the view.

        *name* is the file's, for the first line.
        """
        return as_text(self, name)

    def _head(self) -> dict[str, Any]:
        totals = {currency: dict(total) for currency, total in self.totals.items()}
        return {"format": self.format, "transactions": self.transactions, "totals": totals}

    def _tail(self) -> dict[str, Any]:
        return {"findings": self.findings, "verdict": self.verdict, "exit_code": self.exit_code}

    def _read(self, stream: BinaryIO, profiles: Collection[str], records: int) -> None:
        """Read *stream* to its end or its first fatal fault; then view as many *records* from its beginning."""
        start = stream.tell()
        self._read_payments(stream, profiles)
        if records and self.verdict != REFUSED:
            stream.seek(start)
            self.view = view_of(stream, self.format, self.told_findings, language=self.language, count=records)

    def _read_payments(self, stream: BinaryIO, profiles: Collection[str]) -> None:
        head = stream.read(HEAD_BYTES)
        stream.seek(-len(head), io.SEEK_CUR)
        self.format = detect(head).name
        reader: PaymentStream | None = None
        try:
            reader = open_payments(stream, head, profiles)
            self._spool_all(reader)
            self._findings = tuple(reader.findings)
        except FileQuarantined as error:
            self.verdict, self._findings = QUARANTINED, error.findings
        except FileRefused as error:
            self.verdict, self._findings = REFUSED, error.findings
        if reader is not None:
            self.format = reader.format
            self.totals = getattr(reader, "totals", {})
            self.transactions = getattr(reader, "transactions", 0)
        if self.verdict == REFUSED:
            self.totals = {}

    def _spool_all(self, reader: PaymentStream) -> None:
        write, encode = self._spool.write, json.JSONEncoder(ensure_ascii=False).encode
        payments = iter(reader)
        for payment in islice(payments, self._kept):
            write(encode(_as_dict(payment)) + "\n")
        deque(payments, maxlen=0)  # totals and findings are of the whole file


def explain(
    source: Path | str | BinaryIO,
    *,
    language: str = "en",
    profiles: Collection[str] = (),
    records: int = 0,
    payments: int | None = None,
) -> Explanation:
    """Read *source* and return what it holds; no content whatever raises an error.

    Args:
        source: a path, or a binary stream read from where it stands (one that cannot seek is copied to disk first).
        language: ``en``, ``nb`` or ``sv``, for the sentences of the findings.
        profiles: unverified formats to read all the same, as for `open_payments`.
        records: how many records to show from the beginning of the file, with every other at which a finding stands;
            0 for no view. The file is read twice for it.
        payments: how many of the payments to keep for telling; None for all. All are counted.

    Raises:
        OSError: *source* cannot be opened or read.
    """
    explanation = Explanation(language, payments)
    try:
        if isinstance(source, Path | str):
            with Path(source).open("rb") as stream:
                explanation._read(stream, profiles, records)  # noqa: SLF001 - the two halves of one thing
        elif source.seekable():
            explanation._read(source, profiles, records)  # noqa: SLF001
        else:
            with tempfile.TemporaryFile() as copy:
                shutil.copyfileobj(source, copy)
                copy.seek(0)
                explanation._read(copy, profiles, records)  # noqa: SLF001
    except BaseException:
        explanation.close()
        raise
    return explanation


def explain_to(
    source: Path | str | BinaryIO,
    *,
    style: str = "text",
    write: Callable[[str], object],
    language: str = "en",
    name: str = "",
    profiles: Collection[str] = (),
    records: int = FIRST,
) -> int:
    """Explain *source* in pieces of text handed to *write* (each to stand on lines of its own); return the exit code.

    Args:
        source: as for `explain`.
        style: ``text`` for a terminal, ``html`` for a page of its own, ``json`` for programs (no records).
        write: takes text without its last line end, as ``click.echo`` does.
        language: as for `explain`.
        name: the file's name, for the heading.
        profiles: as for `explain`.
        records: as for `explain`.
    """
    kept, shown = (None, 0) if style == "json" else (PAYMENTS, records)
    with explain(source, language=language, profiles=profiles, records=shown, payments=kept) as explanation:
        if style == "json":
            explanation.write_json(_Lines(write))
        elif style == "html":
            write(as_html(explanation, name).rstrip("\n"))
        else:
            write(explanation.as_text(name).rstrip("\n"))
        return explanation.exit_code


class _Lines:
    """Gathers text and hands it on in whole lines."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write, self._rest = write, ""

    def write(self, text: str, /) -> None:
        whole, mark, rest = (self._rest + text).rpartition("\n")
        if mark:
            self._write(whole)
        self._rest = rest


def _as_dict(payment: Payment) -> dict[str, Any]:
    """Return what is told of one payment. *references* are those to match on; free text is not among them."""
    return {
        "position": payment.position,
        "reference": payment.reference,
        "references": [reference.value for reference in payment.all_references if reference.kind != "text"],
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "direction": payment.direction.value,
        "is_reversal": payment.is_reversal,
        "status": payment.status,
        "booked": payment.status == "BOOK",
        "value_date": payment.value_date.isoformat() if payment.value_date else None,
        "payer": payment.payer_name or payment.payer_account,
        "posts": payment.posts,
        "why_not": payment.why_not,
    }


def _inner(values: Mapping[str, Any]) -> str:
    """Return *values* as JSON without the closing brace."""
    return json.dumps(values, ensure_ascii=False, indent=1).removesuffix("\n}")
