"""How the far side reads Svea's ledger file: the columns of factoring-others.md section 1."""

from __future__ import annotations

from collections.abc import Iterator

from plugins.factoring.far_files import Card, Facts, Item, Layout, Line, Said, UnreadableFile, iso_day, lines

_LENGTHS = {"00": 17, "01": 491, "11": 143, "99": 39}


class _Reader:
    """One file: a start, invoices with their rows behind them, an end with count and sum."""

    def __init__(self, facts: Facts) -> None:
        self._agreement = facts["client_number"].rjust(7, "0")
        self._count = self._sum = 0

    def read(self, content: bytes) -> Iterator[Said]:
        """Yield each customer with the invoice of its record."""
        head, *inside, last = self._lines(content)
        head.must(1, 2, "00")
        _day(head, 10)
        item = None
        for line in inside:
            if line.must(1, 2, "01", "11") == "01":
                item = self._invoice(line)
                yield Card(item.customer, line.at(453, 463).strip(), line.some(35, 74))
                yield item
            elif item is None:
                raise UnreadableFile(f"line {line.number}: a row without its invoice")
            else:
                self._row(line, item)
        last.must(1, 9, f"99{self._agreement}")
        last.must(10, 17, head.at(10, 17))
        if (last.figures(18, 26), last.figures(27, 38)) != (self._count, self._sum):
            raise UnreadableFile("its end counts other invoices")
        last.must(39, 39, "+")

    def _lines(self, content: bytes) -> list[Line]:
        found = list(lines(content, 0))
        for line in found:
            kind = line.at(1, 2)
            if line.length != _LENGTHS.get(kind):
                raise UnreadableFile(f"line {line.number}: {line.length} characters are no record {kind!r}")
            line.must(3, 9, self._agreement)
        if len(found) < 3:
            raise UnreadableFile("holds no invoice")
        return found

    def _invoice(self, line: Line) -> Item:
        for first, last, expected in (
            (30, 34, "0"), (180, 189, "0"), (347, 349, " "), (350, 357, "0"), (358, 393, " "), (394, 396, "0"),
            (397, 397, " "), (398, 400, "0"), (466, 490, "0"), (491, 491, " "),
        ):  # fmt: skip
            line.must(first, last, expected)
        line.some(115, 154)
        line.figures(155, 159)
        line.some(160, 179)
        sign = line.must(334, 334, "+", "-")
        line.must(346, 346, sign)
        line.must(451, 452, "01", "02", " ")
        amount_minor = line.above_zero(323, 333)
        if line.figures(335, 345) >= amount_minor:
            raise UnreadableFile(f"line {line.number}: its tax is all of it")
        self._count, self._sum = self._count + 1, self._sum + amount_minor
        days = _day(line, 211), _day(line, 219)
        return Item(sign == "-", line.above_zero(10, 19), line.above_zero(20, 29), amount_minor, *days)

    def _row(self, line: Line, item: Item) -> None:
        if (line.figures(10, 19), line.figures(23, 32)) != (item.number, item.customer):
            raise UnreadableFile(f"line {line.number}: the row of another invoice")
        line.must(20, 22, "0")
        if line.must(33, 33, "A", "T") == "T":
            line.must(34, 58, " ")
            line.some(59, 98)
            line.must(99, 143, " ")
            return
        line.must(34, 48, "0")
        for first, last in ((49, 57), (99, 109), (110, 111), (112, 122), (124, 127), (128, 138)):
            line.figures(first, last)
        for place in (58, 123, 139):
            line.must(place, place, "+", "-")


def _day(line: Line, first: int) -> str:
    line.must(first, first + 1, "20")
    return iso_day(line.at(first + 2, first + 7))


SVEA = Layout(
    lambda facts: (f"f*.{facts['client_number'].rjust(7, '0')}",),
    lambda _, content, facts: _Reader(facts).read(content),
)
