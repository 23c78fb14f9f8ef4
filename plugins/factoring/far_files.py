"""How the far side reads our files: by the columns the pages print, counted from 1, and by nothing else of ours.

Sources: factoring-sgfinans.md sections 2 and 3, factoring-fall.md sections 1 to 5, factoring-others.md section 2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple


class UnreadableFile(Exception):
    """The factor does not take this file."""


class Card(NamedTuple):
    """A customer as the file tells it."""

    number: int
    organisation_number: str
    name: str


class Item(NamedTuple):
    """An invoice, or a credit note. *credits* is the invoice it names, None where the layout names none.

    *reference* is what the debtor is to pay by, empty where the file does not say.
    """

    is_credit: bool
    number: int
    customer: int
    amount_minor: int
    dated: str
    due: str
    credits: int | None = None
    reference: str = ""


class Batch(NamedTuple):
    """A numbered transfer list: each number comes once."""

    number: int


Facts = Mapping[str, str]
Said = Card | Item | Batch


class Layout(NamedTuple):
    """What one layout's files are called, in the order they are taken (a ``*`` stands for anything), and what reads them."""

    filenames: Callable[[Facts], tuple[str, ...]]
    read: Callable[[str, bytes, Facts], Iterator[Said]]


class Line:
    """One line of fixed columns."""

    def __init__(self, number: int, text: str) -> None:
        self.number, self._text = number, text

    @property
    def length(self) -> int:
        """Characters of the line."""
        return len(self._text)

    def at(self, first: int, last: int) -> str:
        """Return the columns *first* to *last*, counted from 1."""
        return self._text[first - 1 : last]

    def must(self, first: int, last: int, *expected: str) -> str:
        """Return columns that must be one of *expected*; a single character stands for a run of it."""
        found = self.at(first, last)
        if found not in expected and not any(len(one) == 1 and found == one * len(found) for one in expected):
            raise UnreadableFile(f"line {self.number}: {found!r} at {first}-{last} is not {' or '.join(expected)}")
        return found

    def figures(self, first: int, last: int) -> int:
        """Return columns that must be digits, as a number."""
        found = self.at(first, last)
        if not (found.isascii() and found.isdigit()):
            raise UnreadableFile(f"line {self.number}: {found!r} at {first}-{last} is not a number")
        return int(found)

    def above_zero(self, first: int, last: int) -> int:
        """As `figures`; nothing is not a number of anything."""
        found = self.figures(first, last)
        if not found:
            raise UnreadableFile(f"line {self.number}: {self.at(first, last)!r} is not a number above zero")
        return found

    def some(self, first: int, last: int) -> str:
        """Return text that must be there."""
        found = self.at(first, last).rstrip(" ")
        if not found or found.startswith(" "):
            raise UnreadableFile(f"line {self.number}: nothing at {first}-{last}")
        return found

    def day(self, first: int, last: int) -> str:
        """Return YYMMDD as an ISO day."""
        return iso_day(self.at(first, last))


def iso_day(text: str) -> str:
    """Return YYMMDD as an ISO day."""
    try:
        return datetime.strptime(text, "%y%m%d").date().isoformat()  # noqa: DTZ007  a calendar day has no zone
    except ValueError as error:
        raise UnreadableFile(f"{text!r} is not a day") from error


def lines(content: bytes, length: int) -> Iterator[Line]:
    """Yield the lines of a file; each must have *length* characters, 0 for any number of them."""
    if not content.endswith(b"\r\n"):
        raise UnreadableFile("is empty or cut off")
    for count, line in enumerate(content.decode("iso-8859-1")[:-2].split("\r\n"), start=1):
        if length and len(line) != length:
            raise UnreadableFile(f"line {count}: {len(line)} characters, not {length}")
        yield Line(count, line)


def hundredths(text: str, where: str) -> int:
    """Return a decimal number of an XML document in hundredths: minor units of every Nordic currency."""
    found = re.fullmatch(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,2}))?", text)
    if not found:
        raise UnreadableFile(f"{where}: {text!r} is no amount")
    sign, whole, part = found.groups(default="")
    return int(f"{sign}{whole}{part:0<2}")


