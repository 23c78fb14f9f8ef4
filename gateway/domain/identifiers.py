"""Identifiers and payment references of the Nordic countries: check digits, forms, nothing guessed (law L-ID).

Each ``is_…`` answers for text as it stands, apart from the separators people write into such numbers (blank, hyphen,
dot). Nothing here reads a clock: python-stdnum's own national-id checks compare with today, so those are made here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date
from enum import Enum
from itertools import cycle
from operator import mul

from stdnum import iban as _iban
from stdnum import iso11649 as _iso11649
from stdnum.dk import cvr as _cvr
from stdnum.fi import hetu as _hetu
from stdnum.fi import ytunnus as _ytunnus
from stdnum.no import kontonr as _kontonr
from stdnum.no import orgnr as _no_orgnr
from stdnum.se import orgnr as _se_orgnr

from gateway.domain.exchange import CustomerKind
from gateway.errors import DataError

CHECK_DIGIT = "identifier.check_digit"
FIRST_DIGIT = "identifier.first_digit"

# --- payment references ----------------------------------------------------------------------------------------------

KID_LENGTHS = range(2, 26)
_OCR_LENGTHS = range(2, 26)
_VIITE_LENGTHS = range(4, 21)
_VIITE_WEIGHTS = (7, 3, 1)
_DOUBLED = str.maketrans("0123456789", "0246813579")
"""Each digit twice, and the digits of that added."""


class KidCheck(Enum):
    """The modulus a bank agreement fixes for its KIDs. Never both: a number may satisfy either by chance."""

    MOD10 = "mod10"
    MOD11 = "mod11"


class OcrLevel(Enum):
    """How strictly a Swedish bank agreement controls OCR numbers (L-ID-02).

    ``SOFT`` and ``HARD`` ask the same of a number; they differ in what the bank does with a wrong one.
    """

    SOFT = "soft"
    HARD = "hard"
    LENGTH_DIGIT = "length_digit"
    FIXED_LENGTH = "fixed_length"


def normalise_reference(raw: str) -> str:
    """Return *raw* without surrounding blanks. Nothing else: leading zeros and hyphens are part of a reference."""
    return raw.strip(" ")


def mod10(payload: str) -> str:
    """Return the Luhn check digit of *payload*: weights 2,1 from the right, digits of the products added (L-ID-01)."""
    digits = _digits(payload, "payload")[::-1]
    return str(-sum(map(int, digits[::2].translate(_DOUBLED) + digits[1::2])) % 10)


def mod11(payload: str) -> str:
    """Return the KID mod-11 check character of *payload*: weights 2 to 7 from the right; 10 becomes ``-`` (L-ID-01)."""
    total = _weighted(_digits(payload, "payload")[::-1], (2, 3, 4, 5, 6, 7))
    return "0123456789-"[-total % 11]


def make_kid(payload: str, check: KidCheck) -> str:
    """Return *payload* with its check character.

    Raises:
        DataError: *payload* is not all digits, or the KID would not be 2 to 25 characters long.
    """
    kid = payload + (mod10(payload) if check is KidCheck.MOD10 else mod11(payload))
    if len(kid) not in KID_LENGTHS:
        raise DataError(f"a KID has 2 to 25 characters, this has {len(kid)}")
    return kid


def is_kid(text: str, check: KidCheck, lengths: Collection[int] = KID_LENGTHS) -> bool:
    """Return whether *text* is a KID under an agreement with modulus *check* and *lengths* (L-ID-01)."""
    if len(text) not in KID_LENGTHS or len(text) not in lengths or not _is_digits(text[:-1]):
        return False
    return make_kid(text[:-1], check) == text


def make_ocr(payload: str, *, with_length_digit: bool = False) -> str:
    """Return *payload* as a Swedish OCR number; the length digit counts itself and the check digit (L-ID-02)."""
    base = payload + str((len(payload) + 2) % 10) if with_length_digit else payload
    ocr = base + mod10(base)
    if len(ocr) not in _OCR_LENGTHS:
        raise DataError(f"an OCR number has 2 to 25 digits, this has {len(ocr)}")
    return ocr


def is_ocr(text: str, level: OcrLevel, lengths: Collection[int] = ()) -> bool:
    """Return whether *text* is an OCR number under *level*; *lengths* are the one or two of ``FIXED_LENGTH``."""
    if len(text) not in _OCR_LENGTHS or not _is_digits(text) or mod10(text[:-1]) != text[-1]:
        return False
    if level is OcrLevel.LENGTH_DIGIT:
        return int(text[-2]) == len(text) % 10
    return level is not OcrLevel.FIXED_LENGTH or len(text) in lengths


def make_rf(payload: str) -> str:
    """Return the creditor reference ``RFcc…`` of *payload* (ISO 11649: letters and digits, at most 21)."""
    if not (payload.isascii() and payload.isalnum() and len(payload) <= 21):
        raise DataError(f"an RF payload has 1 to 21 letters and digits: {payload[:40]!r}")
    number = "".join(str(int(sign, 36)) for sign in payload.upper() + "RF00")
    return f"RF{98 - int(number) % 97:02d}{payload.upper()}"


def is_rf(text: str) -> bool:
    """Return whether *text* is a valid creditor reference; blanks inside are allowed, as on paper."""
    return text.isascii() and bool(_iso11649.is_valid(text))


def rf_key(text: str) -> str:
    """Return the form in which two RF references are compared: no blanks, no zeros after the check digits."""
    plain = text.replace(" ", "").upper()
    return plain[:4] + plain[4:].lstrip("0")


def make_viitenumero(base: str) -> str:
    """Return the Finnish reference number of *base*: weights 7,3,1 from the right."""
    viite = base + str(-_weighted(_digits(base, "base")[::-1], _VIITE_WEIGHTS) % 10)
    if len(viite) not in _VIITE_LENGTHS:
        raise DataError(f"a reference number has 4 to 20 digits, this has {len(viite)}")
    return viite


def is_viitenumero(text: str) -> bool:
    """Return whether *text* is a Finnish reference number (4 to 20 digits, blanks between groups allowed)."""
    plain = text.replace(" ", "")
    if len(plain) not in _VIITE_LENGTHS or not _is_digits(plain):
        return False
    return (_weighted(plain[-2::-1], _VIITE_WEIGHTS) + int(plain[-1])) % 10 == 0


# --- who the debtor is -----------------------------------------------------------------------------------------------

_SCHEMES = {"NO": ("no-orgnr", "no-fnr"), "SE": ("se-orgnr", "se-pnr"), "FI": ("fi-ytunnus", "fi-hetu")}
_SCHEMES["DK"] = ("dk-cvr", "dk-cpr")


def identity_scheme(country: str, kind: CustomerKind | None, number: str) -> str:
    """Return the scheme name of a debtor's identity *number* (see `Customer.identity_scheme`), ``other`` elsewhere.

    Empty when there is no number, or when country or kind is not said: a scheme is never guessed from the digits.
    """
    if not number or kind is None or not country:
        return ""
    schemes = _SCHEMES.get(country)
    return schemes[kind is CustomerKind.PRIVATE] if schemes else "other"


def organisation_number_fault(country: str, number: str) -> str:
    """Return the reason code of what is wrong with *number*, empty when it is valid or the country has no check here.

    The Norwegian first digit must be 8 or 9 (the library accepts others); the Swedish form with a leading 16 is the
    same number (L-ID-03, L-ID-08). A Swedish sole trader's personal number is valid here and stays personal data.
    """
    check = _ORGANISATION_CHECKS.get(country)
    if check is None:
        return ""
    plain = _plain(number)
    if not (plain.isascii() and check(plain)):  # the library takes digits of any script
        return CHECK_DIGIT
    return FIRST_DIGIT if country == "NO" and plain[0] not in "89" else ""


def national_id_fault(country: str, number: str, *, allow_synthetic: bool = False) -> str:
    """Return the reason code of what is wrong with *number*, empty when it is valid or the country has no check here.

    *allow_synthetic* admits Norwegian test persons (month + 80); only test environments may say so (L-ID-07).
    """
    if country == "NO":
        return "" if _is_fodselsnummer(_plain(number), allow_synthetic=allow_synthetic) else CHECK_DIGIT
    check = _NATIONAL_CHECKS.get(country)
    return "" if check is None or (number.isascii() and check(number)) else CHECK_DIGIT


def is_organisation_number(country: str, number: str) -> bool:
    """Return whether *number* is a valid organisation number of *country*; False where we have no check for it."""
    return country in _ORGANISATION_CHECKS and not organisation_number_fault(country, number)


def is_national_id(country: str, number: str, *, allow_synthetic: bool = False) -> bool:
    """Return whether *number* is a valid national id of *country*; False where we have no check for it."""
    known = country == "NO" or country in _NATIONAL_CHECKS
    return known and not national_id_fault(country, number, allow_synthetic=allow_synthetic)


def is_personal(country: str, organisation_number: str) -> bool:
    """Return whether what stands in an organisation number field is a person's number, and so personal data (L-ID-08).

    In Sweden a sole trader's number is his personal number; a legal person's third digit is 2 or more, where a personal
    number has the month. Elsewhere a number of ten signs or more is no organisation number but a national id misplaced.
    """
    plain = _plain(organisation_number)
    if country == "SE":
        return _is_digits(plain) and len(plain) >= 10 and plain[-8] in "01"
    return len(plain) >= 10


def masked(number: str) -> str:
    """Return *number* so that its owner recognises it and nobody else learns it: all but the last two signs hidden."""
    return "*" * max(len(number) - 2, 0) + number[-2:] if len(number) > 2 else "**"


def _is_se_orgnr(plain: str) -> bool:
    return bool(_se_orgnr.is_valid(plain[2:] if len(plain) == 12 and plain.startswith("16") else plain))


def _is_fodselsnummer(plain: str, *, allow_synthetic: bool) -> bool:
    if len(plain) != 11 or not _is_digits(plain):
        return False
    first = _weighted(plain[:9], (3, 7, 6, 1, 8, 9, 4, 5, 2)) + int(plain[9])
    second = _weighted(plain[:10], (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) + int(plain[10])
    if first % 11 or second % 11:
        return False
    day, month = int(plain[:2]), int(plain[2:4])
    day -= 40 if day > 40 else 0  # D-number
    month -= 80 if allow_synthetic and month > 80 else 0  # test persons
    return any(_is_day(century + int(plain[4:6]), month, day) for century in (1800, 1900, 2000))


def _is_personnummer(number: str) -> bool:
    plain = number.replace("+", "-").replace(" ", "").replace("-", "", 1)
    if len(plain) not in (10, 12) or not _is_digits(plain) or mod10(plain[-10:-1]) != plain[-1]:
        return False
    month, day = int(plain[-8:-6]), int(plain[-6:-4])
    day -= 60 if day > 60 else 0  # coordination number (samordningsnummer), a valid debtor
    years = [int(plain[:4])] if len(plain) == 12 else [c + int(plain[:2]) for c in (1800, 1900, 2000)]
    return any(_is_day(year, month, day) for year in years)


def _is_cpr(number: str) -> bool:
    """Form and date only: Danish numbers given since 2007 need not satisfy the old check digit."""
    plain = _plain(number)
    if len(plain) != 10 or not _is_digits(plain):
        return False
    return any(_is_day(c + int(plain[4:6]), int(plain[2:4]), int(plain[:2])) for c in (1800, 1900, 2000))


_ORGANISATION_CHECKS: dict[str, Callable[[str], bool]] = {
    "NO": _no_orgnr.is_valid,
    "SE": _is_se_orgnr,
    "FI": _ytunnus.is_valid,
    "DK": _cvr.is_valid,
}
_NATIONAL_CHECKS: dict[str, Callable[[str], bool]] = {"SE": _is_personnummer, "FI": _hetu.is_valid, "DK": _is_cpr}

# --- where money goes ------------------------------------------------------------------------------------------------


def is_account_no(text: str) -> bool:
    """Return whether *text* is a Norwegian account number: 11 digits, mod 11 (L-ID-05).

    Ask for all eleven first: the library shortens ``0000…`` to a postal account of seven, which is another number.
    """
    plain = _plain(text)
    return len(plain) == 11 and _is_digits(plain) and bool(_kontonr.is_valid(plain))


def is_iban(text: str) -> bool:
    """Return whether *text* is an IBAN with the length and check digits of its country (L-ID-06)."""
    return text.isascii() and bool(_iban.is_valid(text))


def is_bankgiro(text: str) -> bool:
    """Return whether *text* is a Swedish bankgiro number: 7 or 8 digits, Luhn (L-ID-10)."""
    return _is_giro(text, range(7, 9))


def is_plusgiro(text: str) -> bool:
    """Return whether *text* is a Swedish plusgiro number: 2 to 8 digits, Luhn (L-ID-10)."""
    return _is_giro(text, range(2, 9))


def is_account(country: str, text: str) -> bool:
    """Return whether *text* is an account in a form used in *country*: IBAN anywhere, giro and domestic in NO and SE."""
    if is_iban(text):
        return True
    return (country == "NO" and is_account_no(text)) or (country == "SE" and (is_bankgiro(text) or is_plusgiro(text)))


def account_key(text: str) -> str:
    """Return the form in which two accounts are compared: no separators, a Norwegian IBAN as its eleven digits."""
    plain = _plain(text).upper()
    return plain[4:] if plain.startswith("NO") and is_iban(plain) else plain


def _is_giro(text: str, lengths: range) -> bool:
    plain = _plain(text)
    return len(plain) in lengths and _is_digits(plain) and mod10(plain[:-1]) == plain[-1]


# --- arithmetic ------------------------------------------------------------------------------------------------------


def _plain(text: str) -> str:
    return text.translate({ord(sign): None for sign in " -."})


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _digits(text: str, name: str) -> str:
    if not _is_digits(text):
        raise DataError(f"{name} must be digits: {text[:40]!r}")
    return text


def _weighted(digits: str, weights: tuple[int, ...]) -> int:
    return sum(map(mul, map(int, digits), cycle(weights)))


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
