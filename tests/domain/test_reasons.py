"""The reason table: complete, the same words as the rules, and unable to fail on a page."""

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.exchange import Severity
from gateway.domain.reasons import LANGUAGES, all_codes, is_known, reason, remedy, sentence

_ROW = re.compile(
    r"\|(?P<codes>(?: ?`[a-z_.]+`,?)+) \| (?P<classes>[BWRI/]+) \| (?P<en>.+?) \| (?P<nb>.+?) \| (?P<sv>.+?) \|"
)


def rows_of_the_rules(shared):
    text = (shared / "domain" / "rules.md").read_text(encoding="utf-8")
    section = text[text.index("### 11.2 Reason codes") : text.index("## 12.")]
    return [match.groupdict() for match in map(_ROW.fullmatch, section.splitlines()) if match]


def test_sentences_equal_the_rules_byte_for_byte(shared):
    rows = rows_of_the_rules(shared)
    assert len(rows) > 50
    for row in rows:
        for code in re.findall(r"`([a-z_.]+)`", row["codes"]):
            assert is_known(code), code
            assert reason(code).classes == row["classes"]
            assert dict(reason(code).sentences) == {language: row[language] for language in LANGUAGES}


def test_sentence_is_filled_in_the_language_asked_for():
    values = {"user": "Kari", "date": date(2026, 11, 23)}
    assert sentence("exclusion.invoice", "nb", values) == "Merket «ikke overføre» av Kari 2026-11-23."
    assert sentence("exclusion.invoice", "no", values) == sentence("exclusion.invoice", "nb", values)
    assert sentence("exclusion.invoice", "sv", values).startswith("Markerad ”överför inte” av Kari")


def test_language_we_do_not_speak_gets_english():
    assert sentence("customer.name_missing", "fi") == "Name is missing."


def test_missing_value_shows_its_placeholder():
    assert sentence("exclusion.already_sent", "en") == "Already sent to {agency}; withdraw it instead."


def test_unknown_code_shows_itself():
    assert "future.code" in sentence("future.code", "nb")
    assert not is_known("future.code")
    assert reason("future.code").severity is Severity.WARNING


def test_value_with_braces_cannot_reach_into_objects():
    shown = sentence("exclusion.already_sent", "en", {"agency": "{0.__class__} {user}"})
    assert shown == "Already sent to {0.__class__} {user}; withdraw it instead."


@pytest.mark.parametrize("code", all_codes())
def test_every_row_is_complete(code):
    row = reason(code)
    assert re.fullmatch(r"[a-z]+(\.[a-z0-9_]+)+", code)
    assert re.fullmatch(r"[BWRI](/[BWRI])?", row.classes)
    assert row.who in {"bookkeeper", "admin", "agency", "operator"}
    assert set(row.sentences) == set(LANGUAGES)
    assert all(row.sentences.values())
    assert set(row.remedies) in (set(), set(LANGUAGES))
    assert all(set(re.findall(r"\{(\w+)\}", text)) == row.placeholders for text in row.sentences.values())


@pytest.mark.parametrize(
    "code",
    [
        "file.not_a_payment_file",
        "file.truncated",
        "file.control_total",
        "file.duplicate",
        "file.doctype",
        "payment.unknown_reference",
        "payment.amount_differs",
        "payment.overpaid",
        "payment.proposal_only",
        "payment.possible_duplicate",
        "payee.not_creditor",
        "document.due_date_missing",
        "delivery.unconfirmed_profile",
        "delivery.in_doubt",
        "receipt.missing",
        "receipt.rejected",
        "run.missed",
        "sequence.gap",
        "agreement.field_missing",
        "startup.reason_needed",
        "link.unlinked_after_transfer",
        "difference.unidentified",
        "difference.not_in_ledger",
        "difference.already_ended",
        "difference.ended_nothing_written_off",
        "difference.zero_by_credit",
        "difference.zero_by_payment",
        "difference.our_balance_lower",
        "difference.our_balance_higher",
    ],
)
def test_codes_a_person_meets_say_what_to_do(code):
    assert is_known(code)
    assert all(remedy(code, language) for language in LANGUAGES)


@given(st.text(max_size=30), st.text(max_size=5), st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3))
def test_nothing_makes_a_sentence_raise(code, language, values):
    assert isinstance(sentence(code, language, values), str)
    assert isinstance(remedy(code, language, values), str)
