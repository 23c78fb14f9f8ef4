"""Whatever the bytes: accepted, quarantined or refused. Any other exception is a page in the night."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.reasons import is_known
from gateway.errors import FileQuarantined, FileRefused
from gateway.formats.camt import CamtReader
from gateway.formats.camt_walk import Walk
from gateway.testing.payment_files import CamtShape, camt_file, ocr_file, random_camt_entries, random_ocr_payments
from tests.formats.reading import read

seeds = st.integers(0, 10**6)
mutations = st.lists(
    st.tuples(
        st.sampled_from(["replace", "delete", "insert", "repeat", "swap"]),
        st.floats(0, 1, exclude_max=True),
        st.integers(1, 200),
        st.binary(max_size=4)
        | st.sampled_from([b"\n", b"\r\n", b"<", b"&", b"</TxDtls>", b"NY0900", b"\x1a", b"-", b"9"]),
    ),
    min_size=1,
    max_size=6,
)


def mutated(data: bytes, steps) -> bytes:
    for kind, where, length, junk in steps:
        place = int(where * len(data))
        stop = place + length
        match kind:
            case "replace":
                data = data[:place] + junk + data[place + len(junk) :]
            case "delete":
                data = data[:place] + data[stop:]
            case "insert":
                data = data[:place] + junk + data[place:]
            case "repeat":
                data = data[:stop] + data[place:stop] + data[stop:]
            case _:
                data = data[:place] + data[stop : stop + length] + data[place:stop] + data[stop + length :]
    return data


def check(data: bytes) -> None:
    got = read(data)
    assert got.verdict in {"accepted", "quarantined", "refused"}
    assert all(is_known(finding.code) for finding in got.findings), got.places
    for payment in got.payments:
        assert payment.amount_minor >= 0
        assert payment.posts == (not payment.why_not)
        json.dumps(payment.text + payment.reference + payment.payer_name).encode()
    assert len({payment.key for payment in got.payments}) == len(got.payments)


@settings(max_examples=300)
@given(seeds, mutations)
def test_mutated_ocr_giro(seed, steps):
    payments = random_ocr_payments(seed, 8)
    check(mutated(ocr_file([payments[:4], payments[4:]]), steps))


@settings(max_examples=300)
@given(seeds, st.sampled_from(["02", "08", ""]), mutations)
def test_mutated_camt(seed, version, steps):
    check(mutated(camt_file(random_camt_entries(seed, 8), CamtShape(version=version)), steps))


def verdict(data: bytes, *, leaps: bool):
    reader = CamtReader(io.BytesIO(data))
    reader._walk = Walk(reader, leaps=leaps)
    payments = []
    try:
        for payment in reader:
            payments.append(payment)  # noqa: PERF402 - what was read before a fault counts
    except (FileQuarantined, FileRefused) as error:
        return type(error), payments, [(f.code, f.value) for f in error.findings]
    return None, payments, [(f.code, f.value) for f in reader.findings]


@settings(max_examples=300)
@given(seeds, st.sampled_from(["02", "08", ""]), st.sampled_from(["", "\n"]), mutations)
def test_speed_changes_no_verdict(seed, version, break_lines, steps):
    """The parser alone, and the parser with leaps over known shapes, must judge damaged bytes alike."""
    shape = CamtShape(version=version, break_lines=break_lines)
    data = mutated(camt_file(random_camt_entries(seed, 25), shape), steps)
    assert verdict(data, leaps=True) == verdict(data, leaps=False)


@given(st.binary(max_size=300))
@pytest.mark.parametrize("start", [b"", b"NY000010", b"<Document>", b"<?xml version='1.0'?><Document><BkToCstmrStmt>"])
def test_noise_behind_a_good_beginning(start, noise):
    check(start + noise)
