"""A profile is untrusted input: what is wrong is told with file, line and key, and nothing in it runs or reaches out."""

from __future__ import annotations

import io
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.domain.exchange import Direction, LinkKind, Totals
from gateway.errors import DecodeError, EncodeError, GatewayError
from gateway.profiles import ProfileError, ProfileFile, export, loads, verify
from gateway.profiles.drafting import KINDS, draft
from gateway.profiles.places import lines_of
from gateway.profiles.shipped import shipped
from gateway.testing.agency_kit import MemorySink
from tests.profiles.builders import SMALL, agreement, credit_note, read, seal, two_claims


def line_of(text):
    return SMALL[: SMALL.index(text)].count("\n") + 1


CLAIM_LINE, SUM_LINE = line_of('name = "number"'), line_of('name = "sum"')
WRONG = {
    "a gap": ('at = "3-9", name = "number"', 'at = "4-9", name = "number"', CLAIM_LINE, "columns[2].at", "gap"),
    "an overlap": (
        'at = "3-9", name = "number"',
        'at = "2-9", name = "number"',
        CLAIM_LINE,
        "columns[2].at",
        "overlaps",
    ),
    "positions that are none": ('"3-9", name = "number"', '"9-3", name = "number"', CLAIM_LINE, "columns[2].at", "end"),
    "an unknown type": ('type = "digits"', 'type = "float"', CLAIM_LINE, "columns[2].type", "must be one of"),
    "a misspelt key": (
        'type = "digits",',
        'type = "digits", paddding = "0",',
        CLAIM_LINE,
        "columns[2].paddding",
        "no key",
    ),
    "an unknown source": (
        '"claim.invoice_number"',
        '"claim.invoice_nr"',
        CLAIM_LINE,
        "columns[2].from",
        "invoice_number",
    ),
    "an expression": ('"claim.invoice_number"', '"claim.__class__"', CLAIM_LINE, "columns[2].from", "no source"),
    "a source of another type": ('"claim.invoice_number"', '"claim.due_date"', CLAIM_LINE, "columns[2].from", "date"),
    "a name that is code": ('name = "number"', 'name = "x=1;y"', CLAIM_LINE, "columns[2].name", "small letters"),
    "a total of nothing": ("claim.balance", "claim.amount", SUM_LINE, "end.sum.total", "no amount"),
    "a constant too wide": ('const = "99"', 'const = "999"', line_of('const = "99"'), "columns[1].const", "2 wide"),
    "a path": ('"claims.{sequence:03}"', '"../{sequence:03}"', line_of("filename"), "claims.filename", "no path"),
    "a hidden path": ('"claims.{sequence:03}"', '"a/b"', line_of("filename"), "claims.filename", "no path"),
    "an unknown charset": ('"ascii"', '"utf-7"', line_of("ascii"), "profile.encoding", "must be one of"),
    "no source": ('source = "Invented for a test"\n', "", line_of("[profile]"), "profile", "needs source"),
    "no TOML": ('title = "Small"', "title = Small", line_of('title = "Small"'), "", "no TOML"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_fault_is_told_with_file_line_and_key(case):
    before, after, line, key, reason = WRONG[case]
    assert SMALL.count(before) == 1
    with pytest.raises(ProfileError) as refused:
        loads(SMALL.replace(before, after).encode(), "agency.toml")
    fault = refused.value.faults[0]
    assert (fault.file, fault.line) == ("agency.toml", line)
    assert fault.key.endswith(key)
    assert reason in fault.reason
    assert str(refused.value).startswith(f"agency.toml, line {line}")


def test_all_faults_are_told_at_once():
    text = (
        SMALL.replace('type = "digits"', 'type = "float"')
        .replace('"ascii"', '"utf-7"')
        .replace("claim.open_minor", "x")
    )
    with pytest.raises(ProfileError) as refused:
        loads(text.encode())
    assert len({fault.line for fault in refused.value.faults}) == 3


@pytest.mark.parametrize(
    "content",
    [
        b"x" * (1 << 18) + b"x", b"\xff\xfe", b"a = " + b"[" * 5000, b"a = " + b"9" * 5000, b"", b"a=1\r\n\x00",
        b"[profile]\nname = 2026-11-23", SMALL.replace("20", "99999").encode(),
    ],
)  # fmt: skip
def test_no_text_can_do_worse_than_be_refused(content):
    with pytest.raises(ProfileError):
        loads(content)


def test_a_damaged_profile_is_refused_or_right_and_nothing_else():
    """A thousand texts with signs changed, lines lost or doubled: none may end in another error."""
    chance = random.Random(26)
    texts = [SMALL, shipped()["factonor"].read_text(encoding="utf-8")]
    refused = 0
    for _ in range(400):
        lines = chance.choice(texts).splitlines(keepends=True)
        for _ in range(chance.randint(1, 3)):
            number = chance.randrange(len(lines))
            line = lines[number]
            place = chance.randrange(len(line))
            change = [line * 2, "", line[:place] + chance.choice("\"[]{}=,.0-9\\'") + line[place + 1 :], line[:place]]
            lines[number] = chance.choice(change)
            if not lines[number]:
                lines[number] = "\n"
        try:
            made = loads("".join(lines).encode())
            for key in made.files:
                ProfileFile(made, key)
        except ProfileError:
            refused += 1
    assert refused > 200


ODD = """\
a.b = 1
"c d" = '''x
# no comment
'''
[[t]]
k = [ 1, # one
  { z = "]" },
]
[[t]]
[t.u]
v = 'x'
"""


def test_lines_are_found_whatever_the_toml_looks_like():
    places = lines_of(ODD)
    assert {path: places[path] for path in (("a", "b"), ("c d",), ("t", 0, "k", 1, "z"), ("t", 1, "u", "v"))} == {
        ("a", "b"): 1, ("c d",): 2, ("t", 0, "k", 1, "z"): 7, ("t", 1, "u", "v"): 11,
    }  # fmt: skip


def test_every_key_of_the_language_is_documented():
    """A key that nobody asks for is told with all that there are; each of them stands in docs/profiles.md."""
    guide = (Path(__file__).parents[2] / "docs" / "profiles.md").read_text(encoding="utf-8")
    texts = [
        SMALL,
        *(draft("ours", kind=kind) for kind in KINDS),
        shipped()["kravport-sls-1"].read_text(encoding="utf-8"),
    ]
    asked = set()
    for text in texts:
        odd = re.sub(r"^(\[(?:profile|file).*\])$", r"\1\nzzz = 1", text, flags=re.MULTILINE)
        odd = re.sub(r"(?<=\{ )(name|at) = ", r"zzz = 1, \1 = ", odd)
        with pytest.raises(ProfileError) as refused:
            loads(odd.encode())
        for fault in refused.value.faults:
            assert fault.key.endswith("zzz")
            asked |= set(fault.reason.rpartition("there are ")[2].partition(": ")[0].split(", "))
    assert len(asked) > 45
    assert [key for key in sorted(asked) if f"`{key}`" not in guide] == []


# --- what may not be written -----------------------------------------------------------------------------------------


def small():
    return ProfileFile(loads(SMALL.encode()), "claims")


CHARGE = credit_note("9", two_claims()[0].due_date, 1)._replace(kind=LinkKind.CHARGE, direction=Direction.DEBIT)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"invoice_number": "12345678"}, "claim.number"),
        ({"invoice_number": "007"}, "claim.number"),
        ({"invoice_number": ""}, "claim.number"),
        ({"open_minor": 10**11}, "claim.balance"),
        ({"open_minor": -1}, "claim.balance"),
        ({"items": (CHARGE,)}, "no place for charge"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_and_never_cut(change, told):
    wrong = two_claims()[0]._replace(**change)
    with pytest.raises(EncodeError, match=told) as refused:
        export(small(), [wrong], agreement(), seal("claims", 1), MemorySink())
    assert "claim c-500124" in str(refused.value)


def test_a_layout_of_balances_takes_items_in_the_balance_and_proves_it():
    """What was linked before the hand-over is in the balance; the finished file must come to what the items leave."""
    first, second = two_claims()
    note = credit_note("9", first.due_date, 10_00)
    claims, sink = [first._replace(items=(note,), open_minor=first.original_minor - 10_00), second], MemorySink()
    (envelope,) = export(small(), claims, agreement(), seal("claims", 1), sink)
    total = first.original_minor + second.original_minor
    assert envelope.totals == Totals(2, 1, total, 10_00)
    content = sink.files[envelope.filename]
    assert verify(small(), envelope, io.BytesIO(content)) == envelope.totals
    untrue = replace(envelope, totals=envelope.totals._replace(credit_minor=9_00))
    with pytest.raises(DecodeError, match=f"balances come to {total - 10_00} minor units, not {total - 9_00}"):
        verify(small(), untrue, io.BytesIO(content))


def test_later_items_have_no_balance_to_be_in():
    late = two_claims()[0]._replace(items=(credit_note("9", two_claims()[0].due_date, 1),))
    with pytest.raises(EncodeError, match="no place for credit_note"):
        export(small(), [late], agreement(), seal("claims", 1), MemorySink(), are_new=False)


def test_a_client_number_cannot_lead_out_of_the_folder():
    made = ProfileFile(loads(SMALL.replace("claims.{sequence:03}", "f.{client}").encode()), "claims")
    for client in ("../../etc/passwd", "a/b", "a\\b", "..", "x\n"):
        with pytest.raises(EncodeError, match="file name"):
            export(made, two_claims(), agreement(client), seal("claims", 1), MemorySink())


# --- what may not be read --------------------------------------------------------------------------------------------

GOOD = b"10000000100000000100\n10000000200000000250\n99000000200000000350\n"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            b"00350",
            b"00351",
            "line 3, end.sum: is a control total that does not agree: the file's own records give 350",
        ),
        (b"99000000200000000350\n", b"", "end: is missing"),
        (b"10000000200000000250\n", b"", "line 2, end.claims"),
        (b"00100\n", b"001\n", "line 1, claim.balance"),
        (b"00100\n", b"001x0\n", "line 1, claim.balance"),
        (b"99000000200000000350\n", b"99000000200000000350\n" * 2, "line 4, end: stands twice"),
        (b"1000000020", b"7700000020", "line 2: is no record of this file"),
        (b"1000000020", b"10\xf800000", "line 2: is not ascii"),
        (GOOD, b"", "holds no record"),
    ],
)
def test_a_file_that_is_not_what_the_profile_says_is_refused_with_its_place(before, after, told):
    assert [row.values for row in read(small(), GOOD)][:2] == [
        {"number": "1", "balance": 100}, {"number": "2", "balance": 250},
    ]  # fmt: skip
    with pytest.raises(GatewayError) as refused:
        read(small(), GOOD.replace(before, after))
    assert told in str(refused.value)
