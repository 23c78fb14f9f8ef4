"""What is fuzzed: for each format valid files to begin with, every way of reading them, and the marks of its syntax."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import BinaryIO
from unittest.mock import patch

from gateway.domain.exchange import PaymentStream
from gateway.formats import camt_walk
from gateway.formats.autogiro import AutogiroNewReader, AutogiroOldReader
from gateway.formats.autogiro_rejected import AutogiroOldRejectedReader, AutogiroRejectedReader
from gateway.formats.bgmax import BgMaxReader
from gateway.formats.camt import CamtReader
from gateway.formats.camt_walk import Walk
from gateway.formats.cremul import CremulReader
from gateway.formats.detect import HEAD_BYTES, PROFILES, detect, open_payments
from gateway.formats.fixed_width import FixedWidthReader
from gateway.formats.ktl import KtlReader
from gateway.formats.ocr_giro import OcrGiroReader
from gateway.formats.total_in import TotalInReader
from gateway.testing.autogiro_files import (
    IN,
    OUT,
    autogiro_file,
    autogiro_old_file,
    autogiro_rejected_file,
    random_giro_payments,
)
from gateway.testing.bgmax_files import bgmax_file, random_bg_sections
from gateway.testing.camt_files import CamtShape, camt_file, random_camt_entries
from gateway.testing.cremul_files import CremulShape, cremul_file, random_cremul_lines
from gateway.testing.ktl_files import ktl_file, random_ktl_payments
from gateway.testing.payment_files import ocr_file, random_ocr_payments
from gateway.testing.total_in_files import random_total_in_payments, total_in_file
from tests.formats.giro_reading import NO_UNIT
from tests.formats.reading import Read
from tests.fuzz.judge import Way, check_sums, judge, judge_detection, judge_explanation

CORPUS = Path(__file__).parents[1] / "corpus" / "payments"
NEWLINES = ("\n", "\r\n", "\r\n", "")
SMALL_CHUNK = 509
"""So that nearly every entry of a small file stands across the border of two chunks."""


@dataclass(frozen=True)
class Target:
    """One format. *make* writes a valid file by chance; *judge* reads bytes and raises where a rule does not hold.

    *way* reads as the host does; *corpus* is a pattern of files under ``tests/corpus/payments``; *unit* finds the records,
    segments or elements of a file; *tokens* are marks of the syntax and values at the edge of what is allowed.
    """

    make: Callable[[Random], bytes]
    judge: Callable[[bytes], Read]
    way: Way
    corpus: str
    unit: re.Pattern[bytes]
    tokens: tuple[bytes, ...]

    def seeds(self) -> list[bytes]:
        """Return the kept files of the format and some valid ones."""
        kept = [path.read_bytes() for path in sorted(CORPUS.glob(self.corpus))]
        return kept + [self.make(Random(seed)) for seed in range(12)]


_LINE = re.compile(rb"[^\n]*\n")
_SEGMENT = re.compile(rb"[^']*'")
_ELEMENT = re.compile(
    rb"<(\w+)(?:\s[^<>]*)?>[^<>]*</\1>|<(TxDtls|Strd|NtryDtls|Ntry|Bal|RmtInf|Btch|TxsSummry|Stmt)>.*?</\2>", re.DOTALL
)
_EDGES = (
    b"0", b"9", b"99999999999999999", b"9223372036854775807", b"99999999999999999999999999", b"-", b" ", b"\xc3\xa5",
    b"\xe5", b"\x00", b"\x1a", b"\t", b"\r", b"\n", b"\r\n", b"\xef\xbb\xbf", b"20260229", b"291126", b"NOK", b"JPY", b"EUR",
)  # fmt: skip


# --- formats of fixed width ------------------------------------------------------------------------------------------


def _fixed_width_ways(reader: type[FixedWidthReader]) -> list[Way]:
    """Return the reader as it is, without its fast path, and with it for every second run of units only."""

    def take(self: FixedWidthReader, columns: Sequence[Sequence[str]], count: int) -> object:
        return reader._take(self, columns, count) if count % 2 else None

    return [reader, type("Thorough", (reader,), {"units": NO_UNIT}), type("Picky", (reader,), {"_take": take})]


def _judge_rows(data: bytes, ways: Sequence[Way]) -> Read:
    got = judge(data, ways)
    check_sums(got)
    return got


def _autogiro_kind(data: bytes) -> type[FixedWidthReader]:
    """Return the reader that the file's beginning asks for, one of them where it asks for none."""
    return _AUTOGIRO.get(detect(data).format or "", AutogiroNewReader)


def _judge_autogiro(data: bytes) -> Read:
    return _judge_rows(data, _WAYS[_autogiro_kind(data)])


