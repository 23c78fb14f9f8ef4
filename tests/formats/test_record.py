"""A record must be exactly what the paper says, both ways, or say which field is not."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import DecodeError, EncodeError
from gateway.formats.record import (
    Layout,
    const,
    day,
    decode,
    describe,
    digits,
    encode,
    filler,
    number,
    one_of,
    record,
    text,
)
from gateway.formats.record_line import Liner
from gateway.formats.record_pattern import pattern


@record(length=40)
class Line:
    kind: str = const(1, "AB")
    account: str = digits(3, 5)
    amount: int = number(8, 8)
    name: str = text(16, 6)
    reference: str = text(22, 6, align="right")
    when: date | None = day(28, empty="000000")
    sign: str = one_of(34, 1, "0", "-")
    rest: str = filler(35, 6)


GOOD = Line(account="00123", amount=4500, name="Åse", reference="77", when=date(2026, 11, 5), sign="-")


def test_a_record_lies_where_the_declaration_says():
    assert encode(GOOD) == "AB0012300004500Åse       77051126-000000"


def test_reading_gives_back_what_was_written_and_keeps_fillers():
    line = "AB0012300004500Åse       77000000-  x  9"
    assert encode(decode(Line, line)) == line
    assert decode(Line, line).when is None


fields = st.fixed_dictionaries(
    {
        "account": st.from_regex(r"[0-9]{5}", fullmatch=True),
        "amount": st.integers(0, 10**8 - 1),
        "name": st.from_regex(r"([A-Za-zæøåÆØÅ0-9.-]([A-Za-zæøå .-]{0,4}[a-zæøå])?)?", fullmatch=True),
        "reference": st.from_regex(r"[0-9]{0,5}[0-9-]", fullmatch=True),
        "when": st.none() | st.dates(date(1970, 1, 1), date(2068, 12, 31)),
        "sign": st.sampled_from("0-"),
    }
)


@given(fields)
def test_every_value_that_fits_survives_the_round_trip(values):
    line = encode(Line(**values))
    assert len(line) == 40
    assert decode(Line, line) == Line(**values)


FEW = Liner(GOOD, "amount", "name", end="\r\n")


@given(fields)
def test_a_line_of_which_few_fields_vary_is_that_of_the_record(values):
    few = values["amount"], values["name"]
    assert FEW.line(*few) == encode(replace(GOOD, amount=few[0], name=few[1])) + "\r\n"


@pytest.mark.parametrize(
    ("few", "told"), [((10**8, "Åse"), "Line.amount: .*100000000"), ((1, "Åse\n"), "Line.name: .*n'")]
)
def test_a_value_that_does_not_fit_is_named_though_no_record_was_made(few, told):
    with pytest.raises(EncodeError, match=told):
        FEW.line(*few)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account", "0012"), ("account", "0012x"), ("account", 123), ("account", "٠١٢٣٤"), ("amount", -1),
        ("amount", 10**8), ("amount", True), ("amount", "5"), ("name", "toolong"), ("name", "a\tb"), ("name", None),
        ("when", "051126"), ("sign", "+"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_never_cut_or_guessed(field, value):
    values = {"account": "00123", "amount": 1, "name": "", "reference": "", "when": None, "sign": "0", field: value}
    with pytest.raises(EncodeError, match=f"Line.{field}"):
        encode(Line(**values))


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("AX0012300004500Åse       77051126-000000", "kind"),
        ("AB0x12300004500Åse       77051126-000000", "account"),
        ("AB00123 0004500Åse       77051126-000000", "amount"),
        ("AB0012300004500Åse       77310226-000000", "when"),
        ("AB0012300004500Åse       77051126 000000", "sign"),
        ("AB0012300004500Åse       77051126-00000", ""),
    ],
)
def test_a_line_that_does_not_match_names_its_field(line, field):
    with pytest.raises(DecodeError) as caught:
        decode(Line, line)
    assert (caught.value.path, caught.value.field) == ("Line", field)


@pytest.mark.parametrize(("start", "width"), [(4, 8), (2, 9), (3, 7), (3, 9)])
def test_a_gap_an_overlap_or_a_wrong_total_stops_the_import(start, width):
    with pytest.raises(TypeError):

        @record(length=10)
        class Wrong:
            kind: str = const(1, "AB")
            rest: str = text(start, width)


def test_the_documentation_table_is_derived():
    assert describe(Line)[:3] == ((1, 2, "kind", "'AB'"), (3, 7, "account", "digits"), (8, 15, "amount", "number"))


def test_the_pattern_finds_the_same_fields():
    import re

    found = re.fullmatch(pattern(Line, "amount", "reference"), encode(GOOD))
    assert found
    assert (found["amount"], found["reference"]) == ("00004500", "    77")
    with pytest.raises(TypeError, match="nosuch"):
        pattern(Line, "nosuch")


@record(length=40)
class Other:
    kind: str = const(1, "CD")
    rest: str = text(3, 38)


def test_a_layout_tells_records_apart_and_names_the_line():
    layout = Layout(Line, Other, encoding="iso-8859-1", newline="\r\n")
    data = b"".join(layout.write([GOOD, Other(rest="blåbær")]))
    assert data.count(b"\r\n") == 2
    assert list(layout.read(io.BytesIO(data))) == [(1, GOOD), (2, Other(rest="blåbær"))]
    with pytest.raises(DecodeError, match="line 2"):
        list(layout.read(io.BytesIO(data.replace(b"CD", b"XX"))))


def test_a_layout_replaces_no_character():
    with pytest.raises(EncodeError, match="iso-8859-1"):
        list(Layout(Other, encoding="iso-8859-1").write([Other(rest="5 €")]))


def test_two_records_that_cannot_be_told_apart_are_refused():
    @record(length=40)
    class Twin:
        kind: str = const(1, "CD")
        rest: str = text(3, 38)

    with pytest.raises(TypeError, match="told apart"):
        Layout(Other, Twin, encoding="ascii")
