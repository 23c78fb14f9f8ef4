"""Invented customers. Numbers pass their check digits and belong to nobody.

Organisation numbers lie in 999 999 9xx, 559999-99xx and 99999xx-x; Norwegian national ids are synthetic (month + 80, as the
Tax Administration's test population has them); Swedish ones carry the serials 238x that the Tax Agency keeps for tests. Finland
keeps none that pass its check, so invented Finns have no number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.domain.identifiers import is_organisation_number

_WORDS = (
    "Alver",
    "Bjerk",
    "Dal",
    "Eik",
    "Foss",
    "Gran",
    "Holm",
    "Isdal",
    "Kvist",
    "Lind",
    "Myr",
    "Nes",
    "Os",
    "Ravn",
    "Sol",
)
_FIRST = (
    "Aud",
    "Bo",
    "Cato",
    "Dina",
    "Eli",
    "Finn",
    "Gro",
    "Hans",
    "Ida",
    "Jon",
    "Kai",
    "Liv",
    "Mia",
    "Nils",
    "Odd",
    "Pia",
)
_STREETS = {"NO": "Prøveveien", "SE": "Provgatan", "FI": "Koekatu"}
_PLACES = {"NO": ("0001", "Oslo"), "SE": ("111 11", "Stockholm"), "FI": ("00100", "Helsinki")}
_DIALS = {"NO": "+47 00 00 0", "SE": "+46 8 000 0", "FI": "+358 9 000 0"}
_LANGUAGES = {"NO": "nb", "SE": "sv", "FI": "fi"}
_FORMS = {"NO": "AS", "SE": "AB", "FI": "Oy"}
_NUMBERS = {
    "NO": ("999999{:03d}", range(900, 1000)),
    "SE": ("559999-99{:02d}", range(100)),
    "FI": ("{:08d}", range(99_999_700, 100_000_000)),
}


def organisation_numbers(country: str) -> Iterator[str]:
    """Yield every invented organisation number there is for *country*."""
    pattern, places = _NUMBERS[country]
    yield from (number for number in map(pattern.format, places) if is_organisation_number(country, number))


def national_id(country: str, number: int) -> str:
    """Return the synthetic national id of invented person *number* (0 to 99)."""
    return _norwegian(number) if country == "NO" else _swedish(number)


def company(country: str, number: int, organisation_number: str, **changes: str) -> dict[str, Any]:
    """Return the card of an invented company."""
    name = f"{_word(number)} Handel {_FORMS[country]}"
    card = {"kind": "company", "name": name, "organisation_number": organisation_number}
    return {**_card(country, number), **card, **changes}


def person(country: str, number: int, *, with_id: bool = True, **changes: str) -> dict[str, Any]:
    """Return the card of an invented private customer."""
    name = f"{_FIRST[number % len(_FIRST)]} {_word(number)}"
    card = {"kind": "private", "name": name}
    if with_id:
        card["national_id"] = national_id(country, number)
    return {**_card(country, number), **card, **changes}


def _word(number: int) -> str:
    return _WORDS[number % len(_WORDS)] + ("", "by", "sen", "heim", "rud")[number // len(_WORDS) % 5]


def _card(country: str, number: int) -> Mapping[str, str]:
    postcode, city = _PLACES[country]
    return {
        "address1": f"{_STREETS[country]} {number + 1}",
        "postcode": postcode,
        "city": city,
        "country": country,
        "email": f"kunde{number}@example.{country.lower()}",
        "phone": f"{_DIALS[country]}{number:02d}",
        "language": _LANGUAGES[country],
    }


def _norwegian(number: int) -> str:
    """Search the serials of one day for a number whose two check digits exist."""
    for serial in range(100 + 3 * number, 500):
        nine = f"{number % 28 + 1:02d}{number % 12 + 81:02d}{70 + number % 20:02d}{serial:03d}"
        first = _check(nine, (3, 7, 6, 1, 8, 9, 4, 5, 2))
        second = _check(f"{nine}{first}", (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) if first < 10 else 10
        if second < 10:
            return f"{nine}{first}{second}"
    raise AssertionError(f"no synthetic number for person {number}")


def _check(digits: str, weights: tuple[int, ...]) -> int:
    return (11 - sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 11) % 11


def _swedish(number: int) -> str:
    nine = f"{70 + number % 20}{number % 12 + 1:02d}{number % 28 + 1:02d}238"
    doubled = "".join(str(int(digit) * (2 - place % 2)) for place, digit in enumerate(nine))
    return f"19{nine[:6]}-238{(10 - sum(map(int, doubled)) % 10) % 10}"
