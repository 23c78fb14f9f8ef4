"""Pages of ``docs/formats/``: what stands where in each payment format, printed from what the readers read by."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from gateway.formats import autogiro_layout, bgmax_layout, camt_paths, cremul, ktl_layout, ocr_layout, total_in_layout
from gateway.formats.camt_paths import MESSAGES, Node, nodes_of
from gateway.formats.detect import PROFILES
from gateway.formats.layouts import FIXED_LAYOUTS, FixedLayout
from gateway.formats.record import columns
from gateway.formats.view.words import LANGUAGES, catalogue, codes_of, field_name, record_name, word

_TITLES = ("Norwegian", "Swedish", "English")
_LAYOUTS = {
    "ocr": ocr_layout,
    "bgmax": bgmax_layout,
    "autogiro": autogiro_layout,
    "ktl": ktl_layout,
    "total_in": total_in_layout,
}
_SPECIAL_FORMATS = {"camt": camt_paths, "cremul": cremul}


def pages(folder: Path) -> dict[Path, str]:
    """Return path and content of every page, to lie in *folder*."""
    made = {name: "\n".join(_fixed(name)) for name in _LAYOUTS}
    made |= {"camt": "\n".join(_camt()), "cremul": "\n".join(_cremul()), "README": "\n".join(_index())}
    return {folder / f"{name}.md": text.rstrip() + "\n" for name, text in made.items()}


def _head(name: str, module: object) -> Iterator[str]:
    told = inspect.getdoc(module) or ""
    source = f"gateway/formats/{module.__name__.rpartition('.')[2]}.py"  # type: ignore[attr-defined]
    yield from (
        f"# {word('format', 'en', name)}",
        "",
        f"Printed from `{source}` and `gateway/formats/view/words.toml` by `make docs`.",
    )
    yield from ("", told, "")


# --- fixed width -----------------------------------------------------------------------------------------------------


def _fixed(name: str) -> Iterator[str]:
    yield from _head(name, _LAYOUTS[name])
    kinds = [kind for kind, layout in FIXED_LAYOUTS.items() if layout.name == name]
    layouts = [FIXED_LAYOUTS[kind] for kind in kinds]
    told = ", ".join(f"`{kind}`" for kind in kinds)
    yield from (f"Every record is {layouts[0].width} columns wide. `kravport explain` calls such a file {told}.", "")
    for record in _LAYOUTS[name].RECORDS:
        yield from _record(next(layout for layout in layouts if record in layout.records), record)
    yield from ("## Codes", "")
    for field in dict.fromkeys(field for record in _LAYOUTS[name].RECORDS for field, _ in columns(record)):
        yield from _codes(name, field, f"Codes of `{field}`:")


def _record(layout: FixedLayout, record: type) -> Iterator[str]:
    codes = ", ".join(layout.codes_of(record))
    names = [record_name(layout.name, record.__name__, language) for language in LANGUAGES]
    yield from (
        f"## {codes} {names[2]}",
        "",
        f"Norwegian: {names[0]}. Swedish: {names[1]}. In the code: `{record.__name__}`.",
    )
    yield from ("", inspect.cleandoc(record.__doc__ or ""), "")
    yield from _table("columns", *_TITLES, "field", "what belongs there")
    for field, column in columns(record):
        place = str(column.start) if column.width == 1 else f"{column.start}-{column.stop}"
        told = [field_name(layout.name, record.__name__, field, language) for language in LANGUAGES]
        yield _row(place, *told, f"`{field}`", column.demand.removeprefix("must be "))
    yield ""


def _codes(layout: str, field: str, title: str) -> Iterator[str]:
    codes = codes_of(layout, field)
    if codes:
        yield from (title, "", *_table("code", *_TITLES))
        yield from (_row(f"`{code}`", *(told[language] for language in LANGUAGES)) for code, told in codes.items())
        yield ""


# --- camt ------------------------------------------------------------------------------------------------------------


def _camt() -> Iterator[str]:
    yield from _head("camt", camt_paths)
    yield from (
        "Elements are indented as they stand inside each other; an element that is not listed is passed over.",
        "",
    )
    for element, (message, _) in MESSAGES.items():
        yield from (f"## {message}", "", *_table("element", *_TITLES, "what is taken"))
        yield from _elements(element, nodes_of(element, "", object()), 0)
        yield ""
    fields = groupby(catalogue()["code"], key=lambda key: key.rpartition(".")[0])
    for field in (name for name, _ in fields if name.startswith("camt.")):
        yield from _codes("camt", field.partition(".")[2], f"Codes of `{field.partition('.')[2]}`:")


def _elements(tag: str, node: Node, depth: int) -> Iterator[str]:
    taken = (
        "amount and currency" if node.has_currency else "every text" if node.is_repeated else "text" if node.key else ""
    )
    indent = "&nbsp;&nbsp;" * depth
    yield _row(f"{indent}`{tag}`", *(word("element", language, tag) for language in LANGUAGES), taken)
    for name, child in node.children.items():
        if not (tag == "Pty" and name == "Pty"):
            yield from _elements(name, child, depth + 1)


# --- CREMUL ----------------------------------------------------------------------------------------------------------


def _cremul() -> Iterator[str]:
    yield from _head("cremul", cremul)
    yield from (
        "The same segment means one thing on a line (LIN), another in a transaction (SEQ), and others again behind charges",
        "(FCA), a document (DOC) or details (PRC): it belongs to what was opened last. Components that are not listed are",
        "passed over.",
        "",
    )
    for tag, names in catalogue()["segment"].items():
        yield from (f"## {tag} {names['en']}", "", f"Norwegian: {names['nb']}. Swedish: {names['sv']}.", "")
        parts = {key: row for key, row in catalogue()["component"].items() if key.startswith(f"{tag}.")}
        if parts:
            yield from _table("element.component", *_TITLES)
            for key, row in parts.items():
                _, element, place = key.split(".")
                yield _row(f"{element}.{int(place) + 1}", *(row[language] for language in LANGUAGES))
            yield ""
        yield from _codes("cremul", tag, "Codes:")


# --- the index -------------------------------------------------------------------------------------------------------


def _index() -> Iterator[str]:
    yield from ("# Payment formats", "", "Printed from the declarations of the readers by `make docs`.", "")
    yield from _table("format", "page")
    for name in (*_LAYOUTS, *_SPECIAL_FORMATS):
        yield _row(word("format", "en", name), f"[{name}.md]({name}.md)")
    yield from (
        "",
        "What a file is, is told by its content alone, never by its name. `kravport explain FILE` shows any of them record by",
        "record, with each field named; `--html` makes a page of it, `--json` gives it to a program.",
        "",
        "## Profiles",
        "",
        "A bank's deviation from a layout, and a layout that nobody has confirmed, are read under a profile with a name, never",
        "by a switch. The agreement names it in its setting `payment_profiles`, the command line by `--profile NAME`; a file",
        "of that kind that comes without it is refused with a sentence that names the profile.",
        "",
        *_table("profile", "format", "what it admits"),
    )
    for profile in PROFILES:
        name, _, kind = profile.partition("-")
        told = (
            "the whole layout, which stems from a third party's program"
            if kind == "unverified"
            else "a deviation of one bank"
        )
        yield _row(f"`{profile}`", f"[{word('format', 'en', name)}]({name}.md)", told)


def _table(*titles: str) -> tuple[str, str]:
    return _row(*titles), _row(*("---" for _ in titles))


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
