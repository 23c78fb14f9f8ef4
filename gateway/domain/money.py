"""Money is an integer of minor units and a currency; text is parsed exactly or refused."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.domain.reasons import said
from gateway.errors import DataError, DecodeError

_DECIMALS = {"ISK": 0, "JPY": 0, "KRW": 0, "CLP": 0, "HUF": 2, "BHD": 3, "KWD": 3, "TND": 3}
"""ISO 4217 exponents that differ from two, for the currencies a Nordic ledger meets."""

MAX_MINOR = 2**63 - 1
"""No database keeps a larger amount. The largest of any format has eighteen digits; what has more is damage."""

_DECIMAL = re.compile(r"([+-]?)([0-9]+)(?:\.([0-9]*))?")


def exponent(currency: str) -> int:
    """Return how many decimals *currency* has (ISO 4217); two unless the code list says otherwise."""
    return _DECIMALS.get(currency, 2)


def parse_minor(text: str, currency: str) -> int:
    """Return the minor units that the decimal *text* ("1250.00", "25000.000") stands for.

    Raises:
        DecodeError: not a decimal, beyond `MAX_MINOR`, or a remainder below the minor unit that is not zero. Nothing is
            rounded (S4).
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise DecodeError(said("wrong.not_an_amount"), value=text)
    sign, whole, fraction = match[1], match[2], match[3] or ""
    places = exponent(currency)
    if fraction[places:].strip("0"):
        raise DecodeError(said("wrong.decimals", currency=currency), value=text)
    digits = (whole + fraction[:places].ljust(places, "0")).lstrip("0") or "0"
    if len(digits) > len(str(MAX_MINOR)) or int(digits) > MAX_MINOR:
        largest = format_minor(MAX_MINOR, currency)
        raise DecodeError(said("wrong.out_of_range", least=f"-{largest}", most=largest), value=text)
    minor = int(digits)
    return -minor if sign == "-" else minor


def format_minor(minor: int, currency: str) -> str:
    """Return *minor* units as a decimal with a dot, as machine formats want it: ``125000`` → ``1250.00``."""
    places = exponent(currency)
    if not places:
        return str(minor)
    text = str(abs(minor)).rjust(places + 1, "0")
    return f"{'-' if minor < 0 else ''}{text[:-places]}.{text[-places:]}"


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount. *minor* counts øre, öre, cents; amounts of different currencies never meet."""

    minor: int
    currency: str

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other).minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other).minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __str__(self) -> str:
        return f"{format_minor(self.minor, self.currency)} {self.currency}"

    def _same(self, other: Money) -> Money:
        if other.currency != self.currency:
            raise DataError(f"{self.currency} and {other.currency} cannot be added")
        return other
