"""Texts: three languages, every key written, labels exact, amounts and dates as each language writes them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

import admin
from admin import present
from admin.screenshots import chromium
from admin.status import AGREEMENT, ENVELOPE, INBOUND, INVOICE, ITEM, PAYMENT, TASK
from admin.texts import LANGUAGES, catalogue, counted, text
from gateway.domain.exchange import Can, Service

FOLDER = Path(admin.__file__).parent
SOURCES = [*FOLDER.rglob("*.html"), *FOLDER.rglob("*.py")]
BEFORE_KEY = r"""(?:\bt\(|\btn\(|\btext\((?:language\(\)|spoken|language), |\bdone\(|\bcounted\([a-z()]+, )"""
NB = "\N{NO-BREAK SPACE}"


def keys_used():
    for path in SOURCES:
        for found in re.finditer(BEFORE_KEY + r"""["']([a-z_]+\.[a-z_0-9]+)["']( ~)?""", path.read_text()):
            if not found[2] and not found[1].endswith("_"):
                yield path.name, found[1]


def test_every_key_in_code_and_templates_is_written():
    used = list(keys_used())
    assert len(used) > 300, "the search for keys finds too few"
    missing = {key for _, key in used if key not in catalogue() and f"{key}_one" not in catalogue()}
    assert not missing


def test_keys_made_of_states_and_abilities_are_written():
    for table in (AGREEMENT, ENVELOPE, INBOUND, INVOICE, ITEM, PAYMENT, TASK):
        assert all(pill.key in catalogue() for pill in table.values())
    assert all(f"service.{service.value}" in catalogue() for service in Service)
    assert all(f"can.{ability.name.lower()}" in catalogue() for ability in Can)


def test_every_text_is_written_in_three_languages_with_the_same_places_to_fill():
    for key, texts in catalogue().items():
        assert set(texts) == set(LANGUAGES), key
        assert all(texts.values()), key
        places = [set(re.findall(r"\{([a-z_]+)\}", value)) for value in texts.values()]
        assert places[0] == places[1] == places[2], f"{key} fills different things in different languages"


def test_a_value_with_a_brace_is_shown_as_it_is():
    assert text("nb", "find.lead", q="{q.__class__} {0}") == "Treff på «{q.__class__} {0}»"


def test_a_key_nobody_wrote_shows_itself():
    assert text("nb", "no.such") == "no.such"


def test_one_and_many():
    assert counted("nb", "today.invoices", 1) == "1 faktura"
    assert counted("sv", "today.invoices", 0) == "0 fakturor"


@pytest.mark.parametrize(
    ("minor", "currency", "language", "shown"),
    [
        (1250000, "NOK", "nb", f"12{NB}500,00"),
        (1250000, "SEK", "sv", f"12{NB}500,00"),
        (1250000, "NOK", "en", f"12{NB}500.00"),
        (-429000, "NOK", "nb", f"\N{MINUS SIGN}4{NB}290,00"),
        (-5, "NOK", "nb", "\N{MINUS SIGN}0,05"),
        (0, "NOK", "nb", "0,00"),
        (1234567, "ISK", "nb", f"1{NB}234{NB}567"),
        (1234567, "KWD", "nb", f"1{NB}234,567"),
        (99999999999999, "NOK", "nb", f"999{NB}999{NB}999{NB}999,99"),
    ],
)
def test_amounts(minor, currency, language, shown):
    assert present.amount(minor, currency, language) == shown
    assert present.amount(minor, currency, language, with_currency=True) == f"{shown}{NB}{currency}"


def test_dates():
    assert [present.day(date(2026, 11, 3), language) for language in LANGUAGES] == [
        "03.11.2026",
        "2026-11-03",
        "2026-11-03",
    ]
    assert present.day(None, "nb") == ""
    assert present.long_day(date(2026, 11, 23), "nb") == "Mandag 23. november"
    assert present.long_day(date(2026, 11, 23), "sv") == "Måndag 23 november"


def test_moments_are_in_the_creditors_own_time():
    summer, winter = datetime(2026, 7, 1, 16, 0, tzinfo=UTC), datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
    assert present.moment(summer, "nb", "Europe/Oslo") == f"01.07.2026{NB}18:00"
    assert present.moment(winter, "sv", "Europe/Stockholm") == f"2026-11-23{NB}18:00"
    assert present.time_of_day(winter, "Europe/Helsinki") == "19:00"


def test_lengths_and_sizes():
    assert present.duration(timedelta(minutes=90), "nb") == f"1{NB}t 30{NB}min"
    assert present.duration(timedelta(minutes=90), "en") == f"1{NB}h 30{NB}min"
    assert present.duration(timedelta(seconds=-5), "sv") == f"0{NB}min"
    assert present.size(1023, "nb") == f"1023{NB}byte"
    assert present.size(1536, "nb") == f"1,5{NB}KiB"
    assert present.size(3 << 20, "en") == f"3.0{NB}MiB"


def test_no_template_holds_words_of_its_own():
    """A word of three letters or more between tags is a text that nobody can translate."""
    allowed = {"Kravport", "FlagSyncDisabled", "SHA-256", "SFTP", "Ctrl", "CRM", "Enter", "Esc"}
    for path in FOLDER.rglob("*.html"):
        plain = re.sub(r'<span class="code">.*?</span>', "", path.read_text())
        plain = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "\x00", plain, flags=re.DOTALL)
        words = set(re.findall(r"[^\W\d_]{3,}(?:-\d+)?", " ".join(re.findall(r">([^<>]*)<", plain))))
        assert words <= allowed | {"SHA", "min"}, f"{path.name}: {words - allowed}"


def test_chromium_can_be_named(monkeypatch):
    monkeypatch.setenv("KRAVPORT_CHROMIUM", "/somewhere/chromium")
    assert chromium() == "/somewhere/chromium"
    monkeypatch.delenv("KRAVPORT_CHROMIUM")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError):
        chromium()
