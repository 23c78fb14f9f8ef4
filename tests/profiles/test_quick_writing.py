"""The shortcuts of columns and of fields between separators accept nothing that the long way refuses, and say the same."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, time
from functools import cache

from gateway.domain.exchange import CustomerKind
from gateway.errors import EncodeError
from gateway.formats.record import made, rows
from gateway.formats.record_line import parted
from gateway.profiles import load, loads
from gateway.profiles.columns import between
from gateway.profiles.declaration import FIXED, OUT
from gateway.profiles.kinds import MISFIT, decoder, encoder
from gateway.profiles.lines import DelimitedLines, FixedLines, column_of
from gateway.profiles.shipped import shipped


class Odd(str):
    """Text of a class of its own, which no column takes for text."""

    __slots__ = ()


@cache
def outgoing():
    """Return (profile, file) of every shipped file of fixed columns that goes out."""
    profiles = {name: load(path) for name, path in shipped().items()}
    found = [(name, layout) for name, one in profiles.items() for layout in one.files.values()]
    return [(name, layout) for name, layout in found if layout.kind == FIXED and layout.direction == OUT]


def values_for(rule):
    """Return the codes of *rule*, and values of every kind at the edges of its width: most of them fit no type."""
    width = rule.longest
    digits, letters = ("1234567890" * width)[:width], ("Ærø-ÅS " * width)[:width].strip()
    texts = [
        "", " ", "0", "00", "007", "1", "-5", "+5", " 7", "7 ", "1122334-4", "12 34", "²³", "١٢", "½", digits, digits + "1",
        "0" * width, "0" * (width - 1) + "7", "0" + digits[1:], "0" + digits, digits[:-1], letters, letters + "x" * width,
        "straße", "ß" * width, "a\x1fb", "a\nb", "\r", "\x7f", "\x85", "\xa0", "\xad", "\u2028", "\ud800", "žlutý", "NOK",
        "fi", "a@b.example",
    ]  # fmt: skip
    numbers = [0, 1, 7, 99, 100, 12345, -1, 10 ** (width - 1), 10**width - 1, 10**width, -(10**width)]
    days = [
        date(2026, 11, 23),
        date(1968, 1, 1),
        date(2069, 1, 1),
        date(1, 1, 1),
        datetime(2026, 2, 28, 9, 5, tzinfo=UTC),
    ]
    odd = [None, True, False, 1.5, b"1", b"1" * width, Odd("1"), Odd(digits), time(17, 30), *CustomerKind]
    return [*rule.codes, *texts, *numbers, *days, *odd]


def test_every_shipped_file_of_columns_is_asked():
    names = {name for name, _ in outgoing()}
    assert names == {
        "factonor", "fall-aktia", "fall-danske", "fall-nordea", "fall-op", "nk003-advanced", "nk003-standard", "svea-fi"
    }  # fmt: skip


@cache
def alone():
    """Return (name for errors, column, values, what writes one of them) of every field of every record."""
    found = {}
    for name, layout in outgoing():
        for part in layout.parts.values():
            for one in part.values:
                column = column_of(one, start=1)
                write = rows(made(part.key, {one.name: column}, column.width), [one.name]).line
                found[name, part.key, one.name] = (column, values_for(one.rule), write)
    return found


def test_a_column_with_a_shortcut_writes_what_its_function_writes_and_refuses_what_it_refuses():
    fitted = refused = 0
    for whose, (column, values, write) in alone().items():
        if "put" in column.names:
            for value in values:
                expected = column.names["put"](value)
                assert write(value) == expected, f"{whose}: {value!r}"
                assert expected is None or len(expected) == column.width
                fitted, refused = fitted + (expected is not None), refused + (expected is None)
    assert min(fitted, refused) > 1000


def test_a_line_made_of_values_is_the_line_of_the_record_or_none():
    """Some values vary, the others are the same in the whole file; every second line has one that may not fit."""
    chance, lines = random.Random(5), [0, 0]
    for name, layout in outgoing():
        codec = FixedLines(layout)
        for part in layout.parts.values():
            asked = [alone()[name, part.key, one.name] for one in part.values]
            fitting = [[value for value in values if write(value) is not None] for _, values, write in asked]
            fixed = {place: chance.choice(some) for place, some in enumerate(fitting) if chance.random() < 0.3}
            places = [place for place in range(len(asked)) if place not in fixed]
            write_line = codec.liner(part, places, fixed)
            for number in range(20):
                varying = {place: chance.choice(fitting[place]) for place in places}
                if places and number % 2:
                    place = chance.choice(places)
                    varying[place] = chance.choice(asked[place][1])
                line = write_line(*varying.values())
                assert line == slowly(codec, layout, part, fixed | varying)
                lines[line is None] += 1
    assert min(lines) > 100


def slowly(codec, layout, part, values):
    """Return the line that the record makes of *values* by place, None where it refuses one."""
    try:
        return codec.line(part, [values[place] for place in range(len(values))]) + layout.newline
    except EncodeError:
        return None


QUOTED = """\
[profile]
name = "quoted"
title = "Quoted"
source = "Invented for a test"
[file.claims]
direction = "out"
kind = "delimited"
separator = ";"
quote = '"'
filename = "claims.csv"
[file.claims.record.claim]
each = "claim"
fields = [
  { name = "code", const = "10" },
  { name = "number", type = "digits", longest = 9, empty = "000", optional = true },
  { name = "day", type = "date", form = "YYYY-MM-DD" },
  { name = "balance", type = "amount", form = "0,00", longest = 12 },
  { name = "name", longest = 30, optional = true, upper = true },
  { name = "short", type = "text", longest = 12, without = "- " },
]
"""


def between_separators():
    """Return codec, layout and record of the shipped file with separators, and of one that has quotes and constants."""
    layouts = [loads(QUOTED.encode()).files["claims"], load(shipped()["factonor"]).files["customers"]]
    return [(DelimitedLines(layout), layout, part) for layout in layouts for part in layout.parts.values()]


def test_a_line_with_separators_is_the_one_written_field_by_field_or_is_left_to_it():
    chance, quick, left = random.Random(7), 0, 0
    for codec, layout, part in between_separators():
        tried = [
            [value for value in values_for(one.rule) if isinstance(value, str | int | date)] for one in part.values
        ]
        tried = [values + [";", 'a"b', "plain"] * 2 for values in tried]
        fitting = [
            [value for value in values if fits(one, value)] for one, values in zip(part.values, tried, strict=True)
        ]
        for number in range(400):
            values = [chance.choice(some) for some in fitting]
            if number % 2:
                place = chance.randrange(len(values))
                values[place] = chance.choice(tried[place])
            fixed = {0: values[0]} if fits(part.values[0], values[0]) and number % 5 == 0 else {}
            places = [place for place in reversed(range(len(values))) if place not in fixed]
            line = codec.liner(part, places, fixed)(*[values[place] for place in places])
            assert line is None or line == slowly(codec, layout, part, dict(enumerate(values))), values
            quick, left = quick + (line is not None), left + (line is None)
    assert min(quick, left) > 50


def fits(one, value):
    """Return whether the field alone can be written with *value*."""
    return isinstance(encoder(one.rule)(value), str)


def test_the_fields_of_a_line_are_read_as_each_alone():
    right = wrong = 0
    for _, _, part in between_separators():
        for one in part.values:
            back, alone_read = parted([between(one.rule)]), decoder(one.rule)
            for text in filter(lambda value: isinstance(value, str), values_for(one.rule)):
                expected = alone_read(text)
                assert back(text) == (expected,), f"{one.name}: {text!r}"
                right, wrong = right + (expected is not MISFIT), wrong + (expected is MISFIT)
    assert min(right, wrong) > 50