def _autogiro_reader(stream: BinaryIO) -> PaymentStream:
    kind = _autogiro_kind(stream.read(HEAD_BYTES))
    stream.seek(0)
    return kind(stream)


_AUTOGIRO: dict[str, type[FixedWidthReader]] = {
    "autogiro_new": AutogiroNewReader,
    "autogiro_old": AutogiroOldReader,
    "autogiro_rejected": AutogiroRejectedReader,
    "autogiro_rejected_old": AutogiroOldRejectedReader,
}
_WAYS = {
    reader: _fixed_width_ways(reader)
    for reader in (*_AUTOGIRO.values(), OcrGiroReader, BgMaxReader, KtlReader, TotalInReader)
}


def _ocr(rng: Random) -> bytes:
    payments = random_ocr_payments(rng.randrange(10**6), rng.randrange(1, 20))
    cut = rng.randrange(len(payments) + 1)
    return ocr_file([payments[:cut], payments[cut:]], newline=rng.choice(NEWLINES))


def _bgmax(rng: Random) -> bytes:
    return bgmax_file(random_bg_sections(rng.randrange(10**6), rng.randrange(1, 20)), newline=rng.choice(NEWLINES))


def _autogiro(rng: Random) -> bytes:
    seed, count, newline = rng.randrange(10**6), rng.randrange(1, 16), rng.choice(NEWLINES)
    kind = rng.randrange(4)
    if kind == 0:
        return autogiro_file(random_giro_payments(seed, count), newline=newline)
    orders = random_giro_payments(seed, count, kinds=(IN, OUT))
    if kind == 1:
        return autogiro_old_file(orders, newline=newline)
    return autogiro_rejected_file(orders, newline=newline, is_old=kind == 2)


def _ktl(rng: Random) -> bytes:
    payments = random_ktl_payments(rng.randrange(10**6), rng.randrange(1, 20))
    cut = rng.randrange(len(payments) + 1)
    return ktl_file([payments[:cut], payments[cut:]], newline=rng.choice(NEWLINES), counts_factoring=rng.random() < 0.5)


def _total_in(rng: Random) -> bytes:
    seed, count = rng.randrange(10**6), rng.randrange(1, 12)
    sections = [random_total_in_payments(seed + place, count) for place in range(rng.randrange(1, 3))]
    return total_in_file(sections, newline=rng.choice(NEWLINES))


# --- camt and CREMUL -------------------------------------------------------------------------------------------------


def _parsed_only(stream: BinaryIO) -> PaymentStream:
    reader = CamtReader(stream)
    reader._walk = Walk(reader, leaps=False)
    return reader


class _InSmallChunks(CamtReader):
    def __iter__(self):
        with patch.object(camt_walk, "CHUNK_BYTES", SMALL_CHUNK):
            yield from super().__iter__()


def _camt(rng: Random) -> bytes:
    entries = random_camt_entries(rng.randrange(10**6), rng.randrange(1, 6)) * rng.randrange(1, 5)
    shape = CamtShape(
        message=rng.choice(("camt.054", "camt.053")), version=rng.choice(("02", "04", "08", "12", "13", "")),
        prefix=rng.choice(("", "", "ns2")), break_lines=rng.choice(("", "\n", "\r\n\t")), has_balances=rng.random() < 0.5,
        has_summary=rng.random() < 0.7, has_envelope=rng.random() < 0.2, currency=rng.choice(("NOK", "SEK", "JPY")),
    )  # fmt: skip
    return camt_file(entries, shape)


def _cremul(rng: Random) -> bytes:
    lines = random_cremul_lines(rng.randrange(10**6), rng.randrange(1, 12))
    cut = rng.randrange(len(lines) + 1)
    shape = rng.choice(
        (
            CremulShape(), CremulShape(), CremulShape(width=80), CremulShape(newline="\r\n"), CremulShape(line_count=""),
            CremulShape(advice="+:,? '"), CremulShape(advice=None), CremulShape(encoding="utf-8"),
        )
    )  # fmt: skip
    return cremul_file([part for part in (lines[:cut], lines[cut:]) if part], shape)


# --- all together ----------------------------------------------------------------------------------------------------


def _any(rng: Random) -> bytes:
    return rng.choice((_camt, _ocr, _bgmax, _cremul, _autogiro, _ktl, _total_in))(rng)


def _by_content(stream: BinaryIO) -> PaymentStream:
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    return open_payments(stream, head, PROFILES)


