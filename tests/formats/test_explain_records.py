"""The records a bookkeeper is shown: every field named, at its columns, findings where they stand, bounded whatever the file."""

from __future__ import annotations

import ast
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.formats import edifact, fixed_width
from gateway.formats.camt_paths import MESSAGES, nodes_of
from gateway.formats.explain import explain
from gateway.formats.layouts import FIXED_LAYOUTS
from gateway.formats.record import columns
from gateway.formats.total_in import PROFILE
from gateway.formats.view import FIRST, FindingTold, elements, view_of
from gateway.formats.view.model import place_told
from gateway.formats.view.words import LANGUAGES, catalogue, field_name, record_name, word
from gateway.testing.autogiro_files import (
    autogiro_file,
    autogiro_old_file,
    autogiro_rejected_file,
    random_giro_payments,
)
from gateway.testing.bgmax_files import BgPayment, BgSection, bgmax_file, random_bg_sections
from gateway.testing.camt_files import CamtEntry, CamtPayment, CamtShape, camt_file, random_camt_entries
from gateway.testing.cremul_files import CremulShape, cremul_file, random_cremul_lines
from gateway.testing.ktl_files import ktl_file, random_ktl_payments
from gateway.testing.payment_files import OcrPayment, ocr_file, random_ocr_payments
from gateway.testing.total_in_files import random_total_in_payments, total_in_file

FIXED = {
    "ocr_giro": ocr_file([random_ocr_payments(1, 40)]),
    "bgmax": bgmax_file(random_bg_sections(1, 5)),
    "autogiro_new": autogiro_file(random_giro_payments(1, 40)),
    "autogiro_old": autogiro_old_file(random_giro_payments(2, 40, kinds=("82", "32"))),
    "autogiro_rejected": autogiro_rejected_file(random_giro_payments(3, 40, kinds=("82", "32"))),
    "autogiro_rejected_old": autogiro_rejected_file(random_giro_payments(4, 40, kinds=("82", "32")), is_old=True),
    "ktl": ktl_file([random_ktl_payments(1, 40)]),
    "total_in": total_in_file([random_total_in_payments(1, 40)]),
}
TREES = {
    "cremul": cremul_file([random_cremul_lines(1, 12)], CremulShape(width=80)),
    "camt.054.001.08": camt_file(random_camt_entries(1, 12), CamtShape(break_lines="\n")),
}
EVERY = FIXED | TREES
WHOLE = 100_000


def viewed(name, data, findings=(), **options):
    return view_of(io.BytesIO(data), name, findings, **options)


def finding(place):
    return FindingTold("warning", "file.invalid", place, "", "wrong")


def shown(view):
    return [
        (record.number, record.line, record.code, record.level, record.raw, record.fields) for record in view.records
    ]


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIXED_LAYOUTS)
def test_every_record_and_field_has_a_name_in_every_language(name):
    layout = FIXED_LAYOUTS[name]
    for record in layout.records:
        for language in LANGUAGES:
            assert record_name(layout.name, record.__name__, language), record
            for field, _ in columns(record):
                assert field_name(layout.name, record.__name__, field, language), (record, field)


def test_no_name_is_left_of_a_field_that_is_gone():
    layouts = {layout.name: layout for layout in FIXED_LAYOUTS.values()}
    records = {(layout.name, kind.__name__): kind for layout in FIXED_LAYOUTS.values() for kind in layout.records}
    fields = {field for kind in records.values() for field, _ in columns(kind)} | {"filler"}
    known = {f"{name}.{kind}" for name, kind in records}
    assert set(catalogue()["record"]) == known
    for key in catalogue()["field"]:
        where, _, field = key.rpartition(".")
        assert field in fields, key
        assert not where or where in known | set(layouts), key
    for key in catalogue()["code"]:
        layout, field, _ = key.split(".", 2)
        assert layout not in layouts or field in fields, key


def compared():
    """What the readers compare as control totals, as their calls name it."""
    for path in Path(fixed_width.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_comparison = isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2].lstrip("_") in {
                "compare", "compare_sum", "compare_sections"
            }  # fmt: skip
            if is_comparison and isinstance(node.args[0], ast.Constant):
                yield node.args[0].value


