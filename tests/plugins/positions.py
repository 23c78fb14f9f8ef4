"""Records as a page describes them, column by column, and where a line or a declaration says something else.

Nothing of the code under test is imported: what that declares or writes is handed in.
"""

from typing import NamedTuple


class Place(NamedTuple):
    """One field: its columns, its content in full width, its name."""

    first: int
    last: int
    holds: str
    name: str


class Page(NamedTuple):
    """One record as a page describes it."""

    title: str
    length: int
    places: tuple[Place, ...]

    @property
    def line(self):
        """The record as it stands in the golden file."""
        return "".join(place.holds for place in self.places)


def page(title, length, table, **words):
    """Return the record that *table* describes; its columns follow each other without a gap."""
    places, behind = [], 0
    for row in table.strip().splitlines():
        columns, value, name = (part.strip() for part in row.format(**words).split("|"))
        first, _, last = columns.partition("-")
        place = Place(int(first), int(last or first), "", name)
        width = place.last - place.first + 1
        holds = "0" * width if value == "0*" else value.replace("~", " ").ljust(width)
        assert (place.first, len(holds)) == (behind + 1, width), f"{title}: {row}"
        places.append(place._replace(holds=holds))
        behind = place.last
    assert behind == length, f"{title} ends at {behind}"
    return Page(title, length, tuple(places))


def differences(told, line):
    """Return where *line* is not what the page *told* says."""
    found = [f"{told.title}: {len(line)} characters, not {told.length}"] if len(line) != told.length else []
    for place in told.places:
        seen = line[place.first - 1 : place.last]
        if seen != place.holds:
            found.append(f"{told.title} {place.first}-{place.last} {place.name}: {seen!r}, not {place.holds!r}")
    return found


def misplaced(told, spans):
    """Return the fields of a declaration, given as (first, last) columns, that stand elsewhere than the page *told* says."""
    wanted = {(place.first, place.last): place.name for place in told.places}
    found = [
        f"{told.title} {first}-{last}: no field of the page" for first, last in spans if (first, last) not in wanted
    ]
    return found + [f"{told.title} {at[0]}-{at[1]} {wanted[at]}: not declared" for at in wanted if at not in set(spans)]


def of_file(content, pages):
    """Return every column of a whole file that is not what its *pages* say; lines end in CRLF, one byte to a character."""
    if not content.endswith(b"\r\n"):
        return ["does not end in CRLF"]
    lines = content.decode("iso-8859-1")[:-2].split("\r\n")
    found = [f"{len(lines)} lines, not {len(pages)}"] if len(lines) != len(pages) else []
    return found + [fault for told, line in zip(pages, lines, strict=False) for fault in differences(told, line)]
