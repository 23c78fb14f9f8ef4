"""Reads one payment file with one reader, in a process of its own, and prints what it found and what it took.

    python -m bench.payment_readers READER FORMAT FILE

Only the standard library is needed for the peers, so that they may live in an environment of their own.
"""

from __future__ import annotations

import gc
import json
import re
import resource
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import chain
from pathlib import Path

MODULUS = 2**61 - 1
PIECE = 1 << 16
Found = Iterator[tuple[str, int]]


def ours(_: str, path: Path) -> dict[str, object]:
    """Read with everything checked; a second, untimed reading compares the references."""
    from gateway.formats.detect import HEAD_BYTES, open_payments
    from gateway.formats.total_in import PROFILE

    def payments():
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
            stream.seek(0)
            yield open_payments(stream, head, [PROFILE])

    count = total = 0
    start = time.process_time()
    for reader in payments():
        for payment in reader:
            count += 1
            total += payment.amount_minor
    seconds = time.process_time() - start
    del reader, payment
    gc.collect()  # the parts of a reader know each other: its million identities would count twice
    references = sum(int(payment.reference) for reader in payments() for payment in reader)
    return {"count": count, "total_minor": total, "references": references % MODULUS, "seconds": seconds}


def _told(found: Callable[[str, Path], Found]) -> Callable[[str, Path], dict[str, object]]:
    def read(form: str, path: Path) -> dict[str, object]:
        count = total = references = 0
        start = time.process_time()
        for reference, minor in found(form, path):
            count += 1
            total += minor
            references += int(reference or 0)
        seconds = time.process_time() - start
        return {"count": count, "total_minor": total, "references": references % MODULUS, "seconds": seconds}

    return read


# --- the limit of the language: a regular expression written for this very file, nothing checked ---------------------

_BY_HAND = {
    "ocr_giro": (r"NY09..30.{24}(.{17})(.{25}).*\n", "\n"),
    "bgmax": (r"^20.{10}(.{25})(.{18}).*(?:\n2[1-9].*)*", "\n"),
    "cremul": (r"MOA\+60:([0-9]+,[0-9]{2})'NAD[^']*'PRC\+8'DOC\+999\+([0-9]+)'", "SEQ"),
    "camt.054": (r'<TxDtls>.*?<Amt Ccy="...">([0-9]+\.[0-9]{2})</Amt>.*?<Ref>([0-9]+)</Ref>', "\n"),
    "ktl": (r"^[35S].{42}(.{20}).{14}(.{10}).*\n", "\n"),
    "autogiro": (r"^82.{29}(.{12}).{10}(.{16}).*\n", "\n"),
    "total_in": (r"^20(.{35})(.{15}).*\n", "\n"),
}


def by_hand(form: str, path: Path) -> Found:
    """Take reference and amount out of the columns, in pieces of the file."""
    shape, end = _BY_HAND[form]
    find = re.compile(shape, re.MULTILINE).findall
    with path.open(encoding="utf-8" if form.startswith("camt") else "latin-1", newline="") as file:
        rest = ""
        while piece := file.read(PIECE):
            whole, mark, rest = (rest + piece).rpartition(end)
            yield from _pairs(form, find(whole + mark))
        yield from _pairs(form, find(rest))


def _pairs(form: str, rows: list[tuple[str, str]]) -> Found:
    if form in {"bgmax", "ktl", "total_in"}:
        return ((reference.strip(), int(minor)) for reference, minor in rows)
    if form in {"ocr_giro", "autogiro"}:
        return ((reference.strip(), int(minor)) for minor, reference in rows)
    return ((reference, int(minor[:-3] + minor[-2:])) for minor, reference in rows)


# --- peers -----------------------------------------------------------------------------------------------------------


def netsgiro(_: str, path: Path) -> Found:
    """OCR giro: python-netsgiro, whole file in memory."""
    import netsgiro

    transmission = netsgiro.parse(path.read_text(encoding="latin-1"))
    for transaction in chain.from_iterable(assignment.transactions for assignment in transmission.assignments):
        yield transaction.kid, int(transaction.amount * 100)


def pydifact(_: str, path: Path) -> Found:
    """CREMUL: pydifact, tokens only, as it knows no CREMUL."""
    from pydifact.segmentcollection import RawSegmentCollection

    minor = 0
    for segment in RawSegmentCollection.from_str(path.read_text(encoding="latin-1")).segments:
        if segment.tag == "MOA" and segment.elements[0][0] == "60":
            minor = int(Decimal(segment.elements[0][1].replace(",", ".")) * 100)
        elif segment.tag == "DOC":
            yield segment.elements[1], minor


def pyiso20022(_: str, path: Path) -> Found:
    """camt: models generated from the schemas, read by xsdata."""
    from pyiso20022.camt.camt_054_001_08 import Document
    from xsdata.formats.dataclass.parsers import XmlParser

    document = XmlParser().parse(str(path), Document)
    for notification in document.bk_to_cstmr_dbt_cdt_ntfctn.ntfctn:
        for entry in notification.ntry:
            for transaction in chain.from_iterable(details.tx_dtls for details in entry.ntry_dtls):
                yield transaction.rmt_inf.strd[0].cdtr_ref_inf.ref, int(transaction.amt.value * 100)


def bankstatementparser(_: str, path: Path) -> Found:
    """camt: bankstatementparser, streaming."""
    from bankstatementparser import CamtParser

    for row in CamtParser(str(path)).parse_streaming():
        yield str(row.get("Reference") or ""), int(Decimal(str(row["Amount"])) * 100)


READERS: dict[str, Callable[[str, Path], dict[str, object]]] = {
    "ours": ours, "regex": _told(by_hand), "netsgiro": _told(netsgiro), "pydifact": _told(pydifact),
    "pyiso20022": _told(pyiso20022), "bankstatementparser": _told(bankstatementparser),
}  # fmt: skip


def main() -> None:
    """Read and print one JSON object."""
    warnings.simplefilter("ignore")
    name, form, path = sys.argv[1:]
    try:
        told = READERS[name](form, Path(path))
    except ImportError:
        told = {"absent": True}
    except Exception as error:  # noqa: BLE001 - a peer that fails on a valid file is a result
        told = {"failed": f"{type(error).__name__}: {error}"[:200]}
    told["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(told))


if __name__ == "__main__":
    main()
