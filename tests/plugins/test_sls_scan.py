"""The quick count of a file read back against the strict reader: the same totals, the same refusals."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import DataError
from gateway.formats.kravport_sls import scan as scanning
from gateway.formats.kravport_sls import verifier
from gateway.formats.kravport_sls.scan import scan
from tests.plugins.test_intrum_writer import agreement, export, golden_invoices, plugin, random_claims

CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda data: data,
    "a comment with a payment": lambda data: data.replace(
        b"</Customer>", b'<!-- <Payment itemId="x" date="2026-01-01" amount="1.00"/> --></Customer>', 1
    ),
    "a long ending": lambda data: data.replace(b'openAmount="', b'openAmount= "'),
    "apostrophes": lambda data: data.replace(b'currency="NOK"', b"currency='NOK'"),
    "attributes in apostrophes": lambda data: data.replace(b'itemId="kp-e-900301"', b"itemId= 'kp-e-900301'"),
    "an instruction": lambda data: data.replace(b"</Customer>", b"<?look here?></Customer>", 1),
    "line breaks in tags": lambda data: data.replace(b" amount=", b"\n amount="),
    "no indentation": lambda data: data.replace(b"\n  ", b"\n"),
    "customers out of order": lambda data: data.replace(b'"20002"', b'"20000"'),
    "one amount more": lambda data: data.replace(b'amount="100.00"', b'amount="100.01"'),
    "one amount less": lambda data: data.replace(b'originalAmount="', b'originalAmount="1', 1),
    "cut short": lambda data: data[: len(data) // 2],
    "empty": lambda _: b"",
}


def outcome(envelope, content: bytes) -> object:
    try:
        return plugin.verify_envelope(envelope, agreement(), io.BytesIO(content))
    except DataError as error:
        return str(error)


@pytest.fixture(params=[1 << 18, 7])
def small_chunks(request, monkeypatch):
    monkeypatch.setattr(scanning, "CHUNK_BYTES", request.param)
    monkeypatch.setattr(scanning, "HEAD_BYTES_MAX", 1 << 10)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_scan_and_strict_reader_say_the_same(change, monkeypatch):
    envelope, content = export(golden_invoices())
    quick = outcome(envelope, change(content))
    monkeypatch.setattr(verifier, "scan", lambda _: None)
    assert quick == outcome(envelope, change(content))


@settings(max_examples=60, deadline=None)
@given(random_claims(), st.sampled_from([64, 1 << 18]))
def test_any_file_is_counted_alike(claims, chunk):
    envelope, content = export(claims)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanning, "CHUNK_BYTES", chunk)
        counted = scan(io.BytesIO(content))
        quick = outcome(envelope, content)
        patch.setattr(verifier, "scan", lambda _: None)
        assert quick == outcome(envelope, content) == envelope.totals
    looks_quoted = re.search(rb"=\s*'", content)  # in a customer's name, say
    assert counted is not None or looks_quoted, "the file our own writer makes is counted without parsing it twice"


def test_what_only_looks_like_a_payment_is_left_to_the_strict_reader():
    _, content = export(golden_invoices())
    for hidden in (b"<!-- <Payment amount='1.00'/> -->", b"<![CDATA[<Payment ]]>", b"<?x <Payment ?>"):
        assert scan(io.BytesIO(content.replace(b"</Customer>", hidden + b"</Customer>", 1))) is None