def check_client(found: str, facts: Facts, width: int) -> None:
    """Refuse what names another client than ours."""
    if found != facts["client_number"].rjust(width, "0"):
        raise UnreadableFile(f"client number {found} is not ours")


# --- SG Finans -------------------------------------------------------------------------------------------------------


def _k9409_names(facts: Facts) -> tuple[str, ...]:
    return facts.get("customer_filename", "Kunde.SGK"), facts.get("invoice_filename", "Faktura.SGF")


def _k9409(_: str, content: bytes, facts: Facts) -> Iterator[Said]:
    is_cards = content.startswith(b"K")
    for line in lines(content, 254 if is_cards else 128):
        yield _k9409_card(line, facts) if is_cards else _k9409_item(line, facts)


def _k9409_card(line: Line, facts: Facts) -> Card:
    line.must(1, 5, "K9409")
    line.must(194, 198, "NO578")
    line.must(249, 254, "NOK   ")
    check_client(line.at(6, 9), facts, 4)
    line.figures(19, 27)
    line.must(28, 29, "0", " ")
    line.figures(115, 118)
    line.some(85, 114)
    line.some(119, 141)
    return Card(line.above_zero(10, 18), line.at(19, 27), line.some(30, 84))


def _k9409_item(line: Line, facts: Facts) -> Item:
    check_client(line.at(2, 5), facts, 4)
    number, is_credit = line.above_zero(15, 22), line.must(1, 1, "1", "9") == "9"
    if line.at(46, 60).strip() or line.at(112, 125) != "NOK00000000000" or line.at(126, 128).strip():
        raise UnreadableFile(f"item {number}: not an invoice or credit note in NOK")
    credited = None
    if is_credit:
        named = re.fullmatch(r"Kreditnota til ([1-9][0-9]{0,7}) *", line.at(76, 100))
        if not named:
            raise UnreadableFile(f"credit note {number}: names no invoice we have")
        credited = int(named[1])
    days = line.day(23, 28), line.day(29, 34)
    return Item(is_credit, number, line.above_zero(6, 14), line.above_zero(35, 45), *days, credited)


# --- FactoNor --------------------------------------------------------------------------------------------------------


def _factonor(name: str, content: bytes, facts: Facts) -> Iterator[Said]:
    for line in lines(content, 0 if name == "KUNDE.DAT" else 128):
        yield _factonor_card(line, facts) if name == "KUNDE.DAT" else _factonor_item(line, facts)


def _factonor_card(line: Line, facts: Facts) -> Card:
    fields = line.at(1, 100_000).split(";")
    if len(fields) != 14 or fields[9] != "F":
        raise UnreadableFile(f"line {line.number}: not the fourteen fields of a company")
    check_client(fields[0].removeprefix("V"), facts, 3)
    if not (fields[1].isdigit() and fields[2] and fields[5]):
        raise UnreadableFile(f"line {line.number}: number, name or place is missing")
    return Card(int(fields[1]), fields[8], fields[2])


def _factonor_item(line: Line, facts: Facts) -> Item:
    check_client(line.at(1, 3), facts, 3)
    number = line.above_zero(10, 15)
    for first, last, expected in ((28, 39, "0"), (75, 78, "0"), (85, 89, "NONOK"), (90, 128, " ")):
        line.must(first, last, expected)
    if line.above_zero(69, 74) != number or line.day(79, 84) != line.day(22, 27):
        raise UnreadableFile(f"item {number}: its reference or discount day is another's")
    is_credit = line.must(40, 41, "21", "22") == "22"
    line.figures(53, 68)
    days = line.day(16, 21), line.day(22, 27)
    amount_minor = line.above_zero(42, 52)
    return Item(is_credit, number, line.above_zero(4, 9), amount_minor, *days, reference=line.at(53, 68))


K9409 = Layout(_k9409_names, _k9409)
FACTONOR = Layout(lambda _: ("KUNDE.DAT", "FAKTURA.DAT"), _factonor)
