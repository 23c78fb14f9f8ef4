"""The types of field a profile knows: how a value becomes text and back, before any padding.

Both ways are total functions that answer `MISFIT` instead of raising, so that the compiled records and elements of
`gateway.formats` can test a value in passing. Nothing is cut or rounded: what does not fit is a misfit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any, Final

from gateway.domain.exchange import CustomerKind
from gateway.formats.xml_element import ACCOUNT, EMAIL, FILE_ID, MOMENT, REFERENCE, Type

MISFIT: Final = object()
TYPES = ("text", "digits", "number", "amount", "date", "time", "moment", "code", "filler")
NAMED_SHAPES: Mapping[str, Type] = {
    "account": ACCOUNT, "email": EMAIL, "file_id": FILE_ID, "reference": REFERENCE,
}  # fmt: skip
"""Shapes of text with a name, for what a class of characters cannot say. A profile holds no regular expression: it is
untrusted input, and a few characters of one can keep a machine busy for ever."""

DATES = {
    "YYYYMMDD": "%Y%m%d", "YYMMDD": "%y%m%d", "DDMMYYYY": "%d%m%Y", "DDMMYY": "%d%m%y", "YYYY-MM-DD": "%Y-%m-%d",
    "DD.MM.YYYY": "%d.%m.%Y", "DD.MM.YY": "%d.%m.%y",
}  # fmt: skip
TIMES = {"HHMM": "%H%M", "HHMMSS": "%H%M%S", "HH:MM": "%H:%M", "HH:MM:SS": "%H:%M:%S"}
AMOUNTS = {"minor": "", "0.00": ".", "0,00": ","}
"""How an amount is written: minor units as they are (implied decimals), or with two decimals behind a sign."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
Encode = Callable[[Any], Any]
Decode = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a field demands, as the profile states it. Fields that a type does not use are refused at reading.

    *longest* is the width of a column or the most characters of an attribute; *characters* a class such as ``A-Z0-9``.
    """

    type: str
    longest: int
    shortest: int = 0
    codes: Mapping[str, str] = field(default_factory=dict)
    characters: str = ""
    shape: str = ""
    form: str = ""
    empty: str = ""
    without: str = ""
    is_optional: bool = False
    is_signed: bool = False
    is_negative: bool = False
    is_upper: bool = False
    is_above_zero: bool = False
    leaves_out_too_long: bool = False

    @property
    def demand(self) -> str:
        """What belongs here, in words."""
        told = _DEMANDS[self.type](self)
        if self.is_optional:
            told += f", or {self.empty!r} for none" if self.empty else ", or nothing"
        return told


def _text_demand(rule: Rule) -> str:
    told = f"must be text of at most {rule.longest} characters"
    if rule.shape:
        told = f"must be of shape {rule.shape}"
    return told + (f", of {rule.characters}" if rule.characters else "")


_DEMANDS: Mapping[str, Callable[[Rule], str]] = {
    "text": _text_demand,
    "digits": lambda rule: f"must be at most {rule.longest} digits",
    "number": lambda rule: f"must be a whole number of at most {rule.longest} digits",
    "amount": lambda rule: (
        f"must be an amount written {rule.form}"
        + (", as a negative" if rule.is_negative else ", with its sign" if rule.is_signed else "")
    ),
    "date": lambda rule: f"must be a date written {rule.form}",
    "time": lambda rule: f"must be a time written {rule.form}",
    "moment": lambda _: "must be a moment with its time zone",
    "code": lambda rule: f"must be one of {', '.join(map(repr, rule.codes.values()))}",
    "filler": lambda rule: f"must be {rule.longest} characters",
}


def encoder(rule: Rule) -> Encode:
    """Return the function from a value to its text, or `MISFIT`."""
    made = _ENCODERS[rule.type](rule)
    if rule.type == "code" or not rule.is_optional:
        return made
    empty = rule.empty

    def encode(value: Any) -> Any:
        return empty if value is None or value == "" else made(value)

    return encode


def decoder(rule: Rule) -> Decode:
    """Return the function from text to a value, or `MISFIT`; nothing is ``""``, or None for dates, times and numbers."""
    made = _DECODERS[rule.type](rule)
    nothing = "" if rule.type in {"text", "digits", "code"} else None
    empty, is_optional = rule.empty, rule.is_optional

    def decode(raw: str) -> Any:
        if is_optional and raw == empty:
            return nothing
        return made(raw) if raw else MISFIT

    return decode


# --- text, digits, codes ---------------------------------------------------------------------------------------------


def character_class(characters: str) -> re.Pattern[str] | None:
    """Return a pattern of one or more of *characters* (``A-Z0-9.-``), or None where they are no such class."""
    parts = re.findall(r"(.)-(.)|(.)", characters)
    made = ""
    for first, last, single in parts:
        if first and first > last:
            return None
        made += f"{re.escape(first)}-{re.escape(last)}" if first else re.escape(single)
    return re.compile(f"[{made}]*+") if made else None


def _text_out(rule: Rule) -> Encode:
    fits, drop = _text_fits(rule), str.maketrans("", "", rule.without)
    longest, leave_out, empty = rule.longest, rule.leaves_out_too_long, rule.empty

    def encode(value: Any) -> Any:
        if type(value) is not str:
            return MISFIT
        text = value.translate(drop) if drop else value
        text = text.upper() if rule.is_upper else text
        if leave_out and len(text) > longest:
            return empty
        if not text:
            return empty if rule.is_optional else MISFIT
        return text if fits(text) else MISFIT

    return encode


def _text_in(rule: Rule) -> Decode:
    fits = _text_fits(rule)
    return lambda raw: raw if fits(raw) else MISFIT


def _text_fits(rule: Rule) -> Callable[[str], bool]:
    shape = NAMED_SHAPES[rule.shape].pattern if rule.shape else None
    allowed = character_class(rule.characters) if rule.characters else None

    def fits(text: str) -> bool:
        return (
            rule.shortest <= len(text) <= rule.longest
            and not _CONTROL.search(text)
            and (allowed is None or allowed.fullmatch(text) is not None)
            and (shape is None or shape.fullmatch(text) is not None)
        )

    return fits


def _digits_fits(rule: Rule) -> Callable[[str], bool]:
    return lambda text: text.isascii() and text.isdigit() and rule.shortest <= len(text) <= rule.longest


def _digits_out(rule: Rule) -> Encode:
    fits, drop = _digits_fits(rule), str.maketrans("", "", rule.without)

    def encode(value: Any) -> Any:
        if type(value) is not str:
            return MISFIT
        text = value.translate(drop)
        if not text and rule.is_optional:
            return rule.empty
        return text if fits(text) else MISFIT

    return encode


def _digits_in(rule: Rule) -> Decode:
    fits = _digits_fits(rule)
    return lambda raw: raw if fits(raw) else MISFIT


def _code_out(rule: Rule) -> Encode:
    table: dict[Any, str] = dict(rule.codes)
    for kind in CustomerKind:
        if kind.value in rule.codes:
            table[kind] = rule.codes[kind.value]
    for truth in (True, False):
        if (name := str(truth).lower()) in rule.codes:
            table[truth] = rule.codes[name]
    if rule.is_optional:
        table |= dict.fromkeys(("", None), rule.empty)

    def encode(value: Any) -> Any:
        try:
            return table.get(value, MISFIT)
        except TypeError:  # not hashable: no code
            return MISFIT

    return encode


def _code_in(rule: Rule) -> Decode:
    table = {theirs: ours for ours, theirs in rule.codes.items()}
    return lambda raw: table.get(raw, MISFIT)


# --- numbers and amounts ---------------------------------------------------------------------------------------------


def _number_out(rule: Rule) -> Encode:
    limit, least = 10**rule.longest, rule.shortest

    def encode(value: Any) -> Any:
        return str(value).rjust(least, "0") if type(value) is int and 0 <= value < limit else MISFIT

    return encode


def _number_in(rule: Rule) -> Decode:
    fits = _digits_fits(rule)
    return lambda raw: int(raw) if fits(raw) else MISFIT


def _amount_out(rule: Rule) -> Encode:
    point, longest, lowest = AMOUNTS[rule.form], rule.longest, 1 if rule.is_above_zero else 0
    limit = 10 ** (longest - len(point))

    def encode(value: Any) -> Any:
        if type(value) is int and 100 <= value < limit:  # nearly every amount of nearly every file
            text = str(value)
            return f"{text[:-2]}{point}{text[-2:]}"
        if type(value) is not int or (value < lowest and not (rule.is_signed and value < 0)):
            return MISFIT
        text = str(value) if value >= 0 else str(-value)
        if point:
            text = f"{text[:-2]}{point}{text[-2:]}" if len(text) > 2 else f"0{point}{text:0>2}"
        text = text if value >= 0 else f"-{text}"
        return text if len(text) <= longest else MISFIT

    if rule.is_negative:  # with us an amount is positive, and what it is tells the direction
        return lambda value: encode(-value) if type(value) is int else MISFIT
    return encode


def _amount_in(rule: Rule) -> Decode:
    point = AMOUNTS[rule.form]
    shape = re.compile(
        rf"{'-?' if rule.is_signed else ''}[0-9]{{1,24}}{re.escape(point) + '[0-9]{2}' if point else ''}"
    )

    def decode(raw: str) -> Any:
        if len(raw) > rule.longest or not shape.fullmatch(raw):
            return MISFIT
        value = int(raw.replace(point, "") if point else raw)
        value = -value if rule.is_negative else value
        return MISFIT if rule.is_above_zero and value == 0 else value

    return decode


# --- days and times --------------------------------------------------------------------------------------------------


def _date_out(rule: Rule) -> Encode:
    see, pattern = _date_in(rule), DATES[rule.form]

    @lru_cache(maxsize=4096)
    def show(value: Any) -> Any:
        day = value.date() if isinstance(value, datetime) else value
        if type(day) is not date:
            return MISFIT
        text = day.strftime(pattern)
        return text if see(text) == day else MISFIT  # a year of two digits that would be read back as another

    return show


def _date_in(rule: Rule) -> Decode:
    pattern = DATES[rule.form]
    width = len(date(2000, 1, 1).strftime(pattern))

    @lru_cache(maxsize=4096)
    def see(raw: str) -> Any:
        if len(raw) != width or not raw.isascii():
            return MISFIT
        try:
            day = datetime.strptime(raw, pattern).date()  # noqa: DTZ007 - a calendar day has no zone
        except ValueError:
            return MISFIT
        return day if day.strftime(pattern) == raw else MISFIT

    return see


def _time_out(rule: Rule) -> Encode:
    pattern = TIMES[rule.form]

    def encode(value: Any) -> Any:
        return value.strftime(pattern) if isinstance(value, datetime | time) else MISFIT

    return encode


def _time_in(rule: Rule) -> Decode:
    pattern = TIMES[rule.form]

    def decode(raw: str) -> Any:
        try:
            found = datetime.strptime(raw, pattern).time()  # noqa: DTZ007 - local time of the sender
        except ValueError:
            return MISFIT
        return found if found.strftime(pattern) == raw else MISFIT

    return decode


def _moment_out(_: Rule) -> Encode:
    def encode(value: Any) -> Any:
        is_moment = isinstance(value, datetime) and value.tzinfo is not None
        return value.isoformat(timespec="seconds") if is_moment else MISFIT

    return encode


def _moment_in(_: Rule) -> Decode:
    def decode(raw: str) -> Any:
        if not (MOMENT.pattern and MOMENT.pattern.fullmatch(raw)):
            return MISFIT
        try:
            return datetime.fromisoformat(raw)
        except ValueError:
            return MISFIT

    return decode


_ENCODERS: Mapping[str, Callable[[Rule], Encode]] = {
    "text": _text_out, "digits": _digits_out, "number": _number_out, "amount": _amount_out, "date": _date_out,
    "time": _time_out, "moment": _moment_out, "code": _code_out,
}  # fmt: skip
_DECODERS: Mapping[str, Callable[[Rule], Decode]] = {
    "text": _text_in, "digits": _digits_in, "number": _number_in, "amount": _amount_in, "date": _date_in,
    "time": _time_in, "moment": _moment_in, "code": _code_in,
}  # fmt: skip
