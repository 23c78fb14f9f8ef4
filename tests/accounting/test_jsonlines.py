"""JSON Lines: strict, signed rightly, quick, and the same verdict as the published schema."""

from __future__ import annotations

import io
import json
from datetime import date

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.accounting.jsonlines import MAX_LINE_BYTES, REJECTED_MAX, LinesRejected, read_records
from gateway.accounting.records import RecordRejected, decode_record, loads_strict, schema
from gateway.domain.exchange import CustomerKind
from gateway.domain.ledger import CustomerRecord, EntryKind, LinkRecord, OrderStatus

ENTRY = {"external_id": "e-1", "customer": "c-1", "amount": "1250.00", "currency": "NOK", "booked": "2026-11-02"}
EXTRA = {
    "invoice": {"number": "1001"},
    "charge": {"charge_kind": "reminder-fee"},
    "reversal": {"reverses": "p-1"},
}


def entry(record_type: str, **changes):
    return {"type": record_type, **ENTRY, **EXTRA.get(record_type, {}), **changes}


def lines(*records) -> io.BytesIO:
    return io.BytesIO("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode())


def faults(value) -> dict[str, str]:
    with pytest.raises(RecordRejected) as caught:
        decode_record(value)
    return {fault.field: fault.reason for fault in caught.value.faults}


class TestSigns:
    @pytest.mark.parametrize(
        ("record_type", "kind", "minor"),
        [("invoice", EntryKind.INVOICE, 125000), ("credit_note", EntryKind.CREDIT_NOTE, -125000),
         ("payment", EntryKind.PAYMENT, -125000), ("payment_out", EntryKind.PAYMENT_OUT, 125000),
         ("voucher_line", EntryKind.OTHER, 125000), ("write_off", EntryKind.WRITE_OFF, -125000),
         ("charge", EntryKind.CHARGE, 125000), ("reversal", EntryKind.REVERSAL, 125000)],
    )  # fmt: skip
    def test_people_write_positive_and_the_ledger_is_debit_positive(self, record_type, kind, minor):
        record = decode_record(entry(record_type))

        assert (record.kind, record.amount_minor) == (kind, minor)

    @pytest.mark.parametrize("record_type", ["voucher_line", "reversal", "invoice"])
    def test_signed_types_take_a_minus(self, record_type):
        assert decode_record(entry(record_type, amount="-12.50")).amount_minor == -1250

    @pytest.mark.parametrize("record_type", ["credit_note", "payment", "payment_out", "write_off", "charge"])
    def test_a_minus_is_refused_where_the_type_says_the_direction(self, record_type):
        assert "amount" in faults(entry(record_type, amount="-12.50"))
        minor = entry(record_type, amount_minor=-1250)
        del minor["amount"]
        assert "amount_minor" in faults(minor)


class TestAmounts:
    def test_minor_units_are_the_other_way_to_say_it(self):
        value = entry("invoice", amount_minor=125000)
        del value["amount"]

        assert decode_record(value) == decode_record(entry("invoice"))

    @pytest.mark.parametrize("changes", [{"amount_minor": 125000}, {"amount": None}])
    def test_both_or_nothing_is_refused(self, changes):
        assert "amount" in faults(entry("invoice", **changes))

    @pytest.mark.parametrize("text", ["12.505", "1 250.00", "1250,00", "1e3", "+5", "", ".5", "5.", "٣", "12\n"])
    def test_other_spellings_are_refused(self, text):
        assert "amount" in faults(entry("invoice", amount=text))

    @pytest.mark.parametrize("number", ["1250.00", "1250.0", "1.25e3", "NaN", "-Infinity"])
    @pytest.mark.parametrize("field", ["amount", "amount_minor"])
    def test_a_json_number_with_decimals_is_never_money(self, field, number):
        line = json.dumps(entry("invoice")).replace('"amount": "1250.00"', f'"{field}": {number}')

        with pytest.raises(RecordRejected) as caught:
            decode_record(loads_strict(line))
        assert caught.value.faults[0].field == field

    @pytest.mark.parametrize("value", [True, 10**15 + 1, "125000", [125000]])
    def test_minor_units_are_whole_numbers_within_reason(self, value):
        changed = entry("invoice", amount_minor=value)
        del changed["amount"]

        assert "amount_minor" in faults(changed)

    def test_yen_has_no_decimals(self):
        assert decode_record(entry("invoice", amount="1250", currency="JPY")).amount_minor == 1250
        assert "amount" in faults(entry("invoice", amount="1250.50", currency="JPY"))


class TestStrictness:
    def test_an_unknown_field_is_named(self):
        assert faults(entry("invoice", colour="red")) == {"colour": "is not a field of this record"}

    def test_every_fault_of_a_record_is_listed(self):
        wrong = {"type": "invoice", "external_id": "1", "currency": "kr", "booked": "2026-02-30", "amount": "x"}

        assert set(faults(wrong)) == {"currency", "booked", "amount", "customer", "number"}

    @pytest.mark.parametrize(
        "day", ["20261102", "2026-W45-1", "02.11.2026", "2026-11-02T00:00", "2026-13-01", 20261102]
    )
    def test_a_day_has_one_spelling(self, day):
        assert "booked" in faults(entry("payment", booked=day))

    @pytest.mark.parametrize("text", ["a\x00b", "a\nb", "a\u2028b", "\ud800", "tail\n"])
    def test_control_characters_and_half_characters_are_refused(self, text):
        assert "customer" in faults(entry("payment", customer=text))

    def test_text_is_kept_as_it_is_but_for_its_spelling_in_unicode(self):
        record = decode_record({"type": "customer", "external_id": "0007", "name": "A\u030angstro\u0308m  Ab "})

        assert (record.external_id, record.name) == ("0007", "Ångström  Ab ")

    def test_the_address_may_say_type_and_id(self):
        value = {key: item for key, item in entry("payment").items() if key not in {"type", "external_id"}}

        assert decode_record(dict(value), "payment", "p-9").external_id == "p-9"
        with pytest.raises(RecordRejected):
            decode_record({**value, "external_id": "p-8"}, "payment", "p-9")

    @pytest.mark.parametrize("value", [None, [], "x", 7, {}, {"type": "order"}, {"type": ["invoice"]}, {"type": 1}])
    def test_anything_else_is_refused(self, value):
        with pytest.raises(RecordRejected):
            decode_record(value)

    @pytest.mark.parametrize(
        "text", ['{"a": 1, "a": 2}', "{", b"\xff", "[" * 100_000, '{"a": ' + "9" * 5000 + "}", "nul"]
    )
    def test_json_that_leaves_something_open_is_refused(self, text):
        with pytest.raises(RecordRejected):
            loads_strict(text)

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ('{"a": {"b": ["x", "\\u0000"]}}', "a.b.1"),
            ('{"a": "\\ud83d"}', "a"),
            ('{"a": {"\\udE00": 1}}', "a.\N{REPLACEMENT CHARACTER}"),
            ('"\\uDBFF"', ""),
        ],
    )
    def test_a_text_that_no_database_takes_is_refused_wherever_it_stands(self, text, place):
        with pytest.raises(RecordRejected) as caught:
            loads_strict(text)
        assert caught.value.faults[0].field == place

    def test_a_whole_character_in_halves_and_a_backslash_are_taken(self):
        assert loads_strict('["\\ud83d\\ude00", "\\\\u0000"]') == ["\N{GRINNING FACE}", "\\u0000"]

    def test_a_national_id_never_stands_in_an_error(self):
        wrong = {"type": "customer", "external_id": "1", "name": "A", "national_id": "01017012345\n"}

        with pytest.raises(RecordRejected) as caught:
            decode_record(wrong)
        assert "01017012345" not in str(caught.value)


