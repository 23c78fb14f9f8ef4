"""The reason codes: what a person is told when something is held, refused, skipped or alarmed (rules 11.2).

The table itself is ``reasons.toml`` beside this module: text in three languages is data, and translators and plugin
authors edit it without touching code. It is read once, on first use.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from gateway.domain.exchange import Severity

LANGUAGES = ("en", "nb", "sv")
_ALIASES = {"no": "nb", "nn": "nb"}
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_SEVERITIES = {"B": Severity.BLOCKING, "R": Severity.BLOCKING, "W": Severity.WARNING, "I": Severity.INFO}
_UNKNOWN = {
    "en": "This code has no sentence yet; show it to support.",
    "nb": "Koden har ingen forklaring ennå; vis den til support.",
    "sv": "Koden har ingen förklaring ännu; visa den för supporten.",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason code.

    *classes* is the column of rules 11.2: ``B`` blocking, ``W`` warning, ``R`` refused action, ``I`` information;
    ``B/W`` where the agency decides. *who* can mend it: ``bookkeeper``, ``admin``, ``agency`` or ``operator``.
    *sentences* and *remedies* are by language; *remedies* is empty where there is nothing to add.
    """

    code: str
    classes: str
    who: str
    sentences: Mapping[str, str]
    remedies: Mapping[str, str]

    @property
    def severity(self) -> Severity:
        """The sternest severity this code has anywhere; a finding carries its own."""
        return _SEVERITIES[self.classes[0]]

    @property
    def placeholders(self) -> frozenset[str]:
        """The names that *values* should hold for a complete sentence."""
        return frozenset(name for text in self.sentences.values() for name in _PLACEHOLDER.findall(text))


class Said(str):
    """A sentence that remembers its code: as text it is English, `told` says it in another language.

    Errors carry it as their reason, so that a log reads English and a person the language of the page.
    """

    __slots__ = ("code", "values")
    code: str
    values: Mapping[str, object]

    def told(self, language: str) -> str:
        """Return the sentence in *language*."""
        return sentence(self.code, language, self.values)

    def as_json(self) -> dict[str, object]:
        """Return what `sentence` takes as a value in its place, for findings that are stored."""
        return {"code": self.code, "values": {name: str(value) for name, value in self.values.items()}}


def said(code: str, **values: object) -> Said:
    """Return the sentence of *code*, filled with *values*, in English and able to speak the other languages."""
    made = Said(sentence(code, "en", values))
    made.code, made.values = code, values
    return made


def told(text: object, language: str) -> str:
    """Return *text* in *language* where it is a sentence of ours, else as it is."""
    if isinstance(text, Said):
        return text.told(language)
    if isinstance(text, Mapping) and isinstance(text.get("code"), str):
        values = text.get("values")
        return sentence(text["code"], language, values if isinstance(values, Mapping) else {})
    return str(text)


def reason(code: str) -> Reason:
    """Return the row of *code*; an unknown code gets a neutral sentence that shows the code itself, never an error.

    Plugins and format readers may emit codes this table does not know yet, and a page must still be shown.
    """
    return _table().get(code) or Reason(
        code, "W", "operator", {language: f"{code}: {_UNKNOWN[language]}" for language in LANGUAGES}, {}
    )


def is_known(code: str) -> bool:
    """Return whether *code* has a row of its own."""
    return code in _table()


def sentence(code: str, language: str, values: Mapping[str, object] | None = None) -> str:
    """Return the sentence of *code* in *language* (``en``, ``nb``, ``sv``; others get English), filled with *values*.

    A missing value shows its placeholder, ``{agency}``: a half sentence helps, an exception on an error page does not. A
    value that is a sentence of ours itself (`Said`, or as it was stored) is said in the same language.
    """
    return _filled(reason(code).sentences, language, values or {})


def remedy(code: str, language: str, values: Mapping[str, object] | None = None) -> str:
    """Return what the person named by ``reason(code).who`` does about it; empty where the sentence says it all."""
    return _filled(reason(code).remedies, language, values or {})


def all_codes() -> tuple[str, ...]:
    """Return every known code, in the order of the table."""
    return tuple(_table())


def _filled(texts: Mapping[str, str], language: str, values: Mapping[str, object]) -> str:
    text = texts.get(_ALIASES.get(language, language)) or texts.get("en", "")
    # Not str.format: a value or a future row with a brace in it must not raise, and must not reach into objects.
    return _PLACEHOLDER.sub(lambda found: told(values.get(found[1], found[0]), language), text)


@cache
def _table() -> Mapping[str, Reason]:
    raw = tomllib.loads(resources.files(__package__).joinpath("reasons.toml").read_text(encoding="utf-8"))
    return {code: _row(code, row) for code, row in raw.items()}


def _row(code: str, row: Mapping[str, str]) -> Reason:
    return Reason(
        code,
        row["class"],
        row["who"],
        {language: row[language] for language in LANGUAGES},
        {language: row[f"do_{language}"] for language in LANGUAGES if f"do_{language}" in row},
    )
