"""How amounts, dates and moments look to a person, per language (design/panel/README.md, point 9).

Nothing here reads the request: language and time zone are handed in, so that lists, exports and tests agree.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from babel.dates import format_date

from gateway.domain.money import exponent

NO_BREAK = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
_DECIMAL_SIGN = {"nb": ",", "sv": ",", "en": "."}
_DAY = {"nb": "%d.%m.%Y", "sv": "%Y-%m-%d", "en": "%Y-%m-%d"}
_LONG_DAY = {"nb": "EEEE d. MMMM", "sv": "EEEE d MMMM", "en": "EEEE d MMMM"}


def amount(minor: int, currency: str, language: str, *, with_currency: bool = False) -> str:
    """Return *minor* units as ``12 500,00``: no-break spaces, two decimals, a true minus sign."""
    places = exponent(currency)
    digits = str(abs(minor)).rjust(places + 1, "0")
    whole, fraction = (digits[:-places], digits[-places:]) if places else (digits, "")
    grouped = f"{int(whole):,}".replace(",", NO_BREAK)
    shown = (MINUS if minor < 0 else "") + grouped + (_DECIMAL_SIGN[language] + fraction if fraction else "")
    return f"{shown}{NO_BREAK}{currency}" if with_currency else shown


def day(value: date | None, language: str) -> str:
    """Return a date as the language writes it; empty where there is none."""
    return value.strftime(_DAY[language]) if value is not None else ""


def long_day(value: date, language: str) -> str:
    """Return a date as a heading: ``Mandag 23. november``."""
    shown = format_date(value, _LONG_DAY[language], locale=language)
    return shown[:1].upper() + shown[1:]


def moment(value: datetime | None, language: str, zone: str) -> str:
    """Return date and time of day in *zone*; empty where there is none."""
    if value is None:
        return ""
    local = value.astimezone(ZoneInfo(zone))
    return f"{day(local.date(), language)}{NO_BREAK}{local:%H:%M}"


def time_of_day(value: datetime, zone: str) -> str:
    """Return hours and minutes in *zone*."""
    return f"{value.astimezone(ZoneInfo(zone)):%H:%M}"


def duration(length: timedelta, language: str) -> str:
    """Return a length of time as ``1 t 30 min``; never below zero."""
    minutes = max(0, int(length.total_seconds()) // 60)
    hours, rest = divmod(minutes, 60)
    hour = {"nb": "t", "sv": "tim", "en": "h"}[language]
    return f"{hours}{NO_BREAK}{hour} {rest}{NO_BREAK}min" if hours else f"{rest}{NO_BREAK}min"


def size(octets: int, language: str) -> str:
    """Return a file's size in bytes, KiB or MiB, rounded down to one decimal for show."""
    for unit, factor in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if octets >= factor:
            tenths = octets * 10 // factor
            return f"{tenths // 10}{_DECIMAL_SIGN[language]}{tenths % 10}{NO_BREAK}{unit}"
    return f"{octets}{NO_BREAK}byte"
