"""The conformance suite for agency plugins: subclass it in a test module, and pytest runs it (docs/write-a-plugin.md).

    class TestAcme(AgencyConformance):
        plugin = acme.plugin
        settings = {"ledger_id": "FJORD-1"}
        make_sandbox = staticmethod(acme.sandbox.make_sandbox)
        sandbox_facts = {"client_number": "4711"}

It asks the plugin through the host's own checks, so what passes here is what the host accepts. A test of an ability that
the profile does not promise is skipped. Our own plugins run the same suite.
"""

from __future__ import annotations

import dataclasses
import io
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from jsonschema import Draft202012Validator

from gateway.agencies import HOOK_FOR, Agencies, Agency, Patience, add_totals
from gateway.domain import reasons
from gateway.domain.exchange import (
    Agreement,
    Can,
    Claim,
    Direction,
    Envelope,
    FactoringAssignment,
    InboundKind,
    LinkKind,
    Payment,
    Severity,
    Totals,
)
from gateway.errors import DataError, PluginError
from gateway.hookspecs import AgencyHooks
from gateway.testing.agency_kit import (
    NOW,
    MemorySink,
    as_inbound,
    handed,
    sample_agreement,
    sample_claim,
    sample_customer,
    sample_item,
    sample_seal,
)

_KEY = re.compile(r"[a-z][a-z0-9_]{1,29}")
_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
NOTHING_COMES_BACK = "no file of this layout comes back"
_LONG_RUN = 600
"""Claims of a run that no buffer of a sensible size holds back until its end."""
_DAMAGES = 60
_ASSIGNMENT = FactoringAssignment(
    "99001", "Nord Factoring", "Postboks 1", "", "15030000029", "Assigned to Nord Factoring."
)
_TEXTS = (
    "name",
    "address1",
    "address2",
    "postcode",
    "city",
    "email",
    "phone",
    "organisation_number",
    "customer_number",
)
_NUMBERS = ("invoice_number", "payment_reference", "text", "reminder_number", "claim_id")
FOREIGN = (
    b"",
    b"\x00" * 200,
    b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    b"PK\x03\x04" + b"\x00" * 100,
    b"<?xml version='1.0'?><Document xmlns='urn:iso:std:iso:20022:tech:xsd:camt.054.001.08'/>",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
    b"NY000010" + b"0" * 72 + b"\r\n",
    b'{"payments": []}',
    "Kjære kunde\n".encode("iso-8859-1"),
    "<a>".encode("utf-16"),
)
"""Files that are nobody's agency's: an agency's own format is known by its content, and these have none of it."""


