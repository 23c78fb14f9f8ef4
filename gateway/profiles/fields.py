"""Reads one field of a profile: what it demands, where it stands, where its value comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.profiles.declaration import FIXED, IN, XML, Field, Term
from gateway.profiles.kinds import AMOUNTS, DATES, NAMED_SHAPES, TIMES, TYPES, Rule, character_class
from gateway.profiles.source import Table
from gateway.profiles.sources import fault_of

MAX_COLUMN = 2000
_SNAKE, _SNAKE_TOLD = "[a-z][a-z0-9_]{0,39}", "must be small letters, digits and '_', beginning with a letter"
_XML_NAME, _XML_TOLD = "[A-Za-z_][A-Za-z0-9_.-]{0,79}", "must be a name that XML allows, without a prefix"
_FORMS = {"date": DATES, "time": TIMES, "amount": AMOUNTS}
_TERM = re.compile(
    r"([A-Za-z][A-Za-z0-9_]*)(?:\[([A-Za-z_][\w.-]*)=([^\]]{1,40})\])?(?:\.([A-Za-z_][\w.-]*))?", re.ASCII
)
_LENGTHS = {"date": 10, "time": 8, "moment": 25, "number": 18, "amount": 24}
"""Most characters of types that need no statement of length."""


def declared_field(table: Table, kind: str, each: str, direction: str, *, is_text: bool = False) -> Field:
    """Return the field that *table* declares; its faults are noted.

    Args:
        table: the field.
        kind: of the file: fixed, delimited or xml.
        each: how often its record is written.
        direction: of the file.
        is_text: whether it is the text of an element, which has no name of its own.
    """
    shape, told = (_XML_NAME, _XML_TOLD) if kind == XML else (_SNAKE, _SNAKE_TOLD)
    name = table.text("name", "text" if is_text else None, shape=shape, told=told)
    start, width = _place(table) if kind == FIXED else (0, 0)
    const = table.text("const", "", longest=MAX_COLUMN) if table.has("const") else None
    rule = _constant(table, const, width) if const is not None else _rule(table, kind, width)
    is_zeros = rule.type in {"number", "amount"} or (rule.type == "digits" and rule.shortest < rule.longest)
    made = Field(
        name=name,
        rule=rule,
        start=start,
        align=table.choice("align", ("left", "right"), "right" if is_zeros else "left") if kind == FIXED else "left",
        fill=_fill(table, is_zeros=is_zeros) if kind == FIXED else "",
        const=const,
        source=table.text("from", ""),
        to=table.text("to", ""),
        terms=tuple(_terms(table)),
        told=table.text("told", ""),
        ask=table.text("ask", ""),
        line=table.line,
    )
    _check_source(table, made, each, direction)
    table.close()
    return made


def _place(table: Table) -> tuple[int, int]:
    """Return first position and width of ``at``: positions as the specification prints them, ``23-28`` or ``5``."""
    told = "must be positions such as 23-28, or one such as 5"
    first, _, last = table.text("at", shape=r"[1-9][0-9]{0,4}(?:-[1-9][0-9]{0,4})?", told=told).partition("-")
    start, stop = int(first or 0), int(last or first or 0)
    if stop < start or stop - start >= MAX_COLUMN:
        table.fault("at", f"must end behind its beginning, at most {MAX_COLUMN} columns later")
        return start, 1
    return start, stop - start + 1


def _constant(table: Table, const: str, width: int) -> Rule:
    if table.has("type") or table.has("from"):
        table.fault("const", "is a literal: it has neither type nor from")
    if width and len(const) != width:
        table.fault("const", f"is {len(const)} characters long, its columns are {width} wide", const)
        const = const.ljust(width)[:width]
    return Rule("text", max(1, len(const)), codes={})


def _rule(table: Table, kind: str, width: int) -> Rule:
    choices = TYPES if kind == FIXED else tuple(name for name in TYPES if name != "filler")
    of = table.choice("type", choices, "text")
    codes = table.codes("codes")
    if (of == "code") != bool(codes):
        table.fault("codes", 'belong to type code, which needs them: our value = "theirs"')
    longest = width or table.number("longest", _longest(of, codes), low=1, high=MAX_COLUMN)
    rule = Rule(
        type=of,
        longest=longest,
        shortest=_shortest(table, of, longest),
        codes=codes or ({"": ""} if of == "code" else {}),
        characters=_characters(table, of),
        shape=table.choice("shape", ("", *NAMED_SHAPES), "") if of == "text" else "",
        form=table.choice("form", tuple(_FORMS[of]), _usual_form(of, kind)) if of in _FORMS else "",
        empty=table.text("empty", "", longest=longest),
        without=table.text("without", "", longest=20) if of in {"text", "digits"} else "",
        is_optional=table.flag("optional"),
        is_signed=of == "amount" and (table.flag("signed") | table.flag("negative")),
        is_negative=table.flag("negative") if of == "amount" else False,
        is_upper=table.flag("upper") if of == "text" else False,
        is_above_zero=table.flag("above_zero") if of == "amount" else False,
        leaves_out_too_long=table.choice("too_long", ("refuse", "leave_out"), "refuse") == "leave_out"
        if of == "text"
        else False,
    )
    _check_rule(table, rule, kind)
    return rule


def _longest(of: str, codes: dict[str, str]) -> int | None:
    return max(map(len, codes.values())) if codes else _LENGTHS.get(of)


def _usual_form(of: str, kind: str) -> str | None:
    return ("0.00" if kind == XML else "minor") if of == "amount" else None


def _shortest(table: Table, of: str, longest: int) -> int:
    if of == "digits" and table.flag("exact"):
        return longest
    return table.number("shortest", 0, low=0, high=longest) if of in {"text", "digits", "number"} else 0


def _characters(table: Table, of: str) -> str:
    stated = table.text("characters", "", longest=100) if of == "text" else ""
    if stated and character_class(stated) is None:
        table.fault("characters", "must be characters and ranges such as A-Z0-9", stated)
        return ""
    return stated


def _check_rule(table: Table, rule: Rule, kind: str) -> None:
    if rule.leaves_out_too_long and not rule.is_optional:
        table.fault("too_long", "can be leave_out only where the field is optional")
    if rule.empty and not rule.is_optional:
        table.fault("empty", "says how nothing is written: the field must be optional")
    if len(set(rule.codes.values())) != len(rule.codes):
        table.fault(
            "codes", "give two values of ours the same value of theirs: what comes back could not be told apart"
        )
    if kind == FIXED and any(len(theirs) > rule.longest for theirs in rule.codes.values()):
        table.fault("codes", f"do not fit {rule.longest} columns")
    if rule.form and rule.type in {"date", "time"} and kind == FIXED and len(rule.form) != rule.longest:
        table.fault("form", f"{rule.form} is {len(rule.form)} wide, its columns are {rule.longest}")


def _fill(table: Table, *, is_zeros: bool) -> str:
    fill = table.text("fill", "0" if is_zeros else " ", longest=1)
    if fill not in {" ", "0"}:
        table.fault("fill", "must be a blank or a zero", fill)
    return fill or " "


def _terms(table: Table) -> Iterator[Term]:
    total = table.table("total")
    if total is None:
        return
    counted, summed, minus = total.texts("count"), total.texts("sum"), total.texts("minus")
    if bool(counted) == bool(summed or minus):
        table.fault("total", "must have count, or sum (with minus where something is taken off)")
    for text in counted:
        yield from _term(total, "count", text, is_sum=False)
    for key, texts in (("sum", summed), ("minus", minus)):
        for text in texts:
            yield from _term(total, key, text, is_sum=True)
    total.close()


def _term(table: Table, key: str, text: str, *, is_sum: bool) -> Iterator[Term]:
    found = _TERM.fullmatch(text)
    if found is None or bool(found[4]) != is_sum:
        shape = "RECORD.FIELD or RECORD[FIELD=VALUE].FIELD" if is_sum else "RECORD or RECORD[FIELD=VALUE]"
        table.fault(key, f"must be {shape}", text)
        return
    yield Term(found[1], found[4] or "", found[2] or "", found[3] or "", key == "minus")


def _check_source(table: Table, made: Field, each: str, direction: str) -> None:
    if made.to and (direction != IN or made.const is not None):
        table.fault("to", "belongs to a field that comes in and is no literal")
    if direction == IN and made.source:
        table.fault("from", "has no meaning in a file that comes in")
    elif made.source and made.terms:
        table.fault("total", "and from exclude each other")
    elif made.source:
        fault = fault_of(made.source, made.rule.type, each)
        if fault:
            table.fault("from", fault, made.source)
    if made.terms and made.rule.type not in {"number", "amount"}:
        table.fault("total", "needs type number or amount")
    if made.rule.type == "filler" and (made.source or made.terms or made.rule.is_optional):
        table.fault("type", "filler holds nothing: it has neither from, total nor optional")
