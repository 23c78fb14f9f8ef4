"""The names of records, fields, elements and codes in Norwegian, Swedish and English, from ``words.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources

LANGUAGES = ("nb", "sv", "en")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


def word(section: str, language: str, *keys: str) -> str:
    """Return the name that the first known of *keys* has in *section*; empty where none has one."""
    rows = catalogue().get(section, {})
    for key in keys:
        row = rows.get(key)
        if row:
            return row[language]
    return ""


def label(key: str, language: str, /, **values: object) -> str:
    """Return a word of the page around the file, its placeholders filled with *values*."""
    return _PLACEHOLDER.sub(lambda found: str(values.get(found[1], found[0])), word("label", language, key))


def record_name(layout: str, record: str, language: str) -> str:
    """Return what a fixed-width record is called."""
    return word("record", language, f"{layout}.{record}")


def field_name(layout: str, record: str, field: str, language: str) -> str:
    """Return what a field of a fixed-width record is called: by record, by layout, or as everywhere."""
    plain = "filler" if field.startswith("filler_") else field
    return word("field", language, f"{layout}.{record}.{plain}", f"{layout}.{plain}", plain)


def code_told(layout: str, field: str, value: str, language: str) -> str:
    """Return what a code means; empty where it is none we know."""
    return word("code", language, f"{layout}.{field}.{value}") if value else ""


def codes_of(layout: str, field: str) -> dict[str, Mapping[str, str]]:
    """Return the known codes of a field: value to its meaning by language."""
    prefix = f"{layout}.{field}."
    return {key[len(prefix) :]: row for key, row in catalogue()["code"].items() if key.startswith(prefix)}


@cache
def catalogue() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Return everything: section, key, language. Raises ``ValueError`` where one has not exactly three languages."""
    raw = tomllib.loads(resources.files(__package__).joinpath("words.toml").read_text(encoding="utf-8"))
    return {
        section: {key: dict(zip(LANGUAGES, texts, strict=True)) for key, texts in rows.items()}
        for section, rows in raw.items()
    }
