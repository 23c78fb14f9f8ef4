"""Says what a payment file is, by its content alone: names are chosen by whoever uploads (payments.md 1).

A file that is no payment file, or of a format this version does not read, is refused with a sentence that says what it
is, because banks do send error pages and portals do offer the wrong file of two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import BinaryIO, NamedTuple

from gateway.domain.exchange import Finding, PaymentStream, Severity
from gateway.domain.reasons import said
from gateway.errors import FileRefused
from gateway.formats.autogiro import AutogiroNewReader, AutogiroOldReader
from gateway.formats.autogiro_layout import OLD_REJECTIONS, REJECTIONS, SPECIFICATION
from gateway.formats.autogiro_rejected import AutogiroOldRejectedReader, AutogiroRejectedReader
from gateway.formats.bgmax import BgMaxReader
from gateway.formats.camt import CamtReader
from gateway.formats.cremul import CremulReader
from gateway.formats.ktl import KtlReader
from gateway.formats.ocr_giro import OcrGiroReader
from gateway.formats.total_in import PROFILE as TOTAL_IN
from gateway.formats.total_in import TotalInReader

TITLE = "Total IN (Nordea)"
HEAD_BYTES = 1 << 16
"""How much of a file `detect` wants to see. The root element of a camt file stands within its first kilobyte."""

_BLANKS = b" \t\r\n"
_BINARY = (
    (b"%PDF", "pdf", "kind.pdf"),
    (b"PK\x03\x04", "zip", "kind.zip"),
    (b"PK\x05\x06", "zip", "kind.zip_empty"),
    (b"\x1f\x8b", "gzip", "kind.gzip"),
    (b"\xd0\xcf\x11\xe0", "office", "kind.office"),
    (b"\x89PNG", "image", "kind.image"),
    (b"\xff\xd8\xff", "image", "kind.image"),
    (b"{", "json", "kind.json"),
)
_FIXED = (
    (re.compile(rb"01AUTOGIRO|01\d{8}AUTOGIRO9900"), "autogiro", "kind.autogiro"),
    (re.compile(rb"01\d{8}AUTOGIRO"), "autogiro", "kind.autogiro_sent"),
    (re.compile(rb"00TOTALIN"), "total_in", "kind.unverified"),
    (re.compile(rb":20:|\{1:F01"), "mt940", "kind.mt940"),
    (re.compile(rb"#FLAGGA"), "sie", "kind.sie"),
)
_READ = (
    (re.compile(rb"01BGMAX"), "bgmax"),
    (re.compile(rb"01AUTOGIRO[^\r\n]{0,60}" + re.escape(SPECIFICATION.encode())), "autogiro_new"),
    (re.compile(rb"01AUTOGIRO[^\r\n]{0,60}" + re.escape(REJECTIONS.encode())), "autogiro_rejected"),
    (re.compile(rb"01\d{8}AUTOGIRO9900[ \t]{20}"), "autogiro_old"),
    (re.compile(rb"01\d{8}AUTOGIRO9900" + re.escape(OLD_REJECTIONS.encode())), "autogiro_rejected_old"),
    (re.compile(rb"0\d{10}[^\r\n]{12,79} *[\r\n]*(?:[35S][\d ]{14}(?:\d{6}| {6}){2}|9\d{34})"), "ktl"),
)
"""How files begin that have a reader of their own name. KTL has no name in it: row 0 and the figures of the row behind it."""

_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body|script|title)\b", re.IGNORECASE)
_ROOT = re.compile(rb"<([A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)(\s[^<>]*)?/?>")
_PROLOG = re.compile(rb"<\?.*?\?>|<!--.*?-->", re.DOTALL)
_NAMESPACE = re.compile(rb"xmlns(?::[\w.-]+)?\s*=\s*[\"']([^\"']*)[\"']")
_MESSAGE = re.compile(r"[a-z]{4}\.\d{3}\.\d{3}\.\d{2}")
_NOT_PAYMENTS = {
    "Invoice": ("ubl", "kind.invoice", "UBL"),
    "CreditNote": ("ubl", "kind.credit_note", "UBL"),
    "Reminder": ("ubl", "kind.reminder", "UBL"),
    "AuditFile": ("saft", "kind.saft", ""),
    "Finvoice": ("finvoice", "kind.invoice", "Finvoice"),
    "Sie": ("sie", "kind.sie", ""),
    "SieEntry": ("sie", "kind.sie", ""),
}
_EDIFACT = re.compile(rb"UNA|UNB[^A-Za-z0-9]")
_EDIFACT_MESSAGE = re.compile(rb"UNH([^A-Za-z0-9])[^A-Z]*?\1([A-Z]{6})[^A-Za-z0-9]")
_EDIFACT_END = re.compile(rb"UNZ[^A-Za-z0-9]\d")
_NY_SERVICES = {b"21": "AvtaleGiro", b"02": "Autogiro", b"04": "remittance"}
_NY_ASSIGNMENT = re.compile(rb"^NY(\d\d)..20", re.MULTILINE)
_NY_END = re.compile(rb"^NY000089", re.MULTILINE)


class Detected(NamedTuple):
    """What a file is. *format* is the reader that takes it (``ocr_giro``, ``camt``), None where none does.

    *name* names what was recognised, empty where nothing was; *reason* completes "The file is not a payment file: …".
    """

    format: str | None
    reason: str = ""
    name: str = ""


def detect(head: bytes) -> Detected:
    """Return what a file that begins with *head* is.

    Args:
        head: the first `HEAD_BYTES` of the file, or all of it.
    """
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip(_BLANKS)
    if not start:
        return Detected(None, said("kind.empty"))
    if start[:8] == b"NY000010":
        return _transmission(start)
    told = _by_beginning(start)
    if told:
        return told
    if start[:1] == b"<" or _EDIFACT.match(start):
        return _xml(start) if start[:1] == b"<" else _interchange(start)
    if head[:2] in {b"\xff\xfe", b"\xfe\xff"} or head[:4] in {b"<\x00?\x00", b"\x00<\x00?"}:
        return Detected("camt", name="xml")  # UTF-16: the parser reads it and says what it is
    return Detected(None, said("kind.unknown"))


def _by_beginning(start: bytes) -> Detected | None:
    for pattern, name in _READ:
        if pattern.match(start):
            return Detected(name, name=name)
    for magic, name, code in _BINARY:
        if start.startswith(magic):
            return Detected(None, said(code), name)
    for pattern, name, code in _FIXED:
        if pattern.match(start):
            return Detected(None, said(code, format=TITLE, profile=TOTAL_IN), name)
    return None


def _transmission(start: bytes) -> Detected:
    """Tell OCR giro from the other services that share its envelope, where the whole envelope is in view."""
    services = set(_NY_ASSIGNMENT.findall(start))
    if services and b"09" not in services and _NY_END.search(start):
        names = ", ".join(sorted(_NY_SERVICES.get(service, service.decode()) for service in services))
        name = "avtalegiro" if services == {b"21"} else "nets"
        return Detected(None, said("kind.other_services", services=names), name)
    return Detected("ocr_giro", name="ocr_giro")


def _interchange(start: bytes) -> Detected:
    """Tell CREMUL from other EDIFACT, where the whole interchange is in view; else the reader says what it is."""
    text = start.replace(b"\r", b"").replace(b"\n", b"")
    messages = {found[1].decode() for found in _EDIFACT_MESSAGE.findall(text)}
    if messages and "CREMUL" not in messages and _EDIFACT_END.search(text):
        return Detected(None, said("kind.other_messages", messages=", ".join(sorted(messages))), "edifact")
    return Detected("cremul", name="cremul")


def _xml(start: bytes) -> Detected:
    if _HTML.search(start[:1024]):
        return Detected(None, said("kind.html"), "html")
    body = _PROLOG.sub(b"", start)
    root = _ROOT.search(body)
    if not root:
        return Detected("camt", name="xml")  # the parser says what is wrong: a document type, a cut, an odd prolog
    name = root[2].decode("latin-1")
    if name in _NOT_PAYMENTS:
        kind, code, title = _NOT_PAYMENTS[name]
        return Detected(None, said(code, format=title), kind)
    stated = _NAMESPACE.findall(root[3] or b"")
    messages = [found[0] for item in stated if (found := _MESSAGE.search(item.decode("latin-1")))]
    others = [message for message in messages if not message.startswith(("camt.053", "camt.054", "head."))]
    if name == "Document" and others:
        return Detected(None, said("kind.not_read", name=others[0]), others[0])
    return Detected("camt", name="camt")


def open_payments(stream: BinaryIO, head: bytes, profiles: Collection[str] = ()) -> PaymentStream:
    """Return the reader for *stream*, which begins with *head*; nothing of *stream* is read yet.

    Args:
        stream: the file.
        head: its first `HEAD_BYTES`, or all of it.
        profiles: the unverified formats that whoever sends the file has agreed to (``total_in-unverified``). By default
            a format that nobody has confirmed is refused.

    Raises:
        FileRefused: not a payment file, or of a format that this version does not read.
    """
    found = detect(head)
    if found.format:
        return _READERS[found.format](stream)
    unverified = _UNVERIFIED.get(found.name)
    if unverified is None:
        values = {"reason": found.reason}
        raise FileRefused([Finding(Severity.BLOCKING, "file.not_a_payment_file", "", found.name, values)])
    profile, title, reader = unverified
    if profile not in profiles:
        values = {"format": title, "profile": profile}
        raise FileRefused([Finding(Severity.BLOCKING, "file.unverified_format", "", found.name, values)])
    return reader(stream)


_READERS: dict[str, Callable[[BinaryIO], PaymentStream]] = {
    "ocr_giro": OcrGiroReader,
    "camt": CamtReader,
    "bgmax": BgMaxReader,
    "cremul": CremulReader,
    "autogiro_new": AutogiroNewReader,
    "autogiro_old": AutogiroOldReader,
    "autogiro_rejected": AutogiroRejectedReader,
    "autogiro_rejected_old": AutogiroOldRejectedReader,
    "ktl": KtlReader,
}
_UNVERIFIED: dict[str, tuple[str, str, Callable[[BinaryIO], PaymentStream]]] = {
    "total_in": (TOTAL_IN, TITLE, TotalInReader)
}
"""What `detect` recognises to the profile that must be named for it, its title and its reader."""

PROFILES = tuple(profile for profile, _, _ in _UNVERIFIED.values())
"""Every profile that `open_payments` knows."""
