"""Whatever the bytes: accepted, quarantined or refused. Any other exception is a page in the night."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.reasons import is_known
from gateway.testing.bgmax_files import bgmax_file, random_bg_sections
from gateway.testing.camt_files import CamtShape, camt_file, random_camt_entries
from gateway.testing.payment_files import ocr_file, random_ocr_payments
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
    assert all(payment.key for payment in got.payments)


@settings(max_examples=300, deadline=None)
@given(seeds, mutations)
def test_mutated_ocr_giro(seed, steps):
    payments = random_ocr_payments(seed, 8)
    check(mutated(ocr_file([payments[:4], payments[4:]]), steps))


@settings(max_examples=300, deadline=None)
@given(seeds, mutations)
def test_mutated_bgmax(seed, steps):
    check(mutated(bgmax_file(random_bg_sections(seed, 8)), steps))


@settings(max_examples=300, deadline=None)
@given(seeds, st.sampled_from(["02", "08", ""]), mutations)
def test_mutated_camt(seed, version, steps):
    check(mutated(camt_file(random_camt_entries(seed, 8), CamtShape(version=version)), steps))


@settings(deadline=None)
@given(st.binary(max_size=300))
@pytest.mark.parametrize(
    "start", [b"", b"NY000010", b"01BGMAX", b"<Document>", b"<?xml version='1.0'?><Document><BkToCstmrStmt>"]
)
def test_noise_behind_a_good_beginning(start, noise):
    check(start + noise)
