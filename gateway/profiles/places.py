"""On which line of a TOML text each key stands.

`tomllib` reads the text and says whether it is TOML, but forgets where a value stood, and so does tomlkit (ADR 0027). This
goes over a text that `tomllib` has accepted, so it need not judge anything: it only follows keys, brackets and line ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

Path = tuple[str | int, ...]

_TOKEN = re.compile(
    r'(?P<string>"""(?:[^\\]|\\.)*?"""(?:"{0,2})|\'\'\'.*?\'\'\'(?:\'{0,2})|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\')'
    r"|(?P<comment>#[^\n]*)|(?P<newline>\n)|(?P<blank>[ \t\r]+)|(?P<mark>[\[\]{},=.])|(?P<bare>[^\s\[\]{},=.#\"']+)",
    re.DOTALL,
)


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def lines_of(text: str) -> dict[Path, int]:
    """Return the line (from 1) of every table, key and array element of *text*, by its path.

    Args:
        text: a document that `tomllib.loads` has accepted.
    """
    return _Scanner(text).places


class _Scanner:
    """Walks the tokens once. *places* grows as keys are met; the first mention of a path counts."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at, self._counts = 0, dict[Path, int]()
        self.places: dict[Path, int] = {(): 1}
        table: Path = ()
        while not self._is("end"):
            if self._is("newline"):
                self._at += 1
            elif self._is("mark", "["):
                table = self._header()
            else:
                self._pair(table)

    def _is(self, kind: str, text: str = "") -> bool:
        token = self._tokens[self._at]
        return token.kind == kind and (not text or token.text == text)

    def _next(self) -> _Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _header(self) -> Path:
        line, is_array = self._next().line, self._is("mark", "[")
        self._at += is_array
        keys = self._keys()
        self._at += 1 + is_array
        path: Path = ()
        for number, key in enumerate(keys, 1):
            path = (*path, key)
            self.places.setdefault(path, line)
            if number == len(keys) and is_array:
                self._counts[path] = self._counts.get(path, -1) + 1
            if path in self._counts:
                path = (*path, self._counts[path])
        self.places.setdefault(path, line)
        return path

    def _keys(self) -> list[str]:
        found = []
        while self._tokens[self._at].kind in {"bare", "string"} or self._is("mark", "."):
            token = self._next()
            if token.kind != "mark":
                found.append(token.text[1:-1] if token.kind == "string" else token.text)
        return found

    def _pair(self, table: Path) -> None:
        line, path = self._tokens[self._at].line, table
        for key in self._keys():
            path = (*path, key)
            self.places.setdefault(path, line)
        self._at += 1  # the sign =
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._is("mark", "["):
            self._array(path)
        elif self._is("mark", "{"):
            self._at += 1
            while not self._is("mark", "}"):
                if self._is("mark", ",") or self._is("newline"):
                    self._at += 1
                else:
                    self._pair(path)
            self._at += 1
        else:
            while not (self._is("newline") or self._is("end") or self._tokens[self._at].text in {",", "]", "}"}):
                self._at += 1

    def _array(self, path: Path) -> None:
        self._at += 1
        number = 0
        while not self._is("mark", "]"):
            if self._is("mark", ",") or self._is("newline"):
                self._at += 1
                continue
            self.places[*path, number] = self._tokens[self._at].line
            self._value((*path, number))
            number += 1
        self._at += 1


def _tokens(text: str) -> Iterator[_Token]:
    line = 1
    for found in _TOKEN.finditer(text):
        kind = str(found.lastgroup)
        if kind not in {"blank", "comment"}:
            yield _Token(kind, found[0], line)
        line += found[0].count("\n")
    yield _Token("end", "", line)
