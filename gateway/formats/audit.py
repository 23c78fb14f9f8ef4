"""The books a reader keeps while it reads: what it found, what it counted, and whether the file may take effect.

Every payment reader has one `Audit`. Faults are collected and reported together (a sender mends a file once, not ten
times); the file is quarantined at its end, when the control totals have been compared as well.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import NoReturn

from gateway.domain.exchange import Direction, Finding, Severity
from gateway.domain.money import format_minor
from gateway.domain.reasons import said
from gateway.errors import FileQuarantined, FileRefused

MAX_FINDINGS = 200
"""Findings kept in full. A file wrong in every line says nothing more in its ten-thousandth; the rest are counted."""

SHOWN = 200
"""Characters of a text that a finding shows: damage may have any length, a page and a row of the database may not."""

MAX_REFERENCE_CHARACTERS = 600
"""References are looked up by an index, which takes 2,700 bytes and no more; those of banks have 140 characters at most."""


class Audit:
    """Findings, totals and the number of transactions of one file.

    *totals* maps a currency to ``{"credit": minor, "debit": minor}`` over everything the file holds, whether or not it
    may be posted. *transactions* counts those whose content could not be read as well.
    """

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.totals: dict[str, dict[str, int]] = {}
        self.transactions = 0
        self.is_blocked = False
        self._left_out = 0

    @property
    def is_full(self) -> bool:
        """Whether further findings are only counted: finding out where they stand is not worth its time."""
        return len(self.findings) >= MAX_FINDINGS

    def info(self, code: str, place: str = "", value: str = "", **values: object) -> None:
        """Note something a person may want to know."""
        self._add(Severity.INFO, code, place, value, values)

    def warn(self, code: str, place: str = "", value: str = "", **values: object) -> None:
        """Note something a person should look at; the file still takes effect."""
        self._add(Severity.WARNING, code, place, value, values)

    def block(self, code: str, place: str = "", value: str = "", **values: object) -> None:
        """Note a fault that keeps the whole file from taking effect; reading goes on."""
        self.is_blocked = True
        self._add(Severity.BLOCKING, code, place, value, values)

    def compare(self, what: str, stated: object, computed: object, place: str) -> None:
        """Compare a control total the file states with what its rows give."""
        if stated != computed:
            self.block("file.control_total", f"{place}, {what}", str(stated), stated=stated, computed=computed)

    def compare_sum(self, what: str, stated: int, computed: int, currency: str, place: str) -> None:
        """Compare sums in minor units; they are told as people write them."""
        if stated != computed:
            self.compare(what, format_minor(stated, currency), format_minor(computed, currency), place)

    def check_reference(self, value: str, place: str) -> None:
        """Block a file with a reference too long to be one: no database indexes it, and nothing is ever cut."""
        if len(value) > MAX_REFERENCE_CHARACTERS:
            reason = said("wrong.text_length", least=0, most=MAX_REFERENCE_CHARACTERS)
            self.block("file.invalid", place, value, reason=reason)

    def quarantine(self, code: str, place: str = "", value: str = "", **values: object) -> NoReturn:
        """Note a fault behind which nothing sensible can be read, and stop.

        Raises:
            FileQuarantined: with every finding so far.
        """
        self.block(code, place, value, **values)
        raise FileQuarantined(self._all())

    def refuse(self, code: str, place: str = "", value: str = "", **values: object) -> NoReturn:
        """Note why the file is not of a kind we take, and stop.

        Raises:
            FileRefused: with every finding so far.
        """
        self.block(code, place, value, **values)
        raise FileRefused(self._all())

    def close(self) -> None:
        """Give the verdict at the end of the file.

        Raises:
            FileQuarantined: something blocks the file.
        """
        findings = self._all()
        if self.is_blocked:
            raise FileQuarantined(findings)

    def count(self, currency: str, credit: int, debit: int) -> None:
        """Add to the totals; *credit* and *debit* are minor units, not negative."""
        total = self.totals.setdefault(currency, {"credit": 0, "debit": 0})
        total["credit"] += credit
        total["debit"] += debit

    def _add(self, severity: Severity, code: str, place: str, value: str, values: Mapping[str, object]) -> None:
        if len(self.findings) < MAX_FINDINGS:
            told = {name: text[:SHOWN] if type(text) is str else text for name, text in values.items()}
            self.findings.append(Finding(severity, code, place[:SHOWN], value[:SHOWN], told))
        else:
            self._left_out += 1

    def _all(self) -> list[Finding]:
        if self._left_out:
            severity = Severity.BLOCKING if self.is_blocked else Severity.WARNING
            self.findings.append(Finding(severity, "file.more_findings", values={"count": self._left_out}))
            self._left_out = 0
        return self.findings


def direction(is_credit: bool) -> Direction:
    """Return ``CREDIT`` for money in to the creditor."""
    return Direction.CREDIT if is_credit else Direction.DEBIT


class Ordinals:
    """Numbers equal identities in one file: two equal payments are two payments (payments.md 8).

    Open-addressed tables of 64-bit hashes: 16 MiB for a million payments, where a set of their identities takes 150.
    Sixteen of them, since a table that grows stands beside the old one for a while: one alone would take half as much
    again. Two different identities in a million share a hash once in thirty million files; the later of them would then
    carry ordinal 2 instead of 1, which is still unique.
    """

    def __init__(self) -> None:
        self._again: dict[int, int] = {}
        self._tables = [_slots(1 << 8) for _ in range(_TABLES)]
        self._room = [_room(table) for table in self._tables]

    def next(self, identity: str) -> int:
        """Return how many times *identity* has been seen, this time included."""
        key = hash(identity) or 1  # 0 marks an empty slot
        number = key >> _SHIFT & _TABLES - 1
        table = self._tables[number]
        mask = len(table) - 1
        slot = key & mask
        while seen := table[slot]:
            if seen == key:
                self._again[key] = count = self._again.get(key, 1) + 1
                return count
            slot = slot + 1 & mask
        table[slot] = key
        self._room[number] -= 1
        if not self._room[number]:
            self._grow(number)
        return 1

    def _grow(self, number: int) -> None:
        old = self._tables[number]
        self._tables[number] = table = _slots(2 * len(old))
        self._room[number] = _room(table) - _room(old)
        mask = len(table) - 1
        for key in old:
            if key:
                slot = key & mask
                while table[slot]:
                    slot = slot + 1 & mask
                table[slot] = key


_TABLES = 16
_SHIFT = 48
"""Which bits of a hash choose the table: none of those that choose the slot in it."""


def _slots(size: int) -> array[int]:
    return array("q", [0]) * size


def _room(table: array[int]) -> int:
    """Return how many of its slots may be filled; beyond two thirds looking takes too long."""
    return len(table) * 2 // 3
