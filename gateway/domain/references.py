"""Payment references as people and banks write them: one form to compare in, the other spellings, numbers in free text.

Leading zeros are part of a Norwegian KID and a Swedish OCR number. They fill a Finnish reference, a Danish payment id and
an RF reference to a field's width and mean nothing there, and neither do blanks (payments.md 1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gateway.domain.identifiers import (
    KID_LENGTHS,
    KidCheck,
    OcrLevel,
    is_kid,
    is_ocr,
    is_rf,
    is_viitenumero,
    make_rf,
    rf_key,
)
from gateway.errors import DataError

_RF_DIGITS = 21
_VIITE_DIGITS = 20
_FIK = re.compile(r"\+?(?:04|15|71|75) ?[</] ?([0-9][0-9 ]*)(?:\+[0-9]+<?)?")
"""A Danish payment id with its card type: ``71/…`` or, as printed, ``+71<…+creditor<``."""
_FIK_WIDTHS = {"04": 16, "15": 16, "71": 15, "75": 16}
"""Digits of the payment id per card type that has one."""
TEXT_CHARACTERS_MAX = 20_000
"""Free text looked through for numbers: BgMax has at most 90 lines of 50, a camt transaction rarely more than one page."""
NUMBERS_MAX = 200
"""Numbers taken from one free text: past that it is a list, and a list is for a person."""


# --- one reference, written in several ways --------------------------------------------------------------------------


def canonical(reference: str, market: str) -> str:
    """Return the form in which references of *market* (ISO country) are compared; most are returned as they are.

    Args:
        reference: without surrounding blanks.
        market: where the creditor's agreement is: what may be left out of a reference differs by country.
    """
    if reference[:2] in {"RF", "rf", "Rf"} and is_rf(reference):
        key = rf_key(reference)
        return key[4:] if market == "FI" and is_viitenumero(key[4:]) else key
    if market == "FI":
        plain = reference.replace(" ", "").lstrip("0")
        return plain if is_viitenumero(plain) else reference
    if market == "DK":
        found = _FIK.fullmatch(reference)
        plain = (found[1] if found else reference).replace(" ", "")
        return plain.lstrip("0") or plain if plain.isascii() and plain.isdecimal() else reference
    return reference


def spellings(reference: str, market: str) -> tuple[str, ...]:
    """Return the other ways in which a ledger of *market* may hold the `canonical` *reference*."""
    if reference[:2] == "RF":
        return _rf_spellings(reference)
    if not (reference.isascii() and reference.isdecimal()):
        return ()
    if market == "FI" and is_viitenumero(reference):
        filled = [reference.rjust(width, "0") for width in range(len(reference), _VIITE_DIGITS + 1)]
        rf = make_rf(reference)
        return (*filled[1:], _grouped(reference, 5), _grouped(reference, 4), rf, *_rf_spellings(rf))
    if market == "DK":
        filled = [reference.rjust(width, "0") for width in range(len(reference) + 1, 17)]
        typed = [
            (kind, form) for kind, width in _FIK_WIDTHS.items() for form in (reference, reference.rjust(width, "0"))
        ]
        return (*filled, *(f"{kind}/{form}" for kind, form in typed), *(f"+{kind}<{form}" for kind, form in typed))
    return ()


def _rf_spellings(reference: str) -> tuple[str, ...]:
    head, payload = reference[:4], reference[4:]
    filled = [head + payload.rjust(width, "0") for width in range(len(payload), _RF_DIGITS + 1)]
    return (*filled[1:], *(" ".join(re.findall(".{1,4}", form)) for form in filled))


def _grouped(digits: str, size: int) -> str:
    """Return *digits* in groups of *size* from the right, as a Finnish form prints them."""
    return " ".join(re.findall(f".{{1,{size}}}", digits[::-1]))[::-1]


# --- what a creditor's agreement asks of its references --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReferenceRule:
    """What the creditor agreed with its bank: one modulus or level of control, and the lengths in use (empty: any)."""

    check: KidCheck | OcrLevel
    lengths: frozenset[int] = frozenset()

    def accepts(self, text: str) -> bool:
        """Return whether *text* is a reference under the agreement. The other modulus is never tried (payments.md 1)."""
        if isinstance(self.check, KidCheck):
            return is_kid(text, self.check, self.lengths or KID_LENGTHS)
        return is_ocr(text, self.check, self.lengths) and (not self.lengths or len(text) in self.lengths)


@dataclass(frozen=True, slots=True)
class PaymentRules:
    """How an agreement's payments are judged. Without *reference* nothing is known of check digits.

    *tolerance_minor* is how far a payment may be off the open amount and still be shown as paid in full: 0 unless
    agreed. It posts nothing and books nothing; rounding differences are booked by a person (A-17). *profiles* are the
    formats that nobody has confirmed and that are read all the same.
    """

    reference: ReferenceRule | None = None
    tolerance_minor: int = 0
    profiles: tuple[str, ...] = ()


_CHECKS: Mapping[str, KidCheck | OcrLevel] = {check.value: check for check in (*KidCheck, *OcrLevel)}
_LENGTHS_MAX = {OcrLevel.FIXED_LENGTH: 2}
"""A Swedish agreement of fixed lengths names one or two of them."""


def payment_rules(stored: Mapping[str, object]) -> PaymentRules:
    """Return the rules that *stored* says: ``{"check": "mod10", "lengths": [13], "tolerance_minor": 100}``.

    The creditor's own bank may have ``"profiles"`` as well; an agreement has them in its settings.

    Raises:
        DataError: a name, check, length or tolerance that no agreement can have.
    """
    if unknown := set(stored) - {"check", "lengths", "tolerance_minor", "profiles"}:
        raise DataError(f"payment rules have no {', '.join(sorted(unknown))}")
    tolerance = stored.get("tolerance_minor", 0)
    if not isinstance(tolerance, int) or isinstance(tolerance, bool) or tolerance < 0:
        raise DataError(f"tolerance_minor must be a number of minor units, 0 or more: {tolerance!r}")
    profiles = stored.get("profiles", [])
    if not isinstance(profiles, list) or not all(isinstance(profile, str) for profile in profiles):
        raise DataError(f"profiles of payment formats are a list of names: {profiles!r}")
    rule = _reference_rule(stored.get("check", ""), stored.get("lengths", []))
    return PaymentRules(rule, tolerance, tuple(profiles))


def _reference_rule(name: object, lengths: object) -> ReferenceRule | None:
    if not isinstance(lengths, list) or not all(type(length) is int and length in KID_LENGTHS for length in lengths):
        raise DataError(f"lengths of references are numbers from 2 to 25: {lengths!r}")
    if name == "" and not lengths:
        return None
    check = _CHECKS.get(name) if isinstance(name, str) else None
    if check is None:
        raise DataError(f"a check of references is one of {', '.join(_CHECKS)}: {name!r}")
    most = _LENGTHS_MAX.get(check) if isinstance(check, OcrLevel) else None
    if most and not 1 <= len(lengths) <= most:
        raise DataError(f"{check.value} needs one or {most} lengths")
    return ReferenceRule(check, frozenset(lengths))


# --- numbers in free text --------------------------------------------------------------------------------------------


class Seen(NamedTuple):
    """A number found in what a payer wrote: *value* to look up, *text* as it stood, *where* as part and its place."""

    value: str
    text: str
    where: tuple[str, int]


_WORD = re.compile(r"\w+(?:[-/.]\w+)*")
_DIGITS = re.compile(r"[0-9]+")
_MOD11 = re.compile(r"(?<![0-9])[0-9]+-(?!\w)")
"""A KID whose check character is a dash."""
_SPACED = re.compile(r"(?<![0-9])[0-9]+(?: [0-9]+)+")
_FIGURES = "0123456789"
_NUMBER_CHARACTERS = range(3, 31)
"""A shorter one is a day, a month or a count; a longer one no invoice has."""


def numbers_in(parts: Iterable[tuple[str, str]]) -> list[Seen]:
    """Return what may be a document's number in free text, each value once, in the order of its finding.

    Whole words with a digit in them, the digits inside such words, and digits parted by blanks. Banks cut words at 35 or
    140 characters, so what is cut off at the end of a part is tried with the beginning of the next.

    Args:
        parts: kind of part (``reference``, ``text``) and its text.
    """
    found: dict[str, Seen] = {}
    places: dict[str, int] = {}
    before = ("", "")
    for kind, whole in parts:
        places[kind] = places.get(kind, 0) + 1
        where, text = (kind, places[kind]), whole[:TEXT_CHARACTERS_MAX]
        candidates = list(_candidates(text))
        if before[0] == kind and (cut := _across(before[1], text)):
            candidates.append(cut)
        for value, seen in candidates:
            if len(value) in _NUMBER_CHARACTERS and len(found) < NUMBERS_MAX:
                found.setdefault(value, Seen(value, seen, where))
        before = (kind, text)
    return list(found.values())


def _candidates(text: str) -> Iterator[tuple[str, str]]:
    for spaced in _SPACED.finditer(text):
        yield spaced[0].replace(" ", ""), spaced[0]
    for kid in _MOD11.finditer(text):
        yield kid[0], kid[0]
    for word in _WORD.finditer(text):
        if any(sign.isdecimal() for sign in word[0]):
            yield word[0], word[0]
            for digits in _DIGITS.finditer(word[0]):
                yield digits[0], word[0]


def _across(first: str, second: str) -> tuple[str, str] | None:
    """Return a number that the end of one part cut in two."""
    head, tail = first[len(first.rstrip(_FIGURES)) :], second[: len(second) - len(second.lstrip(_FIGURES))]
    return (head + tail, f"{head}|{tail}") if head and tail else None
