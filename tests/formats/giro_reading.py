"""Shared by the tests of Autogiro, KTL and Total IN: read bytes with and without the fast path; what no damage may do."""

from __future__ import annotations

import io

from gateway.domain.exchange import TO_FACTORING
from gateway.domain.reasons import is_known
from gateway.errors import FileQuarantined, FileRefused
from gateway.formats.detect import HEAD_BYTES, detect, open_payments
from gateway.formats.fixed_width import scanner
from gateway.formats.total_in import PROFILE
from tests.formats.reading import Read

NO_UNIT = scanner("(?!)")


def read_as(make, data: bytes) -> Read:
    """Return what the reader that *make* makes of a stream finds in *data*."""
    payments, reader = [], None
    try:
        reader = make(io.BytesIO(data))
        for payment in reader:
            payments.append(payment)  # noqa: PERF402 - what was read before a fault counts
    except FileQuarantined as error:
        verdict, findings = "quarantined", error.findings
    except FileRefused as error:
        verdict, findings = "refused", error.findings
    else:
        verdict, findings = "accepted", tuple(reader.findings)
    return Read(verdict, payments, tuple(findings), getattr(reader, "totals", {}), getattr(reader, "transactions", 0))


def read_every_way(data: bytes) -> Read:
    """Return what the host reads; the thorough path, and one that takes every second run, must find the same."""
    got = read_as(lambda stream: open_payments(stream, data[:HEAD_BYTES], [PROFILE]), data)
    if got.verdict != "refused" and detect(data[:HEAD_BYTES]).format:
        kind = type(open_payments(io.BytesIO(data), data[:HEAD_BYTES]))
        thorough = type("Thorough", (kind,), {"units": NO_UNIT})
        picky = type(
            "Picky", (kind,), {"_take": lambda self, columns, count: _every_second(kind, self, columns, count)}
        )
        assert read_as(thorough, data) == got
        assert read_as(picky, data) == got
    return got


def _every_second(kind, reader, columns, count):
    return kind._take(reader, columns, count) if count % 2 else None


def check(data: bytes) -> Read:
    """Hold what is read of damaged *data* to what is true of any file."""
    got = read_every_way(data)
    assert all(is_known(finding.code) for finding in got.findings), got.places
    for payment in got.payments:
        assert payment.amount_minor >= 0
        assert payment.posts == (payment.why_not in {"", TO_FACTORING})
        assert payment.key
        assert not payment.why_not or is_known(payment.why_not)
        assert len(payment.references) != 1 or payment.references[0].kind == "text"
    return got


def check_every_flipped_byte(data: bytes) -> None:
    """Damage each byte of a small file in three ways."""
    for place in range(len(data)):
        for flip in (1, 0x20, 0x80):
            check(data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :])


def check_every_cut(data: bytes, *, whole: int = 0) -> None:
    """Cut a file at each byte; from *whole* on nothing but filling is lost."""
    whole = whole or len(data.rstrip())
    for length in range(whole):
        assert check(data[:length]).verdict in {"quarantined", "refused"}, length
    for length in range(whole, len(data) + 1):
        assert check(data[:length]).verdict == "accepted", length


def shapes_of(data: bytes, width: int) -> dict[str, bytes]:
    """Return the same file as gateways and editors may change it; *data* has CRLF and lines of *width* columns."""
    lines = data.split(b"\r\n")[:-1]
    assert {len(line) for line in lines} == {width}
    return {
        "LF": b"\n".join(lines) + b"\n",
        "CR": b"\r".join(lines) + b"\r",
        "no line ends": b"".join(lines),
        "no last line end": data.removesuffix(b"\r\n"),
        "byte order mark": b"\xef\xbb\xbf" + data,
        "blank lines": b"\r\n\n" + data.replace(b"\r\n", b"\r\n\r\n") + b"\n\n",
        "padded": data.replace(b"\r\n", b"     \r\n"),
        "trimmed": b"".join(line.rstrip() + b"\r\n" for line in lines),
        "0x1A": data + b"\x1a",
        "UTF-8": data.decode("latin-1").encode(),
    }


def check_shapes(data: bytes, width: int) -> None:
    """Hold every shape of a file to the same payments."""
    plain = read_every_way(data)
    assert plain.verdict == "accepted", plain.places
    for name, shape in shapes_of(data, width).items():
        got = read_every_way(shape)
        assert (got.verdict, got.payments, got.totals) == ("accepted", plain.payments, plain.totals), (name, got.places)
