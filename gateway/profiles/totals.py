"""Control totals of a file: counted as it is written, compared as it is read (S10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from gateway.errors import DecodeError
from gateway.profiles.declaration import FileLayout, Part, Term


class _Step(NamedTuple):
    """What one record adds to one total. *amount* and *condition* are places among its values, -1 for none."""

    total: tuple[str, str]
    amount: int
    condition: int
    wanted: str
    sign: int


class _Stated(NamedTuple):
    line: int
    part: str
    field: str
    value: int


class Totals:
    """The totals that the fields of *layout* declare, by (record, field)."""

    def __init__(self, layout: FileLayout) -> None:
        self._sums: dict[tuple[str, str], int] = {}
        self._steps: dict[str, list[_Step]] = {}
        self._stated: list[_Stated] = []
        for part in layout.parts.values():
            for one in part.fields:
                if one.terms:
                    self._sums[part.key, one.name] = 0
                    for term in one.terms:
                        self._steps.setdefault(term.part, []).append(
                            _step(layout.parts[term.part], (part.key, one.name), term)
                        )
        self.fields = frozenset(self._sums)
        self.stating = frozenset(part for part, _ in self._sums)

    def adder(
        self, key: str, places: Mapping[int, int], fixed: Mapping[int, object]
    ) -> Callable[[Sequence[Any]], None] | None:
        """Return what counts a record of part *key* of which some values never change; None where no total counts it.

        Args:
            key: the part.
            places: for each value that varies, by its place in the record, its place among those that will be given.
            fixed: the values that never change, by place.
        """
        steps = [
            step._replace(amount=places.get(step.amount, -1), condition=places.get(step.condition, -1))
            for step in self._steps.get(key, ())
            if step.condition not in fixed or _told(fixed[step.condition]) == step.wanted
        ]
        if not steps:
            return None
        sums = self._sums
        if len(steps) == 1 and steps[0].amount < 0 and steps[0].condition < 0:
            total = steps[0].total

            def count(_: Sequence[Any]) -> None:
                sums[total] += 1

            return count
        if len(steps) == 1 and steps[0].condition < 0 and steps[0].sign > 0:
            return self._summing(steps[0])
        return partial(self._add, steps)

    def _summing(self, step: _Step) -> Callable[[Sequence[Any]], None]:
        sums, total, place = self._sums, step.total, step.amount

        def add(values: Sequence[Any]) -> None:
            amount = values[place]
            if isinstance(amount, int):
                sums[total] += amount

        return add

    def add(self, key: str, values: Sequence[Any]) -> None:
        """Count a record of part *key*; *values* stand in the order of its fields."""
        self._add(self._steps.get(key, ()), values)

    def _add(self, steps: Sequence[_Step], values: Sequence[Any]) -> None:
        for step in steps:
            if step.condition >= 0 and _told(values[step.condition]) != step.wanted:
                continue
            if step.amount < 0:
                self._sums[step.total] += 1
            elif isinstance(amount := values[step.amount], int):
                self._sums[step.total] += step.sign * amount

    def of(self, key: str, field: str) -> int:
        """Return a total as it stands now."""
        return self._sums[key, field]

    def state(self, line: int, part: Part, values: Sequence[Any]) -> None:
        """Keep what a record that was read says of totals; `compare` judges it when the file has ended."""
        if part.key not in self.stating:
            return
        for one, value in zip(part.values, values, strict=True):
            if one.terms and isinstance(value, int):
                self._stated.append(_Stated(line, part.key, one.name, value))

    def compare(self) -> None:
        """Compare what was stated with what was read.

        Raises:
            DecodeError: they differ; it names line, record, field and the value stated.
        """
        for line, part, field, value in self._stated:
            computed = self._sums[part, field]
            if value != computed:
                reason = f"is a control total that does not agree: the file's own records give {computed}"
                raise DecodeError(reason, line=line, path=part, field=field, value=str(value))


def _told(value: Any) -> str:
    return str(getattr(value, "value", value))


def _step(part: Part, total: tuple[str, str], term: Term) -> _Step:
    places = {one.name: number for number, one in enumerate(part.values)}
    return _Step(total, places.get(term.amount, -1), places.get(term.field, -1), term.value, -1 if term.is_minus else 1)
