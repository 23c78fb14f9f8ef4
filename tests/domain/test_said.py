"""A reason that was given in one place is read in the language of another, also after it was stored."""

from __future__ import annotations

import json

import pytest

from gateway.domain.exchange import Finding, Severity
from gateway.domain.money import parse_minor
from gateway.domain.reasons import LANGUAGES, all_codes, said, sentence, told
from gateway.errors import DecodeError
from gateway.services.cards import finding_json

WRONG = [code for code in all_codes() if code.startswith("wrong.")]


def test_as_text_it_is_english_and_it_speaks_the_others():
    reason = said("wrong.text_length", least=1, most=80)
    assert reason == "must have 1 to 80 characters"
    assert reason.told("nb") == "må ha 1 til 80 tegn"
    assert reason.told("sv") == "måste ha 1 till 80 tecken"
    assert json.dumps(reason) == '"must have 1 to 80 characters"'


def test_what_is_no_sentence_of_ours_stays_as_it_is():
    assert told("Filsystemet er fullt", "sv") == "Filsystemet er fullt"
    assert told({"some": "mapping"}, "sv") == "{'some': 'mapping'}"
    assert told(7, "sv") == "7"


def test_inside_another_sentence_it_is_said_in_that_sentences_language():
    values = {"field": "due", "reason": said("wrong.not_a_day")}
    assert sentence("record.rejected", "en", values) == "The record cannot be taken: due must be a day, YYYY-MM-DD."
    assert sentence("record.rejected", "nb", values) == "Posten kan ikke tas imot: due må være en dag, ÅÅÅÅ-MM-DD."


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_stored_finding_says_the_same(language):
    reason = said("wrong.decimals", currency="JPY")
    finding = Finding(Severity.BLOCKING, "file.invalid", "line 3", "12.50", {"reason": reason})
    stored = json.loads(json.dumps(finding_json(finding)))
    assert sentence("file.invalid", language, stored["values"]) == sentence("file.invalid", language, finding.values)
    assert "JPY" in sentence("file.invalid", language, stored["values"])


def test_a_value_from_a_file_that_looks_like_a_stored_sentence_is_only_shown():
    stored = finding_json(Finding(Severity.BLOCKING, "file.invalid", "", "", {"reason": '{"code": "wrong.missing"}'}))
    assert "wrong.missing" in sentence("file.invalid", "en", stored["values"])


def test_an_error_carries_it_to_whoever_shows_it():
    with pytest.raises(DecodeError, match="has more decimals than JPY has") as caught:
        parse_minor("12.50", "JPY")
    assert told(caught.value.reason, "nb") == "har flere desimaler enn JPY har"


@pytest.mark.parametrize("code", WRONG)
def test_what_is_wrong_with_a_value_can_follow_a_fields_name(code):
    assert len(WRONG) > 30
    for language in LANGUAGES:
        text = sentence(code, language)
        assert text[0].islower()
        assert not text.endswith(".")
