"""The columns of fixed-width records given as data, made of the same stuff as declared ones (`gateway.formats.record`)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

from gateway.formats import record
from gateway.formats.record import Column
from gateway.profiles.kinds import MISFIT, Rule, character_class, decoder, encoder

_KEY = "gateway.column"


def constant(start: int, value: str) -> Column:
    """Return the column of a literal."""
    return _of(record.const(start, value))


def filler(start: int, width: int, fill: str) -> Column:
    """Return a column of reserved room, kept as read."""
    return _of(record.filler(start, width, fill))


def column(rule: Rule, start: int, align: str, fill: str) -> Column:
    """Return the column of a field: one that a built-in layout has too where it is such a one, else by its two functions.

    Args:
        rule: what the field demands; *longest* is the width.
        start: first position, 1-based.
        align: ``left`` or ``right``, the side on which the value stands.
        fill: the character that pads it.
    """
    plain = not (rule.is_optional or rule.without or rule.is_upper or rule.leaves_out_too_long)
    width = rule.longest
    if plain and rule.type == "text" and not (rule.characters or rule.shape or rule.shortest):
        return _of(record.text(start, width, align="left" if align == "left" else "right", fill=fill))
    if plain and rule.type == "digits" and rule.shortest == width:
        return _of(record.digits(start, width))
    is_number = rule.type == "number" or (rule.type == "amount" and rule.form == "minor" and not rule.is_signed)
    if plain and is_number and (align, fill) == ("right", "0") and not rule.is_above_zero:
        return _of(record.number(start, width))
    if rule.type == "code" and not rule.is_optional and all(len(theirs) == width for theirs in rule.codes.values()):
        return _code(rule, start)
    return _by_functions(rule, start, align, fill)


def _of(declared: Any) -> Column:
    found = declared.metadata[_KEY]
    assert isinstance(found, Column)
    return found


def _code(rule: Rule, start: int) -> Column:
    out, back = encoder(rule), {theirs: ours for ours, theirs in rule.codes.items()}
    known = {ours: theirs for ours in rule.codes if (theirs := out(ours)) is not MISFIT}
    shape = f"(?:{'|'.join(map(re.escape, back))})"
    return Column(
        "code", start, rule.longest, rule.demand, shape, "({t} := {out}({v})) is not {misfit}", "{t}", "{r} in {back}",
        "{back}[{r}]", {"out": out, "back": back, "misfit": MISFIT, "choices": tuple(known.values())},
    )  # fmt: skip


def _by_functions(rule: Rule, start: int, align: str, fill: str) -> Column:
    width, out, back = rule.longest, encoder(rule), decoder(rule)
    is_zero = fill == "0" and align == "right"

    def put(value: Any) -> Any:
        text = out(value)
        if text is MISFIT or len(text) > width:
            return None
        if is_zero and text[:1] == "0" and len(text) < width and rule.type in {"text", "digits"}:
            return None  # a zero of its own would vanish among the zeros before it, and make 17 and 017 one
        if is_zero and text[:1] == "-":
            return "-" + text[1:].rjust(width - 1, "0")
        padded = text.ljust(width, fill) if align == "left" else text.rjust(width, fill)
        return padded if text or rule.is_optional else None

    def take(raw: str) -> Any:
        text = raw.rstrip(fill) if align == "left" else raw.lstrip(fill)
        if is_zero:
            text = _unfilled(rule, raw)
        return back(text)

    if rule.type in {"date", "time"}:  # few days, many records
        put, take = lru_cache(maxsize=4096)(put), lru_cache(maxsize=4096)(take)
    names: dict[str, object] = {"put": put, "take": take, "misfit": MISFIT, "fill": fill, "width": width}
    padded = ".ljust({width}, {fill})" if align == "left" else ".rjust({width}, {fill})"
    shortcut = _shortcut(rule, names, is_zero=is_zero)
    text = f"{shortcut.text}{padded} if {shortcut.holds} else {{put}}({{v}})" if shortcut else "{put}({v})"
    return Column(
        rule.type, start, width, rule.demand, f".{{{width}}}", f"({{t}} := {text}) is not None", "{t}",
        "{take}({r}) is not {misfit}", "{take}({r})", names,
    )  # fmt: skip


def between(rule: Rule) -> Column:
    """Return the column of a field between separators: no wider than its value, and `MISFIT` is taken from what does not fit."""
    names: dict[str, object] = {"out": encoder(rule), "back": decoder(rule), "misfit": MISFIT, "width": rule.longest}
    shortcut, take = _shortcut(rule, names, is_zero=False), "{back}({r})"
    text = f"{shortcut.text} if {shortcut.holds} else {{out}}({{v}})" if shortcut else "{out}({v})"
    if rule.type in {"text", "digits"} and not (rule.shape or rule.characters):
        names |= {"shortest": max(1, rule.shortest), "empty": rule.empty if rule.is_optional else ""}
        kind = "isprintable()" if rule.type == "text" else "isdigit() and {r}.isascii()"
        take = f"({{r}} if {{r}}.{kind} and {{shortest}} <= len({{r}}) <= {{width}} and {{r}} != {{empty}} else {take})"
    return Column(
        rule.type, 1, rule.longest, rule.demand, "", f"({{t}} := {text}) is not {{misfit}}", "{t}", "True", take, names
    )  # fmt: skip


# --- the values that nearly every record has, without the call of a function -----------------------------------------


class _Shortcut(NamedTuple):
    """Templates: what *holds* of a value that surely fits, and its *text* before padding. Any other value takes the long way."""

    holds: str
    text: str


def _shortcut(rule: Rule, names: dict[str, object], *, is_zero: bool) -> _Shortcut | None:
    """Return the shortcut for values of *rule*, None where there is none; what its templates mention is put into *names*."""
    if rule.type == "amount" and rule.form == "minor" and not rule.is_negative:
        names |= {"least": 1 if rule.is_above_zero else 0, "limit": 10**rule.longest}
        return _Shortcut("type({v}) is int and {least} <= {v} < {limit}", "str({v})")
    if rule.type not in {"text", "digits"} or rule.shape or (is_zero and rule.type == "text"):
        return None
    signs = {f"sign_{number}": sign for number, sign in enumerate(rule.without)}
    freed = "{v}" + "".join(f".replace({{{key}}}, {{nothing}})" for key in signs)
    freed += ".upper()" if rule.is_upper else ""
    is_itself, may_be_empty = freed == "{v}", rule.is_optional and not rule.empty and rule.type == "text"
    names |= {**signs, "nothing": "", "least": max(rule.shortest, 0 if may_be_empty else 1), "one": "1"}
    found, text = ("{v}", "{v}") if is_itself else (f"({{t}} := {freed})", "{t}")
    kind = "isprintable()" if rule.type == "text" else f"isdigit() and {text}.isascii()"
    if rule.characters and (allowed := character_class(rule.characters)):
        names["allowed"] = allowed.fullmatch
        kind += f" and {{allowed}}({text})"
    no_zero = f" and {text} >= {{one}}" if is_zero else ""  # one of its own may vanish among the zeros before it
    return _Shortcut(f"type({{v}}) is str and {found}.{kind} and {{least}} <= len({text}) <= {{width}}{no_zero}", text)


# --- reading ---------------------------------------------------------------------------------------------------------


def _unfilled(rule: Rule, raw: str) -> str:
    """Return *raw* without the zeros that pad it on the left; a number keeps the last, a day keeps all."""
    if rule.is_optional and not raw.strip("0"):
        return rule.empty
    if rule.type in {"date", "time", "code"}:
        return raw
    sign = "-" if raw[:1] == "-" else ""
    bare = raw[len(sign) :].lstrip("0")
    if rule.type == "amount" and rule.form != "minor":
        bare = bare.rjust(4, "0")
    return sign + (bare or ("0" if rule.type in {"number", "amount"} else ""))
