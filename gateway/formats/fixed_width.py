"""Goes through files of fixed-width records: at the speed of one compiled expression, and line by line where that fails.

A reader declares its records (`record`), joins their patterns to the *unit* that nearly all of the file consists of (one
payment with its records), and gets the file back as columns of raw texts, or as single lines that fit no unit. One
`split` of a piece of the file does both, so no byte is passed over unseen. What the lines mean, and every error, is
the business of the thorough path, which reads the same declarations; a reader without its fast path says the same, which
the tests hold it to (ADR 0021).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator, Sequence
from datetime import date
from functools import partial
from itertools import chain, compress, count, repeat
from typing import BinaryIO, ClassVar, TypeVar, cast

from gateway.domain.exchange import Finding, Payment
from gateway.domain.reasons import said
from gateway.errors import DecodeError
from gateway.formats.audit import Audit
from gateway.formats.record import day_of, decode, no_days

CHUNK_BYTES = 1 << 16
"""A piece and the texts of its columns fit the processor's cache; four times as much costs a quarter of the speed."""
MAX_LINE_BYTES = 1 << 16
"""A file that goes on this long without a line end is not made of records."""

HELD_LINES = 100
"""A payment has at most 90 lines of free text (BgMax), a handful of others; a longer one is read line by line."""

END_OF_LINE = " *\n"
_MARK = b"\xef\xbb\xbf"
_END_OF_FILE = b" \r\n\x1a"
_PRINTABLE = bytes({*range(32, 256)} - {127})
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
R = TypeVar("R")


def scanner(unit: str) -> re.Pattern[str]:
    """Return the expression for a `FixedWidthReader.units`.

    Each match has, for a unit, the named groups of *unit* in their order; for any other line, that line as last group.

    Args:
        unit: patterns of records (`record_pattern`), each followed by `END_OF_LINE`. It must end in a look-ahead for what
            may follow, so that a unit whose last records stand in the next piece is left to the thorough path.
    """
    return re.compile(f"{unit}|(?P<any_line>.*\n)")