def test_a_customer_a_link_and_an_order():
    assert decode_record({"type": "customer", "external_id": "c", "name": "A"}) == CustomerRecord("c", name="A")
    assert (
        decode_record({"type": "customer", "external_id": "c", "name": "A", "kind": "public"}).kind
        is CustomerKind.PUBLIC
    )
    assert decode_record({"type": "link", "external_id": "l", "entries": []}) == LinkRecord("l", ())
    assert "entries" in faults({"type": "link", "external_id": "l", "entries": ["a", "a"]})
    order = decode_record(entry("invoice", order_status="order", due="2026-11-30"))
    assert (order.order_status, order.due) == (OrderStatus.ORDER, date(2026, 11, 30))


class TestStream:
    def test_places_are_lines_and_blank_lines_count(self):
        stream = io.BytesIO(
            b"\xef\xbb\xbf" + json.dumps(entry("payment")).encode() + b"\r\n\n" + json.dumps(entry("charge")).encode()
        )

        assert [place for place, _ in read_records(stream)] == ["line 1", "line 3"]

    def test_good_lines_come_first_and_all_faults_at_the_end(self):
        stream, seen = lines(entry("payment"), {"type": "payment"}, entry("charge"), entry("payment", x=1)), []

        with pytest.raises(LinesRejected) as caught:
            seen.extend(place for place, _ in read_records(stream))
        assert seen == ["line 1", "line 3"]
        assert {fault.place for fault in caught.value.rejected} == {"line 2", "line 4"}
        assert ("line 4", "x", "is not a field of this record", "1") in caught.value.rejected

    def test_a_hopeless_file_stops_early(self):
        with pytest.raises(LinesRejected) as caught:
            list(read_records(lines(*[{"type": "x"}] * 5000)))
        assert len(caught.value.rejected) == REJECTED_MAX

    def test_a_line_without_end_is_not_gathered(self):
        with pytest.raises(LinesRejected) as caught:
            list(read_records(io.BytesIO(b'{"a":"' + b"x" * (3 * MAX_LINE_BYTES))))
        assert "longer" in caught.value.rejected[0].reason