def test_every_control_total_has_a_name():
    found = {what.partition(" (")[0] for what in compared()}
    assert {"sum", "transactions", "records"} <= found
    assert {what for what in found if not (word("place", "nb", what) or word("field", "nb", what))} == set()


def test_the_place_of_a_finding_is_told_in_the_language_of_the_page():
    assert place_told("line 4, sum", "nb") == "linje 4, sum"
    assert place_told("line 4, sum", "sv") == "rad 4, summa"
    assert place_told("line 9, extra references (TK22, TK23)", "sv") == "rad 9, extra referenser (TK22, TK23)"
    assert place_told("transaction 3, amount_minor", "nb") == "transaksjon 3, Beløp"
    assert place_told("line 7, Ntry/Amt", "nb") == "linje 7, Ntry/Amt"


def test_every_element_that_is_read_has_a_name():
    def nameless(tag, node):
        found = [] if word("element", "nb", tag) else [tag]
        known = {name for name in node.known or () if not word("element", "nb", name)}
        inside = [item for name, child in node.children.items() if name != tag for item in nameless(name, child)]
        return [*found, *known, *inside]

    assert [item for tag in MESSAGES for item in nameless(tag, nodes_of(tag, "", object()))] == []


# --- fixed width -----------------------------------------------------------------------------------------------------


def test_the_fields_of_a_payment_stand_at_their_columns():
    data = ocr_file([[OcrPayment(1250_50, "2345676", archive="100000001")]])
    record = viewed("ocr_giro", data).records[2]
    assert (record.number, record.line, record.code, record.name) == (3, 3, "30", "Amount item 1")
    told = {(field.tag, field.name): (field.value, field.told) for field in record.fields}
    assert told[("33-49", "Amount")] == ("00000000000125050", "1250.50")
    assert told[("50-74", "KID")] == ("2345676", "")
    assert told[("16-21", "Settlement date")] == ("021126", "2026-11-02")
    assert told[("5-6", "Transaction type")] == ("10", "giro debited to account")


@pytest.mark.parametrize("name", FIXED)
def test_every_line_is_shown_as_the_record_it_is(name):
    lines = FIXED[name].decode("latin-1").split()
    view = viewed(name, FIXED[name], count=WHOLE)
    assert view.width == FIXED_LAYOUTS[name].width
    assert view.total == len(view.records) == FIXED[name].count(b"\n")
    assert lines
    for record in view.records:
        assert record.name != "Unknown record", record
        assert "".join(text for text, _ in record.parts()) == record.raw
        assert not any(field.is_wrong for field in record.fields), record
        for field in record.fields:
            assert record.raw[field.start - 1 : field.stop].strip(" ") == field.value
            assert record.keys()[field.start - 1] != " "


def test_a_damaged_amount_is_marked_where_it_stands():
    lines = ocr_file([[OcrPayment(100, "19"), OcrPayment(250, "27")]]).split(b"\n")
    lines[4] = lines[4][:40] + b"X" + lines[4][41:]
    with explain(io.BytesIO(b"\n".join(lines)), records=1) as explanation:
        assert explanation.verdict == "quarantined"
        first, damaged = explanation.view.records
    assert (first.number, damaged.number) == (1, 5)
    assert [field.name for field in damaged.fields if field.is_wrong] == ["Amount"]
    assert [(item.code, item.severity) for item in damaged.findings] == [("file.invalid", "blocking")]


def test_an_unknown_record_is_shown_as_it_came():
    lines = FIXED["bgmax"].split(b"\r\n")
    lines.insert(3, b"99 something new")
    record = viewed("bgmax", b"\r\n".join(lines)).records[3]
    assert (record.name, record.raw, record.fields) == ("Unknown record", "99 something new", ())


def test_a_finding_at_a_transaction_stands_at_its_record():
    data = FIXED["ktl"]
    lines = data.decode("latin-1").splitlines()
    rows = [number for number, line in enumerate(lines, 1) if line[0] in "35S"]
    view = viewed("ktl", data, [finding("transaction 31, return_code")], count=1)
    assert [record.number for record in view.records if record.findings] == [rows[30]]