_CAMT_TOKENS = (
    b"<TxDtls>", b"</TxDtls>", b"<Ntry>", b"</Ntry>", b"<NtryDtls>", b"</NtryDtls>", b"<Strd>", b"</Strd>", b"<Ustrd>", b"<!--",
    b"-->", b"<![CDATA[", b"]]>", b"&amp;", b"&#0;", b"&#13;", b"&x;", b"<!DOCTYPE a>", b"<?pi?>", b"DBIT", b"CRDT", b"PDNG",
    b"<Sts>", b"<RvslInd>true</RvslInd>", b'<Amt Ccy="NOK">1.00</Amt>', b'Ccy="EUR"', b"<NbOfTxs>2</NbOfTxs>", b"0.001",
    b"encoding='ISO-8859-1'", b"encoding='UTF-16'", b"camt.053", b"camt.054", b"camt.052", b"<PgNb>1</PgNb>", b"<x/>",
    b"<Bal>", b"CREN", b"CINV", b"RF18539007547034", b"9999999999999999999.99", b"2026-02-30", b"<CpyDplctInd>DUPL</CpyDplctInd>",
)  # fmt: skip
_CREMUL_TOKENS = (
    b"'", b"?", b"+", b":", b"??", b"?'", b"MOA+60:", b"MOA+143:1,00:NOK'", b"MOA+8:1,00'", b"SEQ++1'", b"LIN+1'", b"UNT+3+1'",
    b"UNH+1+CREMUL:D:96A:UN'", b"UNZ+1+1'", b"BGM+435", b"BGM+X1", b"DOC+999+19'", b"DOC+380+1'", b"DOC+381+1'", b"GIS+37'",
    b"RFF+ACK:", b"DTM+209:20261102:102'", b"CNT+LI:1'", b"FTX+AAG+++", b"NAD+PL+++", b"FII+OR+", b"PAI+::230'", b"CUX+", b"UNA:+,? '",
    b"BUS++DO++230:25:124'", b"INP+BF+2:SI'", b"PRC+11'", b"999999999999999,99",
)  # fmt: skip
_ROW_TOKENS = (
    b"NY09", b"NY091030", b"NY091031", b"NY092130", b"NY092132", b"NY090020", b"NY090088", b"NY000089", b"NY000010", b"NY2101",
    b"01BGMAX", b"05", b"15", b"20", b"21", b"22", b"23", b"25", b"26", b"70", b"82", b"32", b"77", b"09", b"90", b"3", b"5",
    b"S", b"7", b"T", b"P", b"USD", b"00TOTALIN", b"40", b"50", b"60", b"99",
)  # fmt: skip
_HEADS = (
    b"%PDF-1.7", b"PK\x03\x04", b"\x1f\x8b", b"<html>", b"<!doctype html>", b"\xff\xfe<\x00", b"{}", b"01AUTOGIRO", b"00TOTALIN",
    b":20:", b"{1:F01", b"#FLAGGA", b"<Invoice>", b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.03">',
    b"UNA:+,? '", b"UNB+UNOC:3", b"NY000010", b"01BGMAX", b"0", b"<?xml version='1.0'?>",
)  # fmt: skip
_EVERY_TOKEN = _EDGES + _CAMT_TOKENS + _CREMUL_TOKENS + _ROW_TOKENS + _HEADS


def _rows(make: Callable[[Random], bytes], reader: type[FixedWidthReader], corpus: str) -> Target:
    return Target(make, lambda data: _judge_rows(data, _WAYS[reader]), reader, corpus, _LINE, _EDGES + _ROW_TOKENS)


TARGETS = {
    "camt": Target(
        _camt, lambda data: judge(data, (CamtReader, _parsed_only, _InSmallChunks)), CamtReader,
        "camt*.xml", _ELEMENT, _EDGES + _CAMT_TOKENS,
    ),
    "ocr_giro": _rows(_ocr, OcrGiroReader, "ocr_giro*.txt"),
    "bgmax": _rows(_bgmax, BgMaxReader, "bgmax*.txt"),
    "cremul": Target(
        _cremul, lambda data: judge(data, (CremulReader, partial(CremulReader, leaps=False))), CremulReader,
        "cremul*.txt", _SEGMENT, _EDGES + _CREMUL_TOKENS,
    ),
    "autogiro": Target(_autogiro, _judge_autogiro, _autogiro_reader, "autogiro*.txt", _LINE, _EDGES + _ROW_TOKENS),
    "ktl": _rows(_ktl, KtlReader, "ktl*.txt"),
    "total_in": _rows(_total_in, TotalInReader, "total_in*.txt"),
    "detect": Target(_any, judge_detection, _by_content, "*", _LINE, _EVERY_TOKEN),
    "explain": Target(_any, judge_explanation, _by_content, "*", _LINE, _EVERY_TOKEN),
}  # fmt: skip
