"""What no database keeps never gets past a reader: amounts, references and signs beyond any bank's (found by fuzzing)."""

from __future__ import annotations

import io
from random import Random

import pytest

from gateway.db.tables import InboundFile
from gateway.domain.money import MAX_MINOR, format_minor, parse_minor
from gateway.errors import DecodeError
from gateway.formats.audit import MAX_REFERENCE_CHARACTERS
from gateway.services import inbound
from gateway.testing.autogiro_files import GiroPayment, autogiro_file
from gateway.testing.bgmax_files import BgPayment, BgSection, bgmax_file
from gateway.testing.camt_files import CamtEntry, CamtPayment, CamtShape, camt_file
from gateway.testing.cremul_files import CremulDocument, CremulLine, CremulPayment, cremul_file
from gateway.testing.ktl_files import KtlPayment, ktl_file
from gateway.testing.payment_files import OcrPayment, ocr_file
from gateway.testing.total_in_files import TotalInPayment, total_in_file
from tests.formats.cremul_reading import read_both_ways
from tests.formats.giro_reading import read_every_way
from tests.formats.reading import read
from tests.formats.test_camt_leaps import both_ways
from tests.fuzz.campaign import CRASHERS
from tests.rules.world import World

CRASHED = sorted(CRASHERS.glob("*/*.bin"))

# --- amounts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("92233720368547758.08", "NOK"),
        ("9223372036854775808", "JPY"),
        ("-92233720368547758.08", "NOK"),
        ("9" * 5000, "NOK"),
    ],
)
def test_an_amount_that_no_database_keeps_is_not_read(text, currency):
    with pytest.raises(DecodeError, match="must be from -"):
        parse_minor(text, currency)


@pytest.mark.parametrize("text", ["92233720368547758.07", "000000000000000000000092233720368547758.07"])
def test_the_largest_amount_is_read(text):
    assert parse_minor(text, "NOK") == MAX_MINOR
    assert parse_minor(f"-{text}", "NOK") == -MAX_MINOR
    assert parse_minor("-0000000000000000000000000.00", "NOK") == 0


@pytest.mark.parametrize("minor", [MAX_MINOR, MAX_MINOR + 1, 10**20 + 7])
@pytest.mark.parametrize("times", [1, 4])
def test_a_camt_amount_beyond_the_largest_is_damage(minor, times):
    """Four alike, for the third would be leapt over."""
    entries = [CamtEntry((CamtPayment(minor, "19"),))] * times
    (verdict, payments, findings, *_), _ = both_ways(camt_file(entries, CamtShape(has_summary=False)))
    if minor == MAX_MINOR:
        assert (verdict, len(payments)) == ("accepted", times)
        return
    assert verdict == "FileQuarantined"
    assert {finding.value for finding in findings} == {format_minor(minor, "NOK")}
    assert {finding.code for finding in findings} == {"file.invalid"}


# --- references ------------------------------------------------------------------------------------------------------


def reference_of(length: int) -> str:
    """Return a reference that no compression makes shorter, in characters of four bytes."""
    return "".join(chr(0x10000 + place) for place in Random(1).sample(range(0xFFF0), length))


@pytest.mark.parametrize("times", [1, 4])
def test_a_camt_reference_too_long_for_an_index_is_damage(times):
    def told(length):
        entries = [CamtEntry((CamtPayment(100, "19"),))] * 3 + [
            CamtEntry((CamtPayment(100, reference_of(length)),))
        ] * times
        return both_ways(camt_file(entries))[0]

    verdict, payments, *_ = told(MAX_REFERENCE_CHARACTERS)
    assert (verdict, payments[3].reference) == ("accepted", reference_of(MAX_REFERENCE_CHARACTERS))
    verdict, payments, findings, *_ = told(MAX_REFERENCE_CHARACTERS + 1)
    assert verdict == "FileQuarantined"
    assert [(finding.code, finding.place) for finding in findings] == [
        ("file.invalid", f"transaction {4 + place}, RmtInf/Strd") for place in range(times)
    ]


def test_a_cremul_reference_too_long_for_an_index_is_damage():
    def told(length):
        number = "".join(Random(1).choices("ABCDEFGHJKLMNP0123456789", k=length))
        return read_both_ways(
            cremul_file([[CremulLine((CremulPayment(100, documents=(CremulDocument(number, 100),)),))]])
        )

    assert told(MAX_REFERENCE_CHARACTERS).verdict == "accepted"
    got = told(MAX_REFERENCE_CHARACTERS + 1)
    assert (got.verdict, got.codes) == ("quarantined", {"file.invalid"})
    assert "DOC" in got.places