def test_a_copy_in_utf_8_keeps_its_columns():
    data = bgmax_file([BgSection((BgPayment(100, "19", name="Åse Öberg"),))], encoding="utf-8")
    (record,) = [record for record in viewed("bgmax", data).records if record.code == "TK26"]
    assert record.fields[1].value == "Åse Öberg"


# --- trees -----------------------------------------------------------------------------------------------------------


def test_segments_are_named_and_stand_in_each_other():
    records = viewed("cremul", TREES["cremul"], language="nb", count=WHOLE).records
    by_code = {record.code: record for record in records}
    levels = {code: by_code[code].level for code in ("UNB", "UNH", "BGM", "LIN", "SEQ", "CNT", "UNT", "UNZ")}
    assert levels == {"UNB": 0, "UNH": 1, "BGM": 2, "LIN": 3, "SEQ": 4, "CNT": 2, "UNT": 1, "UNZ": 0}
    kind = by_code["BGM"].fields[0]
    assert (kind.name, kind.value, kind.told) == ("Art", "455", "utvidet kreditmelding")
    assert all(record.name != "Ukjent post" for record in records)


def test_a_finding_at_a_segment_stands_at_it():
    view = viewed("cremul", TREES["cremul"], [finding("segment 70, line 12, MOA")], count=2)
    assert [(record.number, len(record.findings)) for record in view.records] == [(1, 0), (2, 0), (70, 1)]
    assert view.loose == []


def test_elements_are_named_and_stand_in_each_other():
    payment = CamtPayment(700_50, "0012345672", name="Kari & Co")
    data = camt_file([CamtEntry((payment,))], CamtShape(break_lines="\n"))
    records = viewed("camt.054.001.08", data, language="sv").records
    assert [record.code for record in records][-2:] == ["Ntry", "TxDtls"]
    entry, transaction = records[-2:]
    assert transaction.level == entry.level + 1
    amount = next(field for field in transaction.fields if field.tag == "Amt")
    assert (amount.name, amount.value, amount.told) == ("Belopp", "700.50", "NOK")
    assert [field.value for field in transaction.fields if field.tag == "Nm"] == ["Kari & Co"]
    status = next(field for field in entry.fields if field.value == "BOOK")
    assert status.told == "bokförd"
    assert not [field for field in entry.fields if field.tag == "TxDtls"]


def test_a_finding_at_a_line_stands_at_the_innermost_element():
    data = TREES["camt.054.001.08"]
    lines = data.split(b"\n")
    inside = next(number for number, line in enumerate(lines, 1) if b"<Ustrd>" in line or b"<EndToEndId>" in line)
    view = viewed("camt.054.001.08", data, [finding(f"line {inside}, Ntry")], count=WHOLE)
    (at,) = [record for record in view.records if record.findings]
    assert at.code == "TxDtls"
    assert at.line <= inside


def test_lines_of_a_document_without_line_ends_say_nothing_and_are_told_for_the_whole():
    data = camt_file(random_camt_entries(1, 3))
    assert b"\n" not in data.strip().partition(b"?>")[2].strip()
    told = finding("line 1, Ntry/Amt")
    view = viewed("camt.054.001.08", data, [told])
    assert view.loose == [told]
    assert not [record for record in view.records if record.findings]


