"""Names of outgoing files: a pattern with a few known parts, never a path."""

from __future__ import annotations

import re
from datetime import date

from gateway.errors import EncodeError

LONGEST = 100
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PART = re.compile(r"\{(?:(sequence)(?::0([1-9]))?|(date)(?::([A-Z]{4,8}))?|(client))\}")
_DATES = {"YYYYMMDD": "%Y%m%d", "YYMMDD": "%y%m%d", "MMDD": "%m%d", "DDMMYY": "%d%m%y", "DDMMYYYY": "%d%m%Y"}


class FileName:
    """A pattern such as ``f{date:MMDD}{sequence:02}.{client}``.

    Args:
        pattern: letters, digits, ``. _ -`` and the parts ``{sequence}``, ``{sequence:03}`` (with at least so many
            digits), ``{date:YYYYMMDD}`` and ``{client}``.

    Raises:
        ValueError: with what is wrong.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        plain = _PART.sub("0", pattern)
        if not _PLAIN.fullmatch(plain) or ".." in plain or len(plain) > LONGEST:
            raise ValueError(
                "must be letters, digits, '.', '_', '-' and {sequence:03}, {date:YYYYMMDD}, {client}, and no path"
            )
        odd = next((found[4] for found in _PART.finditer(pattern) if found[4] and found[4] not in _DATES), None)
        if odd:
            raise ValueError(f"{odd} is no form of a date; there are {', '.join(_DATES)}")

    def made(self, *, sequence: int, day: date, client: str) -> str:
        """Return the name of one file.

        Raises:
            EncodeError: the parts do not make a plain file name, as with a client number that holds a slash.
        """

        def part(found: re.Match[str]) -> str:
            if found[1]:
                return str(sequence).rjust(int(found[2] or 1), "0")
            return day.strftime(_DATES[found[4] or "YYYYMMDD"]) if found[3] else client

        name = _PART.sub(part, self.pattern)
        if not _PLAIN.fullmatch(name) or ".." in name or len(name) > LONGEST:
            raise EncodeError(f"{name!r:.120} is no file name that may be sent")
        return name

    def digits_of_sequence(self) -> int:
        """Return how many digits the pattern gives the sequence number; 0 where it has none."""
        found = next((found for found in _PART.finditer(self.pattern) if found[1]), None)
        return int(found[2] or 1) if found else 0
