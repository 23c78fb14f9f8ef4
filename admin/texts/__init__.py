"""The panel's texts: every word a person reads, once, in Norwegian, Swedish and English.

They lie in the ``*.toml`` files beside this module, one line per text: ``key = [nb, sv, en]`` under a section. Texts are
data: translators edit them without touching code, and a test holds templates and catalogue together. Sentences of reason
codes are not here but in `gateway.domain.reasons`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources

LANGUAGES = ("nb", "sv", "en")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


def text(language: str, key: str, /, **values: object) -> str:
    """Return the text *key* ("today.title") in *language*, its placeholders filled with *values*.

    A key nobody wrote shows itself: a page with one strange word is better than no page.
    """
    row = catalogue().get(key)
    if row is None:
        return key
    # Not str.format: a value with a brace in it must not raise and must not reach into objects.
    return _PLACEHOLDER.sub(lambda found: str(values.get(found[1], found[0])), row[language])


def counted(language: str, key: str, n: int, /, **values: object) -> str:
    """Return *key* for *n* things: ``key_one`` where there is exactly one and such a text exists."""
    singular = f"{key}_one"
    return text(language, singular if n == 1 and singular in catalogue() else key, n=n, **values)


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Return all texts: key → language → text. Raises ``ValueError`` where one has not exactly three languages."""
    found: dict[str, Mapping[str, str]] = {}
    for file in sorted(resources.files(__package__).iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".toml"):
            for section, rows in tomllib.loads(file.read_text(encoding="utf-8")).items():
                for name, texts in rows.items():
                    found[f"{section}.{name}"] = dict(zip(LANGUAGES, texts, strict=True))
    return found
