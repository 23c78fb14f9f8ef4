"""A profile's text, read with every fault told by file, line and key.

A profile is untrusted input: its size, depth and every value have bounds, and nothing in it is ever run. All faults of a
text are collected, so that who writes one mends them in one go.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path as FilePath
from typing import Any, NamedTuple

from gateway.errors import DataError
from gateway.profiles.places import Path, lines_of

MAX_BYTES = 1 << 18
"""A profile of six XML messages has forty thousand bytes; a text six times as long was written by no person."""

MAX_FAULTS = 50
"""Faults told of one text: behind them others mostly follow from the first."""

MAX_TEXT = 500
_NO_CONTROL = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]*")


class Fault(NamedTuple):
    """One thing wrong with a profile. *line* counts from 1, 0 where it is of the whole file; *key* is a dotted path."""

    file: str
    line: int
    key: str
    reason: str

    def __str__(self) -> str:
        """Return it as one line: file, line, key, reason."""
        where = [self.file, *([f"line {self.line}"] if self.line else []), *([self.key] if self.key else [])]
        return f"{', '.join(where)}: {self.reason}"


class ProfileError(DataError):
    """A profile cannot be used; *faults* say why, each with file, line and key."""

    def __init__(self, faults: Collection[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


class Source:
    """The text of one profile, its values, and the faults found so far.

    Args:
        content: the bytes of the file.
        file: what to call it in faults; its name, not where it lies.
    """

    def __init__(self, content: bytes, file: str) -> None:
        self.file, self.faults = file, list[Fault]()
        self.sha256 = hashlib.sha256(content).hexdigest()
        self._lines: dict[Path, int] = {}
        text, values = self._parsed(content)
        self._lines = lines_of(text)
        self.root = Table(self, (), values)

    @classmethod
    def at(cls, path: FilePath) -> Source:
        """Return the text of the file at *path*; raises ``ProfileError`` where it cannot be read or is too long."""
        try:
            with path.open("rb") as stream:
                content = stream.read(MAX_BYTES + 1)
        except OSError as error:
            raise ProfileError([Fault(path.name, 0, "", f"cannot be read: {error.strerror}")]) from error
        return cls(content, path.name)

    def _parsed(self, content: bytes) -> tuple[str, dict[str, Any]]:
        if len(content) > MAX_BYTES:
            raise ProfileError([Fault(self.file, 0, "", f"is longer than {MAX_BYTES} bytes")])
        try:
            text = content.decode("utf-8-sig").replace("\r\n", "\n")
            return text, tomllib.loads(text)
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise ProfileError([Fault(self.file, line, "", "is not UTF-8")]) from error
        except RecursionError as error:
            raise ProfileError([Fault(self.file, 0, "", "nests too deep")]) from error
        except ValueError as error:  # tomllib names the line in words; an integer of ten thousand digits has none
            found = re.search(r"\(at line (\d+), column \d+\)", str(error))
            reason = re.sub(r" \(at [^()]*\)$", "", str(error)).lower()
            raise ProfileError(
                [Fault(self.file, int(found[1]) if found else 0, "", f"is no TOML: {reason}")]
            ) from error

    def line_of(self, path: Path) -> int:
        """Return the line of a key, or of the nearest table around it."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 0)

    def fault(self, path: Path, reason: str, value: object = None) -> None:
        """Note a fault at *path*; *value* is shown where it is given."""
        shown = "" if value is None else f": {value!r:.100}"
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(self.file, self.line_of(path), dotted(path), f"{reason}{shown}"))

    def settle(self) -> None:
        """Raise ``ProfileError`` with every fault noted, if there is any."""
        if self.faults:
            raise ProfileError(self.faults)


