"""An explained file as a page of HTML that needs nothing but itself; the panel shows the same records."""

from __future__ import annotations

from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from gateway.domain.reasons import sentence
from gateway.formats.view.model import View, amount_told, key_of, place_told, ruler
from gateway.formats.view.words import label, word

if TYPE_CHECKING:
    from gateway.formats.explain import Explanation

PAYMENTS = 200
"""Payments on the page; it must open on a telephone. The JSON has them all."""


def as_html(explained: Explanation, name: str = "") -> str:
    """Return the whole page: verdict, totals, findings, the first payments, and the file record by record.

    Args:
        explained: the file, read with its view.
        name: of the file, for the heading.
    """
    payments = list(islice(explained.payments(), PAYMENTS))
    return (
        _templates()
        .get_template("page.html")
        .render(**_words(explained.language), explained=explained, name=name, payments=payments, view=explained.view)
    )


def records_html(view: View, language: str) -> str:
    """Return the records of *view* as a fragment, escaped; its classes are styled by ``page.css`` or the panel."""
    return _templates().get_template("records.html").render(**_words(language), view=view)


def _words(language: str) -> dict[str, object]:
    return {
        "language": language,
        "label": lambda key, **values: label(key, language, **values),
        "word": lambda section, key: word(section, language, key),
        "money": lambda minor, currency: amount_told(minor, currency, language),
        "why": lambda payment: sentence(payment["why_not"], language, payment).rstrip("."),
        "place_of": lambda finding: place_told(finding.place, language),
    }


@cache
def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader(__package__, ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.globals |= {"key_of": key_of, "ruler": ruler}
    return made
