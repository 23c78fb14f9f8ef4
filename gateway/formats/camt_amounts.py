"""Numbers of a camt document, exact or reported: amounts with up to five decimals, counts, currencies."""

from __future__ import annotations

import re
from collections.abc import Callable

from gateway.domain.money import exponent, parse_minor
from gateway.domain.reasons import said
from gateway.errors import DecodeError
from gateway.formats.audit import Audit

MAX_CHARACTERS = 40
"""Longest number read. ISO 20022 allows 18 digits; Python refuses to convert thousands."""

_PLAIN = re.compile(r"[0-9]{1,15}\.[0-9]{2}")
_CURRENCY = re.compile(r"[A-Z]{3}")


class Amounts:
    """Reads numbers; one that cannot be read blocks the file and is None here. Nothing is rounded.

    *place* says where in the file the reader is; it is asked only about a number that is wrong.
    """

    def __init__(self, audit: Audit, place: Callable[[str], str]) -> None:
        self._audit, self._place = audit, place
        self._has_cents: dict[str, bool] = {}

    def minor(self, text: str, currency: str, path: str) -> int | None:
        """Return *text*, which stands at *path*, as minor units of *currency*."""
        if self._has_cents.get(currency) and _PLAIN.fullmatch(text):
            return int(text[:-3] + text[-2:])
        return self._thorough(text.strip(), currency, path)

    def count(self, text: str, path: str) -> int | None:
        """Return *text* as a count."""
        number = text.strip()
        if number.isascii() and number.isdecimal() and len(number) <= MAX_CHARACTERS:
            return int(number)
        self._audit.block("file.invalid", self._place(path), text, reason=said("wrong.not_whole"))
        return None

    def _thorough(self, text: str, currency: str, path: str) -> int | None:
        if currency not in self._has_cents:
            if not _CURRENCY.fullmatch(currency):
                reason = said("wrong.currency")
                self._audit.block("file.invalid", self._place(f"{path}/@Ccy"), currency, reason=reason)
                return None
            self._has_cents[currency] = exponent(currency) == 2
        try:
            minor = parse_minor(text, currency) if len(text) <= MAX_CHARACTERS else -1
        except DecodeError as error:
            self._audit.block("file.invalid", self._place(path), text, reason=error.reason)
            return None
        if minor < 0 or text.startswith("-"):
            self._audit.block("file.invalid", self._place(path), text, reason=said("wrong.no_sign"))
            return None
        return minor
