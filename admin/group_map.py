"""The link group as a picture: the invoice to the left, what is linked to the right, proposals dashed.

SVG from here, no script: a width or place that depends on data is an attribute (design/panel/README.md, point 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

MEMBERS_SHOWN = 6
BOX_HEIGHT, GAP = 84, 22


@dataclass(frozen=True, slots=True)
class Box:
    """One entry's place in the picture; *is_loose* is a proposal, not a link."""

    row: Row[Any]
    y: int
    is_loose: bool

    @property
    def middle(self) -> int:
        """Where its tie ends."""
        return self.y + BOX_HEIGHT // 2


@dataclass(frozen=True, slots=True)
class GroupMap:
    """Everything the template needs to draw; *more* counts the members that are only in the table below."""

    main: Row[Any]
    boxes: Sequence[Box]
    height: int
    main_y: int
    more: int


def group_map(entry: Row[Any], members: Sequence[Row[Any]], loose: Sequence[Row[Any]]) -> GroupMap:
    """Return the picture of *entry*'s group with up to `MEMBERS_SHOWN` members and the *loose* proposals."""
    others = [row for row in members if row.id != entry.id]
    shown = [(row, False) for row in others[:MEMBERS_SHOWN]] + [(row, True) for row in loose]
    boxes = [Box(row, 2 + n * (BOX_HEIGHT + GAP), is_loose) for n, (row, is_loose) in enumerate(shown)]
    height = max(1, len(boxes)) * (BOX_HEIGHT + GAP) - GAP + 4
    return GroupMap(entry, boxes, height, (height - BOX_HEIGHT) // 2, max(0, len(others) - MEMBERS_SHOWN))
