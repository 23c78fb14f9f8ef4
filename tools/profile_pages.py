"""Pages of ``docs/formats/profiles/``: the columns of every shipped profile, and the names a profile may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.profiles import load
from gateway.profiles.document import document
from gateway.profiles.importing import BECOMES, NEEDED
from gateway.profiles.shipped import shipped
from gateway.profiles.sources import EACH, PLACES

ROOT = Path(__file__).resolve().parents[1]


def pages(folder: Path) -> dict[Path, str]:
    """Return path and content of every page, to lie in *folder*."""
    made = {name: _page(path) for name, path in _ours().items()}
    return {folder / f"{name}.md": text for name, text in made.items()} | {folder / "README.md": _index()}


def _ours() -> dict[str, Path]:
    """Return the profiles of this repository: an installation may hold other plugins too."""
    return {name: path for name, path in shipped().items() if path.is_relative_to(ROOT)}


def _page(path: Path) -> str:
    title, rest = document(load(path)).split("\n", 1)
    printed = f"Printed from `{path.relative_to(ROOT)}` by `make docs`."
    return f"{title}\n\n{printed}\n{rest}"


def _index() -> str:
    return "\n".join(_lines()).rstrip() + "\n"


def _lines() -> Iterator[str]:
    yield from (
        "# Shipped profiles",
        "",
        "Printed from the profiles beside the plugins by `make docs`. None is confirmed;",
    )
    yield from ("what each asks of its agency stands on its page. How to write one: [profiles](../../profiles.md).", "")
    yield from ("| profile | what it is | files |", "| --- | --- | --- |")
    for name, path in _ours().items():
        made = load(path)
        files = ", ".join(f"{layout.title} ({layout.direction})" for layout in made.files.values())
        yield f"| [{name}]({name}.md) | {made.title} | {files} |"
    yield from ("", "## Sources", "", "What may stand behind `from`, and the types of field that can hold it.", "")
    yield from ("| source | types |", "| --- | --- |")
    yield from (f"| `{name}` | {', '.join(place.kinds)} |" for name, place in PLACES.items())
    yield "| `setting.NAME` | text, digits, code |"
    yield from ("", "## How often", "", "| `each` | written |", "| --- | --- |")
    yield from (f"| `{each}` | {told} |" for each, told in EACH.items())
    yield from (
        "",
        "## What comes back",
        "",
        "What may stand behind `to`, by what a record becomes; needed ones in bold.",
        "",
    )
    yield from ("| `becomes` | `to` |", "| --- | --- |")
    for becomes, names in BECOMES.items():
        if becomes:
            told = [f"**`{name}`**" if name in NEEDED[becomes] else f"`{name}`" for name in names]
            yield f"| `{becomes}` | {', '.join(told)} |"