VALIDATOR = jsonschema.Draft202012Validator(schema())
_VALUES = st.one_of(
    st.sampled_from(
        ["", "1250.00", "-5", "NOK", "nok", "2026-11-02", "x" * 600, "interest", "invoiced", "company", "a\tb", "NO"]
    ),
    st.integers(-3, 3), st.booleans(), st.none(), st.lists(st.sampled_from(["a", "b", ""]), max_size=3),
)  # fmt: skip


@st.composite
def mutated_records(draw):
    shape = draw(st.sampled_from([shape for shape in schema()["$defs"].values() if "properties" in shape]))
    record_type = shape["properties"]["type"]["const"]
    good = {
        "customer": {"type": "customer", "external_id": "c", "name": "A"},
        "link": {"type": "link", "external_id": "l", "entries": ["a"]},
    }.get(record_type) or entry(record_type)
    for name in draw(st.lists(st.sampled_from([*shape["properties"], "colour"]), max_size=3)):
        if draw(st.booleans()):
            good[name] = draw(_VALUES)
        else:
            good.pop(name, None)
    return good


@settings(max_examples=1000, deadline=None)
@given(mutated_records())
def test_the_reader_and_the_schema_agree(record):
    """One home for the shape: what the published schema allows is taken, what it forbids is refused."""
    # Beyond the schema: days of the calendar and decimals of a currency.
    beyond = {"is not a day of the calendar", "has more decimals than NOK has"}
    reasons = _reasons(dict(record))

    assert VALIDATOR.is_valid(record) == (reasons <= beyond), reasons


def _reasons(record) -> set[str]:
    try:
        decode_record(record)
    except RecordRejected as error:
        return {fault.reason for fault in error.faults}
    return set()


def test_the_schema_is_a_schema_and_uses_only_keywords_the_reader_knows():
    jsonschema.Draft202012Validator.check_schema(schema())
    known = {"$ref", "type", "const", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "items",
             "maxItems", "uniqueItems", "format", "description"}  # fmt: skip
    for name, shape in schema()["$defs"].items():
        rules = list(shape.get("properties", {}).values()) if "properties" in shape else [shape]
        for rule in rules:
            assert set(rule) <= known, name
