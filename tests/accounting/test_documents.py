"""UBL as a ledger source: amounts, dates, references and customers, and the traps U1 to U12 of accounting/files.md."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.accounting.documents import DocumentKind
from gateway.domain.exchange import CustomerKind, Severity
from gateway.domain.ledger import EntryKind
from tests.accounting.ubl_maker import (
    BUYER,
    EHF2,
    REMINDER,
    REMINDER_PROFILE,
    SUPPLIER,
    box,
    codes,
    credited,
    decoded,
    means,
    party,
    tag,
    totals,
)


def test_an_invoice_becomes_customer_and_entry():
    found = decoded()

    assert (found.kind, found.form, found.hold_code) == (DocumentKind.INVOICE, "peppol-bis-3", "")
    assert codes(found) == {"document.payments_unknown"}
    customer, entry = found.customer, found.entry
    assert (customer.name, customer.organisation_number) == ("Kunde og Sønn AS", "971526920")
    assert (customer.kind, customer.customer_number) == (CustomerKind.COMPANY, "10023")
    assert (customer.address1, customer.postcode, customer.city, customer.country) == (
        "Fjordveien 7", "5003", "Bergen", "NO",
    )  # fmt: skip
    assert (customer.email, customer.phone) == ("post@eksempel.invalid", "55 00 00 00")
    assert entry.kind is EntryKind.INVOICE
    assert (entry.amount_minor, entry.currency) == (125000, "NOK")
    assert (entry.booked, entry.due) == (date(2026, 11, 2), date(2026, 11, 16))
    assert (entry.number, entry.payment_reference) == ("1001", "2345676")
    assert entry.customer_external_id == customer.external_id


class TestSigns:
    def test_a_credit_note_is_positive_in_the_file_and_negative_in_the_ledger(self):
        entry = decoded(root="CreditNote", references=credited("1001")).entry

        assert (entry.kind, entry.amount_minor, entry.document_form) == (EntryKind.CREDIT_NOTE, -125000, "")
        assert entry.credits == ("1001",)

    def test_a_negative_invoice_is_a_credit_note_in_another_form(self):
        found = decoded(amounts=totals("-1656.25"), references=credited("990"))

        assert found.kind is DocumentKind.CREDIT_NOTE
        assert (found.entry.amount_minor, found.entry.document_form) == (-165625, "negative_invoice")

    def test_a_negative_credit_note_is_a_debit_that_a_person_must_name(self):
        found = decoded(root="CreditNote", amounts=totals("-10.00"))

        assert (found.kind, found.hold_code, found.entry) == (
            DocumentKind.HELD, "document.negative_credit_note", None,
        )  # fmt: skip

    def test_a_credit_note_against_several_invoices_keeps_all_of_them(self):
        found = decoded(root="CreditNote", references=credited("1001", "1002", "1001"))

        assert found.entry.credits == ("1001", "1002")
        assert "document.several_credited" in codes(found)

    def test_a_credit_note_may_carry_its_invoices_own_number(self):
        invoice = decoded(number="Snippet1").entry
        credit = decoded(root="CreditNote", number="Snippet1", references=credited("Snippet1")).entry

        assert invoice.external_id != credit.external_id

    def test_nothing_to_pay_is_said_and_needs_no_due_date(self):
        found = decoded(due=None, amounts=totals("0.00", inclusive="500.00", prepaid="500.00"))

        assert (found.entry.amount_minor, found.hold_code) == (0, "")
        assert "document.nothing_to_pay" in codes(found)

    def test_more_prepaid_than_invoiced_is_no_credit_note(self):
        found = decoded(amounts=totals("-50.00", inclusive="100.00", prepaid="150.00"))

        assert (found.kind, found.hold_code) == (DocumentKind.HELD, "document.overpaid")


class TestAmounts:
    def test_prepaid_is_inside_the_payable_amount_already(self):  # U6
        found = decoded(amounts=totals("802.00", inclusive="1801.78", prepaid="1000", rounding="0.22"))

        assert (found.entry.amount_minor, found.hold_code) == (80200, "")

    @pytest.mark.parametrize("payable", ["802.01", "801.99", "1802.00"])
    def test_a_payable_amount_that_does_not_follow_is_held(self, payable):
        found = decoded(amounts=totals(payable, inclusive="1801.78", prepaid="1000", rounding="0.22"))

        assert found.hold_code == "document.totals"
        assert found.entry.hold_code == "document.totals"

    def test_more_decimals_are_taken_when_they_are_zeros(self):
        assert decoded(amounts=totals("25000.000")).entry.amount_minor == 2500000

    @pytest.mark.parametrize(
        ("text", "reason"),
        [("12.505", "more decimals"), ("1,250.00", "not an amount"), ("1E3", "not an amount"), ("", "missing"),
         ("9" * 5000, "must be from"), ("9" * 30, "must be from"), ("9" * 16, "larger")],
    )  # fmt: skip
    def test_an_amount_is_never_rounded_or_guessed(self, text, reason):
        found = decoded(amounts=totals(text, inclusive="1.00"))

        assert found.kind is DocumentKind.REFUSED
        assert reason in found.as_dict()["findings"][0]["text"]

    def test_another_currency_inside_refuses_the_file(self):
        found = decoded(amounts=totals("1250.00", currency="SEK"))

        assert codes(found) == {"file.invalid"}
        assert "is not in NOK" in found.findings[0].value

    def test_yen_has_no_minor_unit(self):
        assert decoded(currency="JPY", amounts=totals("1250", currency="JPY")).entry.amount_minor == 1250

    def test_two_totals_contradict_each_other(self):
        found = decoded(amounts=totals("1.00") + totals("2.00"))

        assert "LegalMonetaryTotal" in found.findings[0].value
        assert found.kind is DocumentKind.REFUSED


class TestDueDate:
    def test_terms_in_words_are_shown_and_never_read(self):
        found = decoded(due=None, terms="Payment within 30 days")

        assert found.entry.due is None
        assert (found.hold_code, found.entry.hold_code) == ("document.due_date_missing",) * 2
        assert found.as_dict()["terms"] == ["Payment within 30 days"]
        assert next(f for f in found.findings if f.severity is Severity.BLOCKING).value == "Payment within 30 days"

    def test_ehf_2_has_it_with_the_means_of_payment(self):  # U8
        found = decoded(customization=EHF2, due=None, payment=means("2345676", due="2026-11-25"))

        assert (found.form, found.entry.due, found.hold_code) == ("ehf-2", date(2026, 11, 25), "")

    def test_two_different_days_are_no_due_date(self):
        payment = means(due="2026-11-25") + means(due="2026-12-25")

        assert decoded(due=None, payment=payment).hold_code == "document.due_date_missing"

    def test_discount_terms_change_nothing(self):  # U11
        found = decoded(terms="2 % discount if paid within 2 days. Penalty percentage 10%")

        assert (found.entry.amount_minor, found.entry.due, found.hold_code) == (125000, date(2026, 11, 16), "")

    @pytest.mark.parametrize("text", ["2026-02-30", "02.11.2026", "20261102", "yesterday"])
    def test_a_day_that_is_none_refuses_the_file(self, text):
        found = decoded(due=text)

        assert (found.kind, text in found.findings[0].value) == (DocumentKind.REFUSED, True)

    def test_a_zone_behind_the_day_changes_no_day(self):
        assert decoded(due="2026-11-16+01:00").entry.due == date(2026, 11, 16)


class TestRecognising:
    def test_a_reminder_is_a_ubl_invoice_and_never_booked(self):  # U1
        found = decoded(
            customization=REMINDER, profile=REMINDER_PROFILE, type_code=None, number="007", references=credited("006")
        )

        assert (found.kind, found.form, found.entry) == (DocumentKind.REMINDER, "ehf-reminder-3", None)
        assert found.as_dict()["credits"] == ["006"]

    def test_a_reminder_is_told_by_its_profile_alone(self):
        assert decoded(profile=REMINDER_PROFILE).kind is DocumentKind.REMINDER

    def test_only_a_coded_charge_is_the_fee(self):  # U2
        def charge(reason: str, amount: str, code: str = "") -> str:
            return box(
                "AllowanceCharge",
                tag("ChargeIndicator", "true"),
                tag("AllowanceChargeReasonCode", code) if code else "",
                tag("AllowanceChargeReason", reason),
                tag("Amount", amount, currencyID="NOK"),
            )

        in_words = decoded(
            customization=REMINDER,
            references=credited("6"),
            charges=charge("Fraktforsikring", "25") + charge("Gebyr", "35"),
        )
        coded = decoded(
            customization=REMINDER,
            references=credited("6"),
            charges=charge("Fraktforsikring", "25") + charge("Gebyr", "35", "REM"),
        )

        assert (in_words.as_dict()["reminder_fee_minor"], "document.reminder_fee" in codes(in_words)) == (None, True)
        assert (coded.as_dict()["reminder_fee_minor"], "document.reminder_fee" in codes(coded)) == (3500, False)

    def test_a_reminder_without_its_invoice_says_so(self):
        assert "document.field_missing" in codes(decoded(customization=REMINDER))

    def test_the_older_reminder_document_names_its_invoice_on_the_line(self):
        line = box("ReminderLine", credited("1001"))
        found = decoded(root="Reminder", customization="", amounts=line + totals("1285.00"))

        assert (found.kind, found.form, found.as_dict()["credits"]) == (DocumentKind.REMINDER, "ubl-reminder", ["1001"])

    def test_an_invoice_without_type_code_is_never_an_invoice(self):
        found = decoded(type_code=None)

        assert (found.kind, found.hold_code, found.entry) == (DocumentKind.HELD, "document.field_missing", None)

    def test_ehf_2_credit_notes_have_no_type_code(self):  # U8
        found = decoded(root="CreditNote", customization=EHF2, type_code=None)

        assert (found.kind, found.hold_code) == (DocumentKind.CREDIT_NOTE, "")

    @pytest.mark.parametrize("code", ["325", "751", "xx"])
    def test_an_unknown_type_is_held_without_entry(self, code):
        found = decoded(type_code=code)

        assert (found.kind, found.hold_code, found.entry) == (DocumentKind.HELD, "document.type_unknown", None)

    def test_an_unknown_extension_is_held_without_entry(self):
        found = decoded(customization="urn:cen.eu:en16931:2017#conformant#urn:somebody:else:1.0")

        assert (found.kind, found.hold_code) == (DocumentKind.HELD, "document.extension_unknown")

    def test_plain_en16931_is_read_with_a_finding(self):
        found = decoded(customization="urn:cen.eu:en16931:2017", profile="")

        assert (found.form, found.entry.amount_minor, found.hold_code) == ("en16931", 125000, "")
        assert "document.plain_en16931" in codes(found)

    def test_oioubl_is_read_and_held(self):  # U7
        found = decoded(customization="OIOUBL-2.02", amounts=totals("1250.00", inclusive="999.00"))

        assert (found.kind, found.entry.hold_code) == (DocumentKind.INVOICE, "document.oioubl")
        assert "document.totals" not in codes(found)

    def test_self_billing_is_said(self):
        assert "document.self_billed" in codes(decoded(type_code="389"))


class TestPayee:
    def test_another_payee_is_a_factor(self):
        found = decoded(payee=party("Faktor Finans AS", "923609016"))

        assert (found.hold_code, found.entry.hold_code) == ("payee.not_creditor",) * 2
        assert found.as_dict()["payee"] == "Faktor Finans AS"

    @pytest.mark.parametrize(("root", "code"), [("Invoice", "393"), ("CreditNote", "396")])
    def test_the_type_code_alone_says_factoring(self, root, code):
        assert decoded(root=root, type_code=code).entry.hold_code == "payee.not_creditor"

    @pytest.mark.parametrize("payee", [party("Fjord AS", "974760673"), party("Fjord AS")])
    def test_the_suppliers_own_number_or_a_bare_name_is_only_a_finding(self, payee):
        found = decoded(payee=payee)

        assert (found.hold_code, "document.payee_named" in codes(found)) == ("", True)

    def test_the_factor_comes_before_a_missing_due_date(self):
        found = decoded(due=None, payee=party("Faktor Finans AS", "923609016"))

        assert found.hold_code == "payee.not_creditor"
        assert "document.due_date_missing" in codes(found)


class TestReferences:
    def test_a_wrong_check_digit_only_warns(self):  # U3: fails mod 10 (9 wanted) and mod 11 (3 wanted)
        found = decoded(payment=means("0003434323213231", account="NO9386011117947"))

        assert (found.entry.payment_reference, found.hold_code) == ("0003434323213231", "")
        assert next(f for f in found.findings if f.code == "reference.check_digit").severity is Severity.WARNING

    def test_equal_references_collapse(self):
        assert decoded(payment=means("2345676") + means("2345676")).entry.payment_reference == "2345676"

    def test_different_references_are_shown_and_none_is_chosen(self):
        found = decoded(payment=means("2345676") + means("1234566"))

        assert (found.entry.payment_reference, "document.several_references" in codes(found)) == ("", True)
        assert found.as_dict()["payment_references"] == ["2345676", "1234566"]

    @pytest.mark.parametrize("code", ["10", "48", "97"])
    def test_cash_card_and_clearing_are_probably_paid(self, code):
        assert "document.probably_paid" in codes(decoded(payment=means("2345676", code=code)))

    @pytest.mark.parametrize("account", ["51400567890", "IBAN32423940"])
    def test_a_wrong_account_only_warns(self, account):
        found = decoded(payment=means("2345676", account=account))

        assert ("account.check_digit" in codes(found), found.hold_code) == (True, "")


class TestCustomer:
    def test_the_transport_address_identifies_nobody(self):  # U4: every party here has endpoint 987654325
        customer = decoded(buyer=party("Kari Eksempel", own_number="26987")).customer

        assert (customer.kind, customer.organisation_number, customer.customer_number) == (None, "", "26987")

    def test_no_legal_id_does_not_make_a_person(self):  # U5
        assert decoded(buyer=party("Handel uten Nummer")).customer.kind is None

    def test_a_location_number_is_no_organisation_number(self):
        customer = decoded(buyer=party("Kunde AS", "7080000000000", "0088")).customer

        assert (customer.organisation_number, customer.kind) == ("", None)

    @pytest.mark.parametrize(
        ("number", "scheme", "plain"),
        [("971 526 920", "0192", "971526920"), ("NO971526920MVA", "NO:ORGNR", "971526920"), ("DK11223344", "DK:CVR", "11223344"),
         ("556703-7485", "0007", "5567037485"), ("165567037485", "SE:ORGNR", "5567037485"), ("003701120389", "0216", "01120389"),
         ("39937423947", "0183", "39937423947")],
    )  # fmt: skip
    def test_numbers_lose_prefix_and_separators_of_their_scheme(self, number, scheme, plain):
        assert decoded(buyer=party("Kunde", number, scheme)).customer.organisation_number == plain

    def test_a_wrong_number_is_kept_with_a_finding(self):
        found = decoded(buyer=party("Kunde AS", "971526921"))

        assert found.customer.organisation_number == "971526921"
        assert ("identifier.check_digit" in codes(found), found.hold_code) == (True, "")

    def test_the_same_customer_gets_the_same_id_from_every_format(self):
        ids = {
            decoded(buyer=BUYER).customer.external_id,
            decoded(buyer=party("KUNDE OG SØNN", "971 526 920", "NO:ORGNR"), customization=EHF2).customer.external_id,
        }

        assert len(ids) == 1
        assert decoded(buyer=party("Kunde", "974760673")).customer.external_id not in ids

    def test_an_official_number_is_not_the_creditors_number_for_the_customer(self):
        buyer = party("Kunde", "DK11223344", "DK:CVR", own_number="DK11223344", own_scheme="DK:CVR")

        assert decoded(buyer=buyer).customer.customer_number == ""


def test_notes_and_attachments_are_shown_and_not_taken_over():  # U10
    embedded = (
        "<cac:AdditionalDocumentReference><cac:Attachment>"
        '<cbc:EmbeddedDocumentBinaryObject mimeCode="application/pdf" filename="timer.csv">VGVzdA==</cbc:EmbeddedDocumentBinaryObject>'
        "</cac:Attachment></cac:AdditionalDocumentReference>"
    )
    found = decoded(extra=tag("Note", "Måler 42") + embedded)

    assert found.as_dict()["notes"] == ["Måler 42"]
    assert found.as_dict()["attachments"] == [{"name": "timer.csv", "media_type": "application/pdf"}]
    assert found.entry.text == ""


def test_the_same_document_twice_is_the_same_record():  # U9
    assert decoded().entry == decoded().entry
    assert decoded(issued="2026-11-03").entry.external_id != decoded().entry.external_id


def test_lines_and_attachments_do_not_reach_memory():
    bulk = "<cbc:EmbeddedDocumentBinaryObject mimeCode='a' filename='b'>" + "QUJD" * 700_000
    embedded = f"<cac:AdditionalDocumentReference><cac:Attachment>{bulk}</cbc:EmbeddedDocumentBinaryObject></cac:Attachment></cac:AdditionalDocumentReference>"
    lines = box("InvoiceLine", tag("ID", "1"), tag("Note", "x" * 100)) * 20_000

    assert decoded(supplier=SUPPLIER, extra=embedded, amounts=totals("1250.00") + lines).entry.amount_minor == 125000
