"""Files of calls and of their answers: one spelling, control totals, and every damage noticed (ADR 0029)."""

from __future__ import annotations

import io
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.calls import Answer
from gateway.domain.exchange import Totals
from gateway.errors import DecodeError, EncodeError
from gateway.formats import calls

HEAD = calls.Head("acme", "acme-1", "cases", 7, "f-1", "NOK", True)
ONE = calls.Planned(
    "invoice",
    "kp-1:2",
    "case",
    {"no": "1001", "kr": Decimal("12.50"), "æ": [None, True, 3]},
    Totals(1, 0, 1250),
    ("0101",),
)
TWO = calls.Planned("item", "kp-2", "payment", {}, Totals(1, 1, 0, 300))


def written(*planned):
    stream = io.BytesIO()
    totals = calls.write_calls(stream, HEAD, planned)
    return stream.getvalue(), totals


def read(content):
    file = calls.CallFile(io.BytesIO(content))
    return file.head, list(file), file.totals


def test_what_is_written_is_read():
    content, totals = written(ONE, TWO)
    assert totals == Totals(2, 1, 1250, 300)
    assert read(content) == (HEAD, [ONE, TWO], totals)
    assert ONE.key("debt") == "invoice:kp-1:2:debt"
    assert '"body":{"no":"1001","kr":12.50,"æ":[null,true,3]}' in content.decode()


@pytest.mark.parametrize("value", [1.5, Decimal("NaN"), object(), {1: 2}, "\ud800", b"x", [[0.1]]])
def test_a_value_without_an_exact_form_is_refused(value):
    with pytest.raises(EncodeError):
        calls.encoded({"value": value})


def test_a_nest_without_end_is_refused():
    deep: list[object] = []
    for _ in range(50):
        deep = [deep]
    with pytest.raises(EncodeError, match="deep"):
        calls.encoded(deep)


@given(st.data())
def test_no_byte_changes_unnoticed(data):
    """Wherever one byte is another, or the end is missing, the file is refused as a whole or says the same totals."""
    content, totals = written(ONE, TWO)
    at = data.draw(st.integers(0, len(content) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[at]))
    for damaged in (content[:at] + bytes([byte]) + content[at + 1 :], content[:at], content + content[at:]):
        with suppress(DecodeError):
            assert read(damaged)[2] == totals
    with pytest.raises(DecodeError):
        read(content[:at])


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [*lines[:2], lines[1], *lines[2:]],
        lambda lines: [lines[0], lines[1], lines[3]],
        lambda lines: [*lines, lines[1]],
        lambda lines: lines[1:],
        lambda lines: [lines[0].replace(b'"sequence":7', b'"sequence":"7"'), *lines[1:]],
        lambda lines: [lines[0], lines[1].replace(b'"no":', b'"no" :'), *lines[2:]],
        lambda lines: [lines[0], lines[1].replace(b"[1,0,1250", b"[1,0,-1250"), *lines[2:]],
        lambda lines: [],
    ],
    ids=[
        "twice",
        "one missing",
        "behind the end",
        "no head",
        "another kind",
        "another spelling",
        "below zero",
        "empty",
    ],
)
def test_what_contradicts_itself_is_refused(change):
    content, _ = written(ONE, TWO)
    with pytest.raises(DecodeError):
        read(b"".join(line + b"\n" for line in change(content.splitlines())))


def test_answers_come_back_as_they_were_also_those_that_are_no_text():
    told = [
        ("invoice:1:case", Answer(201, b'{"id":"x"}', {"location": "/cases/x"})),
        ("item:2:pay", Answer(422, b"\xff\x00")),
        ("invoice:3:c", Answer(0)),
    ]
    stream = io.BytesIO()
    calls.write_answers(stream, HEAD, told)
    content = stream.getvalue()
    assert calls.answers_head(content[:65536]) == HEAD
    assert list(calls.read_answers(io.BytesIO(content))) == told
    assert calls.answers_head(b'{"format":"other"}\n') is None
    assert calls.answers_head(content[:20]) is None
    for line in (
        b'{"key":"x","status":1,"body":""}\n',
        b'{"key":"a:b:c","status":"1","body":""}\n',
        b'{"key":"a:b:c","status":1}\n',
        b'{"key":"a:b:c","status":1,"headers":{"location":1},"body":""}\n',
        b'{"key":"a:b:c","status":1,"headers":[],"body":""}\n',
        b"[]\n",
    ):
        with pytest.raises(DecodeError, match="line 2"):
            list(calls.read_answers(io.BytesIO(content.splitlines()[0] + b"\n" + line)))


@pytest.mark.parametrize("character", ['"', "\n", "\x01", "å"])
def test_an_answer_of_the_largest_size_fits_whatever_it_holds(character, monkeypatch):
    monkeypatch.setattr(calls, "LINE_BYTES_MAX", 2000)
    told = [("invoice:1:case", Answer(422, (character * 1000).encode()[:1000]))]
    stream = io.BytesIO()
    calls.write_answers(stream, HEAD, told)
    stream.seek(0)
    assert list(calls.read_answers(stream)) == told
