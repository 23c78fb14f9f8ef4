"""How the far side reads FALL: the 400 columns of factoring-fall.md sections 2 to 5, dialect by dialect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from plugins.factoring.far_files import Batch, Card, Facts, Item, Layout, Line, Said, UnreadableFile, lines


class Dialect(NamedTuple):
    """What tells a dialect: application code, financier, file name, and on which side the seller's number stands."""

    code: str
    financier: str
    filename: str
    is_seller_right: bool


DIALECTS = {
    "nordea": Dialect("KRFL", "MR", "SOLOMYSA.DAT", is_seller_right=False),
    "op": Dialect("LA01", "OP", "OKOMYSA.DAT", is_seller_right=False),
    "danske": Dialect("SAFA", "PR", "SAFA.DAT", is_seller_right=True),
    "aktia": Dialect("AKF1", "AF", "AKTIAMYSA.TXT", is_seller_right=True),
}


def fall(name: str) -> Layout:
    """Return the far side of one dialect."""
    return Layout(lambda _: (DIALECTS[name].filename,), lambda _, content, facts: _Reader(name, facts).read(content))


class _Reader:
    """One file of one dialect."""

    def __init__(self, name: str, facts: Facts) -> None:
        self._name, self._dialect, self._facts = name, DIALECTS[name], facts
        self._agreement = facts["client_number"].rjust(6, "0")
        seller = facts["business_id"].replace("-", "")
        self._seller = seller.rjust(17, "0") if self._dialect.is_seller_right else seller.ljust(17)
        self._counts, self._sums = {"01": 0, "02": 0}, {"01": 0, "02": 0}

    def read(self, content: bytes) -> Iterator[Said]:
        """Yield the list's number, and each buyer with the invoice behind it."""
        all_lines = list(lines(content, 400))
        if len(all_lines) < 4 or len(all_lines) % 2:
            raise UnreadableFile(f"{len(all_lines)} lines are no batch of buyers and invoices")
        head, last = all_lines[0], all_lines[-1]
        yield self._batch(head)
        for place in range(1, len(all_lines) - 1, 2):
            card = self._buyer(all_lines[place])
            yield card
            yield self._invoice(all_lines[place + 1], card)
        self._total(last, head)

    def _begin(self, line: Line, code: str) -> None:
        line.must(1, 5, self._dialect.code + code)

    def _batch(self, line: Line) -> Batch:
        self._begin(line, "0")
        line.must(6, 22, self._seller)
        line.day(23, 28)
        if line.figures(29, 30) > 23 or line.figures(31, 32) > 59:
            raise UnreadableFile(f"line {line.number}: {line.at(29, 32)!r} is no time of day")
        line.must(33, 38, self._agreement)
        line.must(39, 43, f"EUR{self._dialect.financier}")
        line.some(44, 73)
        line.must(80, 400, " ")
        return Batch(line.above_zero(74, 79))

    def _customer(self, line: Line) -> int:
        line.must(6, 11, self._agreement)
        if self._name != "op":
            line.must(18, 21, " ")
            return line.above_zero(12, 17)
        number = line.some(12, 21)
        if not number.isdigit() or len(number) > 6:
            raise UnreadableFile(f"line {line.number}: {number!r} is no customer number")
        return int(number)

    def _buyer(self, line: Line) -> Card:
        self._begin(line, "1")
        number, name = self._customer(line), line.some(32, 61)
        business_id = line.at(22, 31).strip().lstrip("0" if self._name == "aktia" else "")
        if business_id and not business_id.isdigit():
            raise UnreadableFile(f"line {line.number}: business id {business_id!r}")
        line.some(92, 111)
        line.some(112, 131)
        line.must(132, 187, " ")
        self._behind_the_address(line)
        return Card(number, business_id, name)

    def _behind_the_address(self, line: Line) -> None:
        shift = 13 if self._name == "aktia" else 0
        if not shift:
            line.must(188, 200, " ")
        line.must(201 - shift, 205 - shift, "FIEUR")
        line.figures(206 - shift, 209 - shift)
        line.must(210 - shift, 218 - shift, "0")
        if self._name == "op":
            line.must(62, 91, " ")
            line.must(206, 209, "0")
            line.must(219, 222, "0010")
            line.must(223, 400, " ")
        elif self._name == "danske":
            line.must(219, 219, "0")
            line.must(220, 400, " ")
        else:
            line.must(219 - shift, 400, " ")

    def _invoice(self, line: Line, card: Card) -> Item:
        self._begin(line, "3")
        if self._customer(line) != card.number:
            raise UnreadableFile(f"line {line.number}: the buyer before it is another")
        is_danske = self._name == "danske"
        number = line.above_zero(22, 30 if is_danske else 31)
        line.must(38, 40, "EUR")
        line.must(41, 46, line.at(32, 37))
        kind, amount_minor = line.must(47, 48, "01", "02"), line.above_zero(49, 60)
        self._fillers(line, card)
        self._counts[kind] += 1
        self._sums[kind] += amount_minor
        reference = str(line.figures(373, 392)) if self._name == "nordea" else ""
        days = line.day(32, 37), line.day(61, 66)
        return Item(kind == "02", number, card.number, amount_minor, *days, reference=reference)

    def _fillers(self, line: Line, card: Card) -> None:
        """Discounts are none; what stands in their place differs by dialect, as does the delivery address."""
        odd = " " if self._name == "aktia" else "0"
        for first, last, expected in (
            (67, 90, "0"), (91, 102, odd), (103, 150, "0"), (151, 174, odd), (175, 178, "0"), (179, 180, odd),
            (181, 194, "0"), (281, 310, " "), (311, 323, "0" if self._name in {"nordea", "danske"} else " "),
            (324, 353, " "), (354, 359, "0"),
        ):  # fmt: skip
            line.must(first, last, expected)
        if self._name == "danske":
            line.must(31, 31, " ")
        if self._name == "op":
            for first, last, expected in ((195, 224, " "), (225, 240, "0"), (241, 280, " "), (360, 362, "001")):
                line.must(first, last, expected)
            line.must(363, 400, " ")
            return
        line.some(195, 224)
        if line.figures(225, 230) != card.number or line.at(231, 240).lstrip("0 ") != card.organisation_number:
            raise UnreadableFile(f"line {line.number}: is delivered to somebody else")
        if self._name == "nordea":
            line.must(360, 369, " ")
            line.must(370, 372, "0")
            line.must(393, 400, " ")
        else:
            line.must(360, 400, " ")

    def _total(self, line: Line, head: Line) -> None:
        self._begin(line, "9")
        line.must(6, 32, head.at(6, 32))
        stated = tuple(line.figures(*at) for at in ((33, 38), (39, 44), (45, 57), (58, 63), (64, 76)))
        debits, credits_ = self._counts["01"], self._counts["02"]
        found = (debits + credits_, debits, self._sums["01"], credits_, self._sums["02"])
        if stated != found:
            raise UnreadableFile(f"the totals say {stated}, the invoices {found}")
        line.must(77, 114, "0")
        line.must(115, 127, "0" if self._name == "nordea" else " ")
        line.must(128, 400, " ")