class Table:
    """One table of a profile. Each key is asked for by what it must be; `close` notes the keys nobody asked for.

    A wrong value is noted as a fault and answered with the default, so that reading goes on to the next fault.
    """

    def __init__(self, source: Source, path: Path, values: dict[str, Any]) -> None:
        self.source, self.path, self._values = source, path, values
        self._asked: set[str] = set()

    @property
    def line(self) -> int:
        """Line on which the table begins."""
        return self.source.line_of(self.path)

    def has(self, key: str) -> bool:
        """Return whether *key* is stated."""
        return key in self._values

    def keys(self) -> tuple[str, ...]:
        """Return the keys that are stated, in their order."""
        return tuple(self._values)

    def fault(self, key: str, reason: str, value: object = None) -> None:
        """Note a fault at *key* of this table (empty: at the table itself)."""
        self.source.fault((*self.path, key) if key else self.path, reason, value)

    def text(
        self, key: str, default: str | None = None, *, shape: str = "", told: str = "", longest: int = MAX_TEXT
    ) -> str:
        """Return a text; without *default* it is needed. *shape* is a pattern of ours, *told* says what it demands."""
        value = self._take(key, str, "must be text", default is None)
        if value is None:
            return default or ""
        if len(value) > longest:
            self.fault(key, f"is longer than {longest} characters")
        elif not _NO_CONTROL.fullmatch(value):
            self.fault(key, "holds a control character")
        elif shape and not re.fullmatch(shape, value):
            self.fault(key, told or f"must match {shape}", value)
        else:
            return str(value)
        return default or ""

    def number(self, key: str, default: int | None = None, *, low: int, high: int) -> int:
        """Return a whole number from *low* to *high*; without *default* it is needed."""
        value = self._take(key, int, "must be a whole number", default is None)
        if value is None:
            return low if default is None else default
        if isinstance(value, bool) or not low <= value <= high:
            self.fault(key, f"must be a whole number from {low} to {high}", value)
            return low if default is None else default
        return int(value)

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Return true or false."""
        value = self._take(key, bool, "must be true or false", is_needed=False)
        return default if value is None else bool(value)

    def choice(self, key: str, choices: Collection[str], default: str | None = None) -> str:
        """Return one of *choices*; without *default* it is needed."""
        value = self.text(key, default)
        if value and value not in choices:
            self.fault(key, f"must be one of {', '.join(choices)}", value)
        return value if value in choices else (default or next(iter(choices)))

    def texts(self, key: str, *, most: int = 50) -> tuple[str, ...]:
        """Return a list of texts; a single text stands for a list of one."""
        value = self._take(key, (list, str), "must be a text or a list of texts", is_needed=False)
        found = [value] if isinstance(value, str) else value or []
        if len(found) > most or not all(isinstance(item, str) and len(item) <= MAX_TEXT for item in found):
            self.fault(key, f"must be a list of at most {most} texts of at most {MAX_TEXT} characters")
            return ()
        return tuple(found)

    def codes(self, key: str, *, most: int = 500) -> dict[str, str]:
        """Return a table of texts: our value to theirs."""
        value = self._take(key, dict, "must be a table of codes", is_needed=False) or {}
        if len(value) > most or not all(isinstance(item, str) and 0 < len(item) <= 100 for item in value.values()):
            self.fault(key, f"must have at most {most} texts of 1 to 100 characters")
            return {}
        return dict(value)

    def table(self, key: str, *, is_needed: bool = False) -> Table | None:
        """Return the table *key*, or None where it is not stated."""
        value = self._take(key, dict, "must be a table", is_needed)
        return None if value is None else Table(self.source, (*self.path, key), value)

    def tables(self, key: str, *, most: int, is_needed: bool = False) -> list[Table]:
        """Return the tables of a list."""
        value = self._take(key, list, "must be a list of tables", is_needed) or []
        if len(value) > most or not all(isinstance(item, dict) for item in value):
            self.fault(key, f"must be a list of at most {most} tables")
            return []
        return [Table(self.source, (*self.path, key, number), item) for number, item in enumerate(value)]

    def named(self, key: str, *, most: int, shape: str, told: str) -> Iterator[tuple[str, Table]]:
        """Yield the tables inside the table *key* with their names, in their order."""
        around = self.table(key)
        names = around.keys() if around else ()
        if len(names) > most:
            self.fault(key, f"has more than {most} tables")
        for name in names[:most]:
            assert around is not None
            inner = around.table(name)
            if not re.fullmatch(shape, name):
                around.fault(name, told, name)
            elif inner is not None:
                yield name, inner

    def close(self) -> None:
        """Note every key that nobody asked for: a key that is misspelt would otherwise do nothing, silently."""
        for key in self._values:
            if key not in self._asked:
                self.fault(key, f"is no key of this table; there are {', '.join(sorted(self._asked))}")

    def _take(self, key: str, kind: type | tuple[type, ...], reason: str, is_needed: bool) -> Any:
        self._asked.add(key)
        if key not in self._values:
            if is_needed:
                self.fault("", f"needs {key}")
            return None
        value = self._values[key]
        if not isinstance(value, kind):
            self.fault(key, reason, value)
            return None
        return value


def dotted(path: Path) -> str:
    """Return a path as it is told: ``file.invoices.record.total.columns[3].at``, numbers from 1."""
    told = ""
    for part in path:
        told += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if told else part
    return told
