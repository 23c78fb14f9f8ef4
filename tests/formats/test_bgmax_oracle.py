"""BgMax against a second reader, which shares nothing with the first but the bank's column tables (payments.md 3).

There is no maintained reader by others (payments.md 9): this one is written plainly from the tables, without speed, pieces
or memory in mind, so that a mistake of the real one has nowhere to hide.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.exchange import Direction
from gateway.testing.bgmax_files import BgPayment, BgSection, bgmax_file, random_bg_sections
from tests.conftest import SHARED
from tests.formats.reading import read

SAMPLES = SHARED / "samples" / "payments" / "bgmax"
CORPUS = Path(__file__).parents[1] / "corpus" / "payments"

AMOUNT = {"payer": (3, 12), "reference": (13, 37), "amount": (38, 55), "code": (56, 56), "serial": (58, 69)}
TABLES = {
    "05": {"bankgiro": (3, 12), "plusgiro": (13, 22), "currency": (23, 25)},
    "20": AMOUNT,
    "21": {**AMOUNT, "deduction": (71, 71)},
    "22": AMOUNT,
    "23": AMOUNT,
    "25": {"text": (3, 52)},
    "26": {"name": (3, 37), "extra": (38, 72)},
    "27": {"street": (3, 37), "postcode": (38, 46)},
    "28": {"city": (3, 37), "country": (38, 72), "code": (73, 74)},
    "29": {"number": (3, 14)},
    "15": {"day": (38, 45), "serial": (46, 50), "amount": (51, 68), "currency": (69, 71), "count": (72, 79), "sign": (80, 80)},
    "70": {"20": (3, 10), "21": (11, 18), "22": (19, 26), "15": (27, 34)},
}  # fmt: skip


def records(data: bytes) -> list[dict[str, str]]:
    """Return every line as its record type and its columns, without the blanks around them."""
    try:
        text = data.decode()  # somebody on the way encoded it anew
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    found = []
    for raw in text.replace("\r\n", "\n").split("\n"):
        line = raw.ljust(80)
        table = TABLES.get(line[:2], {})
        found.append({"type": line[:2]} | {name: line[a - 1 : b].strip(" ") for name, (a, b) in table.items()})
    return found


def told(data: bytes) -> tuple[bool, list[dict[str, object]]]:
    """Return whether the control totals agree, and the payments."""
    lines, payments, agrees = records(data), [], True
    section: dict[str, str] = {}
    open_: list[dict[str, object]] = []
    for line in lines:
        kind = line["type"]
        if kind == "05":
            section, open_ = line, []
        elif kind in {"20", "21"}:
            open_.append({"line": line, "more": []})
        elif kind in {"22", "23", "25", "26", "27", "28", "29"} and open_:
            open_[-1]["more"].append(line)
        elif kind == "15":
            amounts = [(-1 if p["line"]["type"] == "21" else 1) * int(p["line"]["amount"]) for p in open_]
            stated = int(line["amount"]) * (-1 if line["sign"] == "D" else 1)
            agrees &= stated == sum(amounts) and int(line["count"]) == len(open_)
            agrees &= line["currency"] == section["currency"]
            payments += [payment(p["line"], p["more"], section, line) for p in open_]
        elif kind == "70":
            counted = [other["type"].replace("23", "22") for other in lines]
            agrees &= all(int(line[name]) == counted.count(name) for name in TABLES["70"])
    return agrees, payments


def payment(line, more, section, deposit) -> dict[str, object]:
    """Return what the tables say of one payment."""
    one = {record["type"]: record for record in more}
    town = f"{one.get('27', {}).get('postcode', '')} {one.get('28', {}).get('city', '')}".strip()
    country = one.get("28", {}).get("country") or one.get("28", {}).get("code", "")
    address = [one.get("27", {}).get("street", ""), town, country]
    numbers = [line["reference"], *(record["reference"] for record in more if record["type"] in {"22", "23"})]
    number = one.get("29", {}).get("number", "")
    day = deposit["day"]
    return {
        "amount_minor": int(line["amount"]),
        "direction": Direction.DEBIT if line["type"] == "21" else Direction.CREDIT,
        "currency": section["currency"],
        "account": (section["bankgiro"].strip("0") and section["bankgiro"].lstrip("0"))
        or section["plusgiro"].lstrip("0"),
        "numbers": [number for number in numbers if number],
        "text": " ".join(record["text"] for record in more if record["type"] == "25" and record["text"]),
        "payer_name": f"{one.get('26', {}).get('name', '')} {one.get('26', {}).get('extra', '')}".strip(),
        "payer_address": "\n".join(part for part in address if part),
        "payer_account": line["payer"].lstrip("0"),
        "payer_id": number[2:] if number[:2] == "00" else number,
        "value_date": date(int(day[:4]), int(day[4:6]), int(day[6:])),
        "bank_reference": line["serial"] if line["serial"].strip("0") else "",
        "deduction": {"0": "full", "1": "partial", "2": "final"}.get(line.get("deduction", ""), ""),
    }


def read_by_us(data: bytes) -> tuple[str, list[dict[str, object]]]:
    got = read(data)
    found = []
    for p in got.payments:
        numbers = [reference.value for reference in p.all_references if reference.kind != "text"]
        names = [name for name in payment_names if name != "numbers"]
        found.append({name: getattr(p, name) for name in names} | {"numbers": numbers})
    return got.verdict, found


payment_names = tuple(told(bgmax_file(random_bg_sections(1, 1)))[1][0])


@settings(deadline=None)
@given(st.integers(0, 10**9), st.sampled_from(["\n", "\r\n"]))
def test_both_readers_find_the_same(seed, newline):
    data = bgmax_file(random_bg_sections(seed, 25), newline=newline)
    agrees, payments = told(data)
    assert agrees
    assert read_by_us(data) == ("accepted", payments)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9), st.floats(0, 1, exclude_max=True), st.sampled_from(b"0123456789"))
def test_both_readers_agree_on_one_other_digit(seed, place, digit):
    """In an amount, a count, a reference or a serial: stopped by both, or read alike by both."""
    data = bytearray(bgmax_file(random_bg_sections(seed, 6), newline="\n"))
    columns = {kind: range(2, 55) for kind in (b"20", b"21")} | {
        b"15": range(50, 79),
        b"70": range(2, 34),
        b"05": range(2, 12),
    }
    digits = [
        start + offset
        for start in range(0, len(data), 81)
        for offset in columns.get(bytes(data[start : start + 2]), ())
        if 0x30 <= data[start + offset] <= 0x39
    ]
    data[digits[int(place * len(digits))]] = digit
    agrees, payments = told(bytes(data))
    verdict, found = read_by_us(bytes(data))
    assert (verdict == "accepted") == agrees
    assert not agrees or found == payments


def test_a_name_that_begins_late_is_cut_where_the_columns_are():
    """Alone or beside a payment without a name: one payment's text never depends on another's."""
    named = BgPayment(100, "1234567897", name="x" * 35)
    late = (" " * 10 + "Mycket Lang Firma i Exempelby AB").ljust(70)
    for payments in ([named], [named, BgPayment(200, "1234567897")]):
        data = bgmax_file([BgSection(tuple(payments))], newline="\n").replace(b"x" * 35 + b" " * 35, late.encode())
        assert read_by_us(data) == ("accepted", told(data)[1])
        assert read(data).payments[0].payer_name == "Mycket Lang Firma i Exemp elby AB"


@pytest.mark.parametrize(
    "path", [*sorted(CORPUS.glob("bgmax*")), *sorted(SAMPLES.glob("*.txt"))], ids=lambda path: path.name
)
def test_files_of_others_are_read_alike(path):
    data = path.read_bytes()
    agrees, payments = told(data)
    verdict, found = read_by_us(data)
    assert (verdict, agrees) == ("accepted", True)
    if b"\t" not in data:  # columns behind a tab are not where the tables say
        assert found == payments