class FixedWidthReader(ABC):
    """What readers of fixed-width payment files share: pieces of text, the place in them, faults.

    A reader sets *format*, *width* and *units*, and implements `_take` (the fast path), `_read_line` (the thorough path)
    and `_finish`. *identity* names the file as its sender numbers it (payments.md 8); *accounts* counts transactions per
    receiving account. These, *findings*, *totals* and *transactions* are complete when the iteration has ended.
    """

    format: str
    width: ClassVar[int] = 80
    units: ClassVar[re.Pattern[str]]
    may_lack: ClassVar[frozenset[str]] = frozenset()
    """Groups of *units* that stand in a record which a unit need not have."""
    ends_whole: ClassVar[bool] = False
    """Whether the last record has no blanks at its end that may be trimmed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._audit = stream, Audit()
        self.findings: list[Finding] = self._audit.findings
        self.totals = self._audit.totals
        self.identity = ""
        self.accounts: dict[str, int] = {}
        self._is_damaged = self._is_recoded = False
        self._recoded_place = ""
        self._text, self._lines_before = "", 0
        self._last = ""  # what stands behind the last line end
        self._unit: int | None = None  # the unit being read, where the text is read by units
        self._offset = 0  # the line being read, where it is read by lines
        self._starts: Iterator[tuple[int, int]] = iter(())
        self._looked_up = (-1, 0)
        self._counted = (0, 0)  # a place in the text and the number of its line

    @property
    def transactions(self) -> int:
        """How many transactions the file holds, posted or not."""
        return self._audit.transactions

    def __iter__(self) -> Iterator[Payment]:
        """Yield the payments in file order, in one pass.

        Raises:
            FileQuarantined: damaged, cut short, or its control totals do not agree.
            FileRefused: not a file of this format after all.
        """
        return chain.from_iterable(self._runs())  # no frame of ours is entered for each payment

    def _runs(self) -> Iterator[Iterable[Payment]]:
        """Yield the payments of one run of units or of one line after the other; each must be used up before the next."""
        held = ""
        for text in chain(self._pieces(), ("",)):
            held = yield from self._read_piece(held + text, len(held), is_last=not text)
        if self._recoded_place:
            self._audit.warn("file.encoding", self._recoded_place, encoding="ISO-8859-1")
        if self.ends_whole and 0 < len(self._last) < self.width:
            self._audit.block("file.truncated", f"line {self._lines_before}", self._last)
        yield self._finish()
        self._audit.close()

    # --- what a reader implements ---

    @abstractmethod
    def _take(self, columns: Sequence[Sequence[str]], count: int) -> Iterable[Payment] | None:
        """Return the payments of *count* units that follow each other without a line between.

        Args:
            columns: the raw texts of one column each, in the order of the groups of *units*.
            count: how many units; at least 1.

        Returns:
            None, with nothing counted, where only the thorough path can judge: it reads the same lines then.
        """

    @abstractmethod
    def _read_line(self, line: str) -> Iterable[Payment]:
        """Take one line, as it stands in the file without its line end; return the payments it completes."""

    @abstractmethod
    def _finish(self) -> Iterable[Payment]:
        """Hand on what waited and compare the control totals."""

    # --- pieces ---

    def _pieces(self) -> Iterator[str]:
        """Yield the file in pieces, as its sender wrote them."""
        for text in pieces(self._stream, self.width):
            before = recoded(text)
            self._is_recoded |= before is not None
            yield text if before is None else before

    def _read_piece(self, text: str, seen: int, *, is_last: bool) -> Generator[Iterable[Payment], None, str]:
        """Read *text*, of which *seen* characters were held back before; return the lines at its end to hold back."""
        self._text, self._counted, held = text, (0, self._lines_before + 1), ""
        if text[-1:] not in {"", "\n"}:
            text = self._last_line(text)
        self._look_for_recoding(text, seen)
        # Twice as quick as counting lines and looking for other control characters one after the other.
        controls = text.encode("latin-1", "replace").translate(None, _PRINTABLE)
        line_count = controls.count(b"\n")
        if line_count < len(controls):
            yield self._read_lines(0, len(text))
        else:
            flat = self.units.split(text)
            lines = flat[self.units.groups :: self.units.groups + 1]
            held = "" if is_last else _loose_end(lines)
            yield from self._read_units(flat, lines)
        self._lines_before += line_count - held.count("\n")
        self._text, self._offset, self._unit, self._counted = "", 0, None, (0, self._lines_before)
        return held

    def _last_line(self, text: str) -> str:
        """Return a piece without a line end with one, unless its line never ends."""
        self._offset = text.rfind("\n") + 1
        if len(text) - self._offset >= MAX_LINE_BYTES:
            self._audit.quarantine("file.record_length", self._place(), text[self._offset :][: self.width])
        self._last = text[self._offset :]
        self._text = text + "\n"
        return self._text

    def _look_for_recoding(self, text: str, seen: int) -> None:
        """Keep where a file begins to show that it is a copy in UTF-8; it is told at the end, whoever holds lines back."""
        if self._is_recoded and not self._recoded_place and not text[seen:].isascii():
            self._offset = next(place for place in range(seen, len(text)) if not text[place].isascii())
            self._recoded_place = f"line {self._line_number()}"
            self._counted = (0, self._lines_before + 1)  # lines are numbered from the start of the piece again

    def _read_units(self, flat: Sequence[str | None], lines: Sequence[str | None]) -> Iterator[Iterable[Payment]]:
        """Read runs of units, each as columns, and the *lines* between them.

        *flat* is what ``split`` gives: for each match the nothing before it, then its groups. Columns are strides of it,
        which spares a tuple for each payment.
        """
        self._starts = enumerate(match.start() for match in self.units.finditer(self._text))
        self._looked_up, start, stop = (-1, 0), 0, len(lines)
        step = self.units.groups + 1
        lacking = {self.units.groupindex.get(name) for name in self.may_lack}
        groups = [(group, group in lacking) for group in range(1, step - 1)]
        for number in chain(compress(count(), lines), (stop,)):
            if start < number:
                self._unit = start
                columns = [
                    _whole_column(flat[start * step + group : number * step : step], has_gaps=has_gaps)
                    for group, has_gaps in groups
                ]
                payments = self._take(columns, number - start)
                if payments is None:
                    first, self._unit = self._here(), number
                    behind, self._unit = self._here(), None
                    payments = self._read_lines(first, behind)
                yield payments
            line = lines[number] if number < stop else None
            if line:
                self._unit = number
                yield self._read_line(line[:-1])
            start = number + 1

    def _read_lines(self, start: int, stop: int) -> Iterator[Payment]:
        """Read a part of the present piece line by line."""
        text = self._text
        while start < stop:
            self._offset, end = start, text.index("\n", start)
            yield from self._read_line(text[start:end])
            start = end + 1

    def _here(self) -> int:
        """Return where in the piece the present unit or line begins. Seldom asked for, so it is looked up, not kept."""
        if self._unit is not None:
            number, self._offset = self._looked_up
            while number < self._unit:
                number, self._offset = next(self._starts, (self._unit, len(self._text)))
            self._looked_up, self._unit = (number, self._offset), None
        return self._offset

    # --- lines ---

    def _whole(self, raw: str) -> str:
        """Return a line as a record: blanks that were trimmed on the way are put back."""
        line = raw.rstrip(" \r\x1a")
        if "\t" in line:
            self._audit.warn("file.tab", self._place(), line)  # it shifts the columns behind it
        if found := _FORBIDDEN.search(line):
            self._fault("wrong.control_character", value=line[found.start() :])
        if len(line) > self.width:
            self._audit.block("file.record_length", self._place(), line)
            self._is_damaged = True
        return line[: self.width].ljust(self.width)

    def _decoded(self, record: type[R], line: str) -> R | None:
        """Return *line* as *record*, or None after noting which field is wrong."""
        try:
            return decode(record, line)
        except DecodeError as error:
            self._is_damaged = True
            self._audit.block("file.invalid", self._place(error.field), error.value, reason=error.reason)
            return None

    def _fault(self, code: str, *, field: str = "", value: str = "", line: int = 0, **values: object) -> None:
        """Note damage, which *code* with its *values* says in words: the file will not take effect."""
        self._is_damaged = True
        reason = "" if self._audit.is_full else said(code, **values)
        self._audit.block("file.invalid", self._place(field, line), value, reason=reason)

    def _compare(self, what: str, stated: object, computed: object) -> None:
        """Compare a control total the record just read states with what its rows give."""
        if stated != computed:
            self._audit.compare(what, stated, computed, self._place())

    def _compare_sum(self, what: str, stated: int, computed: int, currency: str) -> None:
        """Compare a sum in minor units likewise."""
        if stated != computed:
            self._audit.compare_sum(what, stated, computed, currency, self._place())

    def _place(self, field: str = "", line: int = 0) -> str:
        """Return where reading stands, in words; nothing when no further finding is kept."""
        if self._audit.is_full:
            return ""
        return f"line {line or self._line_number()}" + (f", {field}" if field else "")

    def _line_number(self) -> int:
        (before, number), here = self._counted, self._here()
        self._counted = (here, number + self._text.count("\n", before, here))
        return self._counted[1]


class Days(dict[str, date | None]):
    """Dates by how they are written in a day column; None by what stands there for no date.

    For readers of columns: a file has many payments but few days, so each is read once.
    """

    def __init__(self, cls: type, field: str) -> None:
        super().__init__(dict.fromkeys(no_days(cls, field)))
        self._see = partial(day_of, cls, field)

    def know(self, raw_days: set[str]) -> bool:
        """Return whether all these dates exist, and remember them."""
        for raw in raw_days - self.keys():
            found = self._see(raw)
            if found is None:
                return False
            self[raw] = found
        return True


def stripped(column: Sequence[str]) -> list[str]:
    """Return *column* without the blanks around each text, and without those alone.

    Taking off whatever counts as space goes twice as quick: the same, where no tab and nothing beyond ASCII stands.
    """
    joined = "".join(column)
    is_plain = joined.isascii() and "\t" not in joined
    return list(map(str.strip, column) if is_plain else map(str.strip, column, repeat(" ")))


def _whole_column(column: Sequence[str | None], *, has_gaps: bool) -> Sequence[str]:
    """Return a column with nothing in place of records that a unit does not have."""
    if not has_gaps or all(column):  # much quicker than looking for None, which is compared with every text
        return cast("Sequence[str]", column)
    if not any(column):
        return [""] * len(column)
    return [text or "" for text in column]


def _loose_end(lines: list[str | None]) -> str:
    """Take off *lines* those at the end that fit no unit yet, and return them: the next piece may complete them."""
    number = next((number for number, line in enumerate(reversed(lines[-HELD_LINES:])) if not line), 0)
    held = "".join(filter(None, lines[-number:])) if number else ""
    del lines[len(lines) - number :]
    return held


def recoded(text: str) -> str | None:
    """Return *text*, read as ISO-8859-1, as what it was before somebody encoded it anew in UTF-8; None if nobody did.

    Text of our languages in ISO-8859-1 is not UTF-8 by chance: each letter beyond ASCII would need its like behind it.
    """
    if text.isascii():
        return None
    try:
        return text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return None


def pieces(stream: BinaryIO, width: int) -> Iterator[str]:
    """Yield a file as text of whole lines, each ended by LF, decoded as ISO-8859-1, at constant memory.

    A byte order mark and blank lines before the first record are passed over, as are blanks and 0x1A behind the last. A
    file without line ends is divided every *width* bytes. What stands behind the last line end comes as a piece of its
    own, without a line end; so does a line that has none in `MAX_LINE_BYTES`.
    """
    tail = stream.read(CHUNK_BYTES).removeprefix(_MARK).lstrip(b" \r\n")
    divide = _by_line_ends if _has_line_ends(tail[: 2 * width + 4], width) else partial(_by_width, width)
    chunk = tail
    while chunk:
        whole, tail = divide(tail)
        if whole:
            yield whole
        if len(tail) > MAX_LINE_BYTES:
            break
        chunk = stream.read(CHUNK_BYTES)
        tail += chunk
    if tail.rstrip(_END_OF_FILE):
        yield tail.rstrip(b"\r\n\x1a").decode("latin-1")


def _has_line_ends(head: bytes, width: int) -> bool:
    return b"\n" in head or b"\r" in head or len(head) < 2 * width


def _by_line_ends(tail: bytes) -> tuple[str, bytes]:
    cut = (tail.rfind(b"\n") if b"\n" in tail else tail.rfind(b"\r")) + 1
    text = str(memoryview(tail)[:cut], "latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text, tail[cut:]


def _by_width(width: int, tail: bytes) -> tuple[str, bytes]:
    cut = len(tail) // width * width
    text = tail[:cut].decode("latin-1")
    return "".join([text[start : start + width] + "\n" for start in range(0, cut, width)]), tail[cut:]