def test_a_document_cut_short_is_shown_as_far_as_it_goes():
    data = TREES["camt.054.001.08"]
    whole = viewed("camt.054.001.08", data, count=WHOLE)
    cut = viewed("camt.054.001.08", data[: len(data) // 2], count=WHOLE)
    assert 3 < len(cut.records) < len(whole.records)
    assert shown(cut)[3 : len(cut.records) - 3] == shown(whole)[3 : len(cut.records) - 3]


# --- any format ------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_pieces(monkeypatch):
    for module in (fixed_width, edifact, elements):
        monkeypatch.setattr(module, "CHUNK_BYTES", 500)


@pytest.mark.parametrize("name", EVERY)
def test_a_page_of_a_file_is_that_part_of_the_whole(name, small_pieces):
    whole = viewed(name, EVERY[name], count=WHOLE)
    assert [record.number for record in whole.records] == list(range(1, whole.total + 1))
    for first in (1, 2, 17, whole.total - 3, whole.total):
        page = viewed(name, EVERY[name], first=first, count=9)
        assert shown(page) == shown(whole)[first - 1 : first + 8], first
        assert page.total == whole.total
    assert viewed(name, EVERY[name], first=whole.total + 1).records == []


@pytest.mark.parametrize("name", EVERY)
def test_records_with_findings_are_shown_wherever_they_stand_and_the_rest_is_counted(name, small_pieces):
    whole = viewed(name, EVERY[name], count=WHOLE)
    last = whole.records[-1]
    place = f"segment {last.number}" if name == "cremul" else f"line {last.line}"
    view = viewed(name, EVERY[name], [finding(place), finding("record 20"), finding("line 999999")], count=3)
    *first, at = view.records
    assert [record.number for record in first] == [1, 2, 3]
    assert at.findings == [finding(place)]
    assert at.number > 3
    assert view.left_out == whole.total - 4
    assert sum(gap for gap, _ in view.gaps()) == at.number - 4
    assert view.loose == [finding("record 20"), finding("line 999999")]


@pytest.mark.parametrize("name", ["ocr_giro", "cremul", "camt.054.001.08"])
def test_a_large_file_needs_no_more_memory(name, monkeypatch):
    unit = EVERY[name]
    for module in (fixed_width, edifact, elements):
        monkeypatch.setattr(module, "CHUNK_BYTES", 8192)

    def peak(data):
        tracemalloc.start()
        view = viewed(name, data, count=5)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used, view.total

    small, count = peak(unit * 4)
    large, more = peak(unit * 60)
    assert more > 10 * count
    assert large < small + 100_000


def test_reading_may_end_early_and_says_so():
    view = viewed("ocr_giro", ocr_file([random_ocr_payments(1, 5000)]), count=5, limit=1)
    assert (len(view.records), view.total, view.left_out) == (5, None, 0)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(EVERY)), st.data())
def test_no_bytes_raise(name, data):
    good = EVERY[name][:3000]
    start = data.draw(st.integers(0, len(good)))
    stop = data.draw(st.integers(start, len(good)))
    middle = data.draw(
        st.one_of(st.binary(max_size=40), st.sampled_from([b"<!--", b"<![CDATA[", b"&#x110000;", b"'", b"\xff\xfe"]))
    )
    view = viewed(name, good[:start] + middle + good[stop:], [finding("line 3")], is_masked=True)
    assert view.total is not None
    for record in view.records:
        assert record.name or record.code
        assert all(field.value.isprintable() for field in record.fields), record


def test_what_is_no_payment_format_has_no_view():
    assert viewed("pdf", b"%PDF-1.4") is None
    with explain(io.BytesIO(b"%PDF-1.4"), records=FIRST) as explanation:
        assert explanation.view is None


# --- persons ---------------------------------------------------------------------------------------------------------

PERSON, COMPANY = "198507099805", "5566778899"  # a test number of the Swedish tax agency's series; an invented company


def test_a_sole_traders_number_is_masked_in_fields_and_line():
    payments = (
        BgPayment(100, "19", name="A", organisation_number=f"00{PERSON[2:]}"),
        BgPayment(100, "27", organisation_number=f"00{COMPANY}"),
    )
    data = bgmax_file([BgSection(payments)])
    open_view, masked_view = viewed("bgmax", data), viewed("bgmax", data, is_masked=True)
    assert PERSON[2:] in str(shown(open_view))
    assert PERSON[2:] not in str(shown(masked_view))
    assert COMPANY in str(shown(masked_view))
    (line,) = [record.raw for record in masked_view.records if "*" in record.raw]
    assert len(line) == 80


def test_a_persons_id_in_camt_is_masked():
    extra = "<RltdPties><Dbtr><Id><PrvtId><Othr><Id>198507099805</Id></Othr></PrvtId></Id></Dbtr></RltdPties>"
    data = camt_file([CamtEntry((CamtPayment(100, "19", extra=extra),))])
    assert PERSON in str(shown(viewed("camt.054", data)))
    assert PERSON not in str(shown(viewed("camt.054", data, is_masked=True)))


def test_an_unverified_format_is_shown_under_its_profile():
    with explain(io.BytesIO(FIXED["total_in"]), records=FIRST, profiles=[PROFILE]) as explanation:
        assert explanation.view.records[0].name == "Start of file"