class AgencyConformance:
    """What every agency plugin keeps, whatever its agency.

    Set *plugin*; *settings* of an agreement that the samples may be handed over under; *client_number*, *market* and
    *layout* where the usual do not do (the layout is the plugin's first: a plugin of several has a class for each).
    *is_answered* is False for a layout of which no file comes back, whatever the plugin's others do. *make_sandbox* and *sandbox_facts* are the other end (``make_sandbox(root, facts)`` returns an object
    with ``upload`` and ``download`` under *root*, ``work(now)`` and ``balances()``, and ``pay_some(on, seed)`` and
    ``write_payments(now)`` where the agency sends payments of its own). Override `claim` where the layout takes other claims,
    and `far_side` where the agency cannot know what a claim's items belong to.
    """

    plugin: ClassVar[AgencyHooks]
    settings: ClassVar[Mapping[str, object]] = {}
    client_number: ClassVar[str] = "4711"
    market: ClassVar[str] = ""
    layout: ClassVar[str] = ""
    is_answered: ClassVar[bool] = True
    make_sandbox: ClassVar[Callable[[Path, Mapping[str, Any]], Any] | None] = None
    sandbox_facts: ClassVar[Mapping[str, Any]] = {}

    def claim(self, agreement: Agreement, number: int) -> Claim:
        """Return invoice *number* (from 1) that this plugin hands over."""
        return sample_claim(agreement.market, number)

    def far_side(self, claims: Iterable[Claim]) -> list[int]:
        """Return the balances that the sandbox should have after *claims*, in any order."""
        return [claim.open_minor for claim in claims]

    def hand_over(
        self, agency: Agency, agreement: Agreement, claims: Iterable[Claim], sandbox: Any, root: Path
    ) -> None:
        """Bring the sandbox in *root* the files of an evening and let it work; of the same claims, the same files."""
        _deliver(root, self.made(agency, agreement, claims)[1])
        sandbox.work(NOW)

    def collect(self, agency: Agency, agreement: Agreement, sandbox: Any, root: Path) -> None:
        """Put into ``download`` under *root* what the sandbox has to tell; one with a mailbox did so itself."""

    # --- what the tests stand in -------------------------------------------------------------------------------------

    @pytest.fixture
    def agency(self) -> Agency:
        """The plugin as the host takes it."""
        key = self.plugin.agency_profile().key
        agencies = Agencies([(key, self.plugin)], Patience(cooling=0))
        assert agencies.broken == {}, f"the host refuses the plugin: {agencies.broken.get(key)}"
        return agencies[key]

    @pytest.fixture
    def agreement(self, agency: Agency) -> Agreement:
        """An agreement with a sandbox."""
        named = {"client_number": self.client_number, "market": self.market, "layout": self.layout}
        return sample_agreement(agency.profile, self.settings, **named)

    def claims(self, agency: Agency, agreement: Agreement, count: int, kinds: Iterable[LinkKind] = ()) -> list[Claim]:
        """Return *count* claims; with *kinds*, each third has one linked item of each that the layout carries."""
        layout = agency.profile.layout(agreement.profile)
        wanted = [kind for kind in kinds if layout and kind in layout.carries]
        found = []
        for number in range(1, count + 1):
            items = [sample_item(10 * number + i, kind) for i, kind in enumerate(wanted)] if number % 3 == 1 else []
            claim = self.claim(agreement, number)
            told = claim.open_minor - sum(item.amount_minor for item in items)
            found.append(claim._replace(items=tuple(items), open_minor=told))
        return found

    def made(
        self, agency: Agency, agreement: Agreement, claims: Iterable[Claim], *, are_new: bool = True, run: int = 1
    ) -> tuple[tuple[Envelope, ...], MemorySink]:
        """Return the envelopes of an export, and the sink with their bytes."""
        sink = MemorySink()
        envelopes = agency.export(claims, agreement, sample_seal(agency.profile, agreement, run), sink, are_new=are_new)
        return envelopes, sink

    # --- the plugin itself -------------------------------------------------------------------------------------------

    def test_it_loads_without_a_warning(self) -> None:
        key = self.plugin.agency_profile().key
        agencies = Agencies([(key, self.plugin)])
        assert agencies.broken == {}
        assert agencies.warnings[key] == ()

    def test_the_profile_says_what_panel_and_command_line_show(self, agency: Agency) -> None:
        profile = agency.profile
        assert _KEY.fullmatch(profile.key), "the key stands in addresses and settings: small letters, digits, _"
        assert profile.name.strip()
        assert profile.services, "an agreement is for one of the services"
        assert profile.markets, "an agreement is in one of the markets"
        assert all(re.fullmatch("[A-Z]{2}", market) for market in profile.markets)
        assert all(re.fullmatch("[A-Z]{3}", currency) for currency in profile.currencies)
        assert profile.layouts, "an agreement names one of the layouts"
        assert len({layout.name for layout in profile.layouts}) == len(profile.layouts)
        assert all(layout.source.strip() for layout in profile.layouts), "a layout says where it is known from"
        is_unsure = not all(layout.confirmed for layout in profile.layouts)
        assert profile.limits or not is_unsure, "what an unconfirmed layout cannot do yet is said in limits"
        assert self.plugin.agency_profile() == profile, "the profile is a constant"

    def test_the_settings_have_a_schema_a_form_can_be_drawn_from(self, agency: Agency) -> None:
        schema = agency.profile.settings_schema
        Draft202012Validator.check_schema(dict(schema))
        faults = [fault.message for fault in Draft202012Validator(dict(schema)).iter_errors(dict(self.settings))]
        assert faults == [], "the suite's settings must fit the plugin's own schema"

    def test_findings_can_be_told_to_a_person(self, agency: Agency, agreement: Agreement) -> None:
        card = sample_customer(agreement.market)
        nothing: dict[str, Any] = dict.fromkeys((*_TEXTS, "country", "identity_scheme"), "")
        empty = card._replace(**nothing, kind=None)
        odd = card._replace(name="\x07\u2028", country="ZZ", postcode="not one", email="@")
        for customer in (card, empty, odd):
            for finding in agency.check_customer(customer, agreement):
                assert reasons.is_known(finding.code), f"{finding.code} has no sentence; see docs/reason-codes.md"

    # --- out ---------------------------------------------------------------------------------------------------------

    def test_the_samples_may_be_handed_over(self, agency: Agency, agreement: Agreement) -> None:
        """Otherwise nothing below would mean anything: override `claim`, or give other settings."""
        _needs(agency, Can.EXPORT_INVOICE)
        for claim in self.claims(agency, agreement, 5):
            found = [*agency.check_customer(claim.customer, agreement), *agency.check_claim(claim, agreement)]
            assert [finding for finding in found if finding.severity is Severity.BLOCKING] == []

    @pytest.mark.parametrize("are_new", [True, False])
    def test_files_hold_what_was_handed_over(self, agency: Agency, agreement: Agreement, are_new: bool) -> None:
        _needs(agency, Can.EXPORT_INVOICE if are_new else Can.EXPORT_LINKED_ITEMS)
        claims = self.claims(agency, agreement, 7, (LinkKind.DIRECT_PAYMENT, LinkKind.CREDIT_NOTE))
        claims = claims if are_new else [claim for claim in claims if claim.items]
        seal = sample_seal(agency.profile, agreement)
        envelopes, sink = self.made(agency, agreement, claims, are_new=are_new)
        assert [envelope.filename for envelope in envelopes] == list(dict.fromkeys(one.filename for one in envelopes))
        assert {envelope.filename for envelope in envelopes} == set(sink.files), "every file is announced, and no other"
        layout = agency.profile.layout(agreement.profile)
        for envelope in envelopes:
            assert layout is not None
            assert _FILENAME.fullmatch(envelope.filename), "a name any mailbox takes"
            assert envelope.sequence == seal.sequences[envelope.kind], (
                "the number that was handed in, of a kind in series"
            )
            assert envelope.currency == agreement.currency
            agency.verify_envelope(envelope, agreement, io.BytesIO(sink.files[envelope.filename]))
        assert add_totals(envelope.totals for envelope in envelopes) == _totals(claims, are_new=are_new)

    def test_the_same_claims_make_the_same_bytes(self, agency: Agency, agreement: Agreement) -> None:
        """Clock, numbers and ids are handed in; anything else would make a resent file another file."""
        _needs(agency, Can.EXPORT_INVOICE)
        claims = self.claims(agency, agreement, 4)
        first, again = (self.made(agency, agreement, claims) for _ in range(2))
        assert first[0] == again[0]
        assert first[1].files == again[1].files

    def test_nothing_to_send_makes_no_file(self, agency: Agency, agreement: Agreement) -> None:
        _needs(agency, Can.EXPORT_INVOICE)
        envelopes, sink = self.made(agency, agreement, ())
        assert (envelopes, sink.files) == ((), {})

    def test_claims_are_written_while_they_are_read(self, agency: Agency, agreement: Agreement) -> None:
        """An evening may be a hundred thousand claims: whoever collects them first needs memory for all."""
        _needs(agency, Can.EXPORT_INVOICE)
        sink, seen = MemorySink(), list[int]()
        claims = handed(self.claims(agency, agreement, _LONG_RUN), sink, seen)
        agency.export(claims, agreement, sample_seal(agency.profile, agreement), sink, are_new=True)
        assert seen[-1] > 0, f"not a byte was written before the last of {_LONG_RUN} claims was asked for"

    def test_a_damaged_file_is_not_taken_for_whole(self, agency: Agency, agreement: Agreement) -> None:
        _needs(agency, Can.EXPORT_INVOICE)
        envelopes, sink = self.made(agency, agreement, self.claims(agency, agreement, 5))
        for envelope in envelopes:
            whole = sink.files[envelope.filename]
            for damaged in (b"", whole[: len(whole) // 2], whole[:-20], whole[:40] + whole[60:], b"?" + whole):
                if envelope.totals == Totals() and len(damaged) <= len(whole) // 2:
                    continue  # a file without claims: how much it must hold, its totals do not say
                with pytest.raises((DataError, PluginError)):
                    agency.verify_envelope(envelope, agreement, io.BytesIO(damaged))

    @pytest.mark.parametrize("field", [*_TEXTS, *_NUMBERS])
    def test_nothing_is_cut(self, agency: Agency, agreement: Agreement, field: str) -> None:
        """A value that is too long is held or refused with its reason, or written whole."""
        _needs(agency, Can.EXPORT_INVOICE)
        plain = self.claim(agreement, 1)
        for value in ("Q7x" + "wZ4k" * 120, "3141592653589793238462643383279502884197" * 8):
            change: dict[str, Any] = {field: value}
            claim = plain._replace(**change) if field in _NUMBERS else plain
            claim = claim._replace(customer=claim.customer._replace(**change)) if field in _TEXTS else claim
            found = [*agency.check_customer(claim.customer, agreement), *agency.check_claim(claim, agreement)]
            if any(finding.severity is Severity.BLOCKING for finding in found):
                continue
            try:
                _, sink = self.made(agency, agreement, [claim])
            except DataError:
                continue
            written = b"".join(sink.files.values())
            assert value[:8].encode() not in written or value.encode() in written, f"{field} was cut"

    def test_a_mark_changes_neither_items_nor_totals(self, agency: Agency, agreement: Agreement) -> None:
        _needs(agency, Can.MARK_FACTORING)
        envelopes, sink = self.made(agency, agreement, self.claims(agency, agreement, 3))
        marked_into = MemorySink()
        for envelope in envelopes:
            source = io.BytesIO(sink.files[envelope.filename])
            marked = agency.mark_factoring_envelope(envelope, _ASSIGNMENT, agreement, source, marked_into)
            agency.verify_envelope(marked, agreement, io.BytesIO(marked_into.files[envelope.filename]))

    # --- in ----------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("content", FOREIGN, ids=range(len(FOREIGN)))
    def test_other_peoples_files_are_left_to_them(self, agency: Agency, agreement: Agreement, content: bytes) -> None:
        assert agency.identify_inbound(as_inbound(content), (agreement,)) is None

    @pytest.fixture
    def answered(self, agency: Agency, agreement: Agreement, tmp_path: Path) -> Iterator[tuple[Any, Path, list[Claim]]]:
        """The sandbox after its first evening, its folder, and what it was sent."""
        make = type(self).make_sandbox
        if make is None:
            pytest.skip("the plugin ships no sandbox")
        _needs(agency, Can.EXPORT_INVOICE)
        claims = self.claims(agency, agreement, 6, (LinkKind.DIRECT_PAYMENT, LinkKind.CREDIT_NOTE))
        sandbox = make(tmp_path, self.sandbox_facts)
        self.hand_over(agency, agreement, claims, sandbox, tmp_path)
        yield sandbox, tmp_path, claims
        getattr(sandbox, "close", lambda: None)()

    def test_the_far_side_ends_with_our_open_amounts(self, answered: tuple[Any, Path, list[Claim]]) -> None:
        sandbox, _, claims = answered
        assert sorted(sandbox.balances().values()) == sorted(self.far_side(claims))

    def test_the_same_file_twice_counts_once(
        self, agency: Agency, agreement: Agreement, answered: tuple[Any, Path, list[Claim]]
    ) -> None:
        sandbox, root, claims = answered
        before = dict(sandbox.balances())
        self.hand_over(agency, agreement, claims, sandbox, root)
        assert sandbox.balances() == before

    def test_a_receipt_names_the_file_it_answers(
        self, agency: Agency, agreement: Agreement, answered: tuple[Any, Path, list[Claim]]
    ) -> None:
        self._needs_answer(agency, Can.IMPORT_RECEIPT)
        envelopes, _ = self.made(agency, agreement, answered[2])
        found, claims = set(), set()
        for file in _answers(answered[1]):
            if agency.identify_inbound(file, (agreement,)) is InboundKind.RECEIPT:
                receipt = agency.import_receipt(file, (agreement,))
                found.add((receipt.kind, receipt.sequence))
                claims |= {one.object_id for one in receipt.objects if one.object_type == "invoice"}
                assert receipt.status == "accepted", f"{receipt.reason_code} {receipt.reason_text}"
        assert found == {(envelope.kind, envelope.sequence) for envelope in envelopes if envelope.totals != Totals()}
        assert claims == {claim.claim_id for claim in answered[2]}, "what a receipt does not name is told to a person"

    def test_payments_are_read_whole_and_have_an_identity(
        self, agency: Agency, agreement: Agreement, answered: tuple[Any, Path, list[Claim]]
    ) -> None:
        self._needs_answer(agency, Can.IMPORT_PAYMENTS)
        sandbox, root, _ = answered
        paid = sandbox.pay_some(NOW.date(), 7)
        self.collect(agency, agreement, sandbox, root)
        before = {file.filename for file in _answers(root)}
        sandbox.write_payments(NOW)
        self.collect(agency, agreement, sandbox, root)
        new = [file for file in _answers(root) if file.filename not in before]
        told = [file for file in new if agency.identify_inbound(file, (agreement,)) is InboundKind.PAYMENTS]
        first, again = ([list(agency.import_payments(file, (agreement,))) for file in told] for _ in range(2))
        assert first == again, "reading is repeatable"
        assert sum(map(len, first)) == len(paid) > 0
        _check_payments(first, agreement)

    def test_damage_is_told_and_never_raised_as_anything_else(
        self, agency: Agency, agreement: Agreement, answered: tuple[Any, Path, list[Claim]]
    ) -> None:
        """Cut, flipped and doubled bytes end in `DataError` or in an answer, never in another exception."""
        if not self.is_answered:
            pytest.skip(NOTHING_COMES_BACK)
        sandbox, root, _ = answered
        if Can.IMPORT_PAYMENTS in agency.profile.can:
            sandbox.pay_some(NOW.date(), 7)
            sandbox.write_payments(NOW)
            self.collect(agency, agreement, sandbox, root)
        dice = random.Random(20261123)  # noqa: S311  # the same damage every time
        for file in _answers(root):
            whole = file.open().read()
            for _ in range(_DAMAGES):
                damaged = dataclasses.replace(as_inbound(_damaged(whole, dice)), filename=file.filename)
                try:
                    _read(agency, damaged, agreement)
                except DataError:
                    continue

    def _needs_answer(self, agency: Agency, ability: Can) -> None:
        _needs(agency, ability)
        if not self.is_answered:
            pytest.skip(NOTHING_COMES_BACK)


def _needs(agency: Agency, ability: Can) -> None:
    if ability not in agency.profile.can:
        pytest.skip(f"promises no {HOOK_FOR[ability]}")


def _totals(claims: Iterable[Claim], *, are_new: bool) -> Totals:
    made = Totals()
    for claim in claims:
        credit = sum(item.amount_minor for item in claim.items if item.direction is Direction.CREDIT)
        debit = sum(item.amount_minor for item in claim.items if item.direction is Direction.DEBIT)
        own = Totals(1, len(claim.items), debit + claim.original_minor * are_new, credit)
        made = add_totals((made, own))
    return made


def _deliver(root: Path, sink: MemorySink) -> None:
    for filename, content in sink.files.items():
        (root / "upload" / filename).write_bytes(content)


def _answers(root: Path) -> list[Any]:
    return [as_inbound(path.read_bytes(), path.name) for path in sorted((root / "download").iterdir())]


def _check_payments(files: list[list[Payment]], agreement: Agreement) -> None:
    for file in files:
        assert [payment.position for payment in file] == sorted({payment.position for payment in file})
    payments = [payment for file in files for payment in file]
    assert {payment.currency for payment in payments} == {agreement.currency}
    keys = [payment.key for payment in payments]
    assert all(key[:1].isalpha() and key.isprintable() for key in keys), "a key begins with a letter"
    assert len(set(keys)) == len(keys), "one key is one payment, in this file and in any copy"


def _read(agency: Agency, file: Any, agreement: Agreement) -> None:
    kind = agency.identify_inbound(file, (agreement,))
    if kind is InboundKind.RECEIPT:
        agency.import_receipt(file, (agreement,))
    elif kind is InboundKind.PAYMENTS:
        list(agency.import_payments(file, (agreement,)))
    elif kind is InboundKind.CASE_STATUS:
        list(agency.import_case_status(file, (agreement,)))


def _damaged(whole: bytes, dice: random.Random) -> bytes:
    place, span = dice.randrange(len(whole)), dice.randrange(1, 40)
    choices = (
        whole[:place],
        whole[:place] + whole[place + span :],
        whole[: place + span] + whole[place:],
        whole[:place] + bytes([dice.randrange(256)]) + whole[place + 1 :],
        whole[:place] + bytes(dice.randrange(48, 58) for _ in range(span)) + whole[place + span :],
    )
    return choices[dice.randrange(len(choices))]