# --- signs -----------------------------------------------------------------------------------------------------------

ROWS = {
    "ocr_giro": (ocr_file([[OcrPayment(100, "19"), OcrPayment(100, "27")]]), b"86011117947", 4),
    "bgmax": (bgmax_file([BgSection((BgPayment(100, "19"), BgPayment(100, "27")))]), b"0009912346", 2),
    "autogiro": (autogiro_file([GiroPayment(100), GiroPayment(200)]), b"FAKTNR1001", 3),
    "ktl": (ktl_file([[KtlPayment(100), KtlPayment(200)]]), b"OSTAJA OY", 2),
    "total_in": (total_in_file([[TotalInPayment(100, "F1"), TotalInPayment(200, "F2")]]), b"1234567 ", 2),
}


@pytest.mark.parametrize("sign", [b"\x00", b"\x01", b"\x0b", b"\x1a", b"\x1f", b"\x7f"])
@pytest.mark.parametrize("kind", ROWS)
def test_a_control_character_in_a_row_is_damage(kind, sign):
    """In an account it would make another account of it, in a reference another reference, and nobody would see why."""
    data, field, line = ROWS[kind]
    assert read_every_way(data).verdict == "accepted"
    got = read_every_way(data.replace(field, field[:4] + sign + field[5:], 1))
    assert got.verdict == "quarantined"
    assert (f"line {line}", "file.invalid") in {(finding.place, finding.code) for finding in got.findings}
    assert any(finding.value.startswith(sign.decode()) for finding in got.findings)


def test_lines_are_counted_where_they_end_with_a_bare_carriage_return():
    entries = [CamtEntry((CamtPayment(100, "19"),))] * 6
    data = camt_file(entries, CamtShape(break_lines="\r", has_summary=False)).replace(b"</Ntfctn>", b"")
    (verdict, _, findings, *_), fed = both_ways(data)
    assert verdict == "FileQuarantined"
    assert fed < len(data), "nothing was leapt over"
    line = data[: data.index(b"</BkToCstmrDbtCdtNtfctn>")].count(b"\r") + 1
    assert [finding.place for finding in findings] == [f"line {line}"]


def test_a_copy_in_utf_8_is_told_once_at_its_first_line():
    """Whether or not the lines before are held back for a unit that began with them."""
    data = b"82202611020    0000000000000101000000000100000991234\n2\n\xc3\xa5"
    got = read_every_way(b"01AUTOGIRO              20261102053000123456BET. SPEC & STOPP TK4711170009912346  \n" + data)
    assert [finding.place for finding in got.findings if finding.code == "file.encoding"] == ["line 4"]


# --- from the file to the books --------------------------------------------------------------------------------------


def state_of(world: World, data: bytes) -> str:
    """Return what becomes of a file of the creditor's own bank."""
    stored = inbound.store_own(world.house, world.creditor_id, "api", "file", io.BytesIO(data))
    inbound.process(world.house, stored.inbound_file_id)
    return world.row(InboundFile, stored.inbound_file_id).state


@pytest.mark.parametrize(
    ("minor", "length", "state"),
    [
        (MAX_MINOR // 8, MAX_REFERENCE_CHARACTERS, "imported"),
        (MAX_MINOR + 1, 2, "quarantined"),
        (1, 3000, "quarantined"),
    ],
)
def test_both_databases_keep_what_the_readers_let_through(house, clock, tmp_path, minor, length, state):
    world = World(house, clock, tmp_path, "intrum").start()
    data = camt_file([CamtEntry((CamtPayment(minor, reference_of(length)),))] * 3, CamtShape(has_summary=False))
    assert state_of(world, data) == state
    assert len(world.payments()) == (3 if state == "imported" else 0)
    assert read(data).verdict == ("accepted" if state == "imported" else "quarantined")


def test_both_databases_keep_what_is_told_of_damage(house, clock, tmp_path):
    """A finding shows the value it is about, whatever bytes that has."""
    world = World(house, clock, tmp_path, "intrum").start()
    rows = [data.replace(field, field[:4] + b"\0\x85\xff" + field[7:], 1) for data, field, _ in ROWS.values()]
    states = [state_of(world, data) for data in (*rows, *(path.read_bytes() for path in CRASHED))]
    assert states.count("quarantined") > len(states) / 2
    assert set(states) <= {"imported", "quarantined", "refused"}
