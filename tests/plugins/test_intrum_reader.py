"""What Kravport reads in kravport-sls-1 (intrum-sls.md B.9 to B.12): right files, wrong totals, any bytes at all."""

import io
import random
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.exchange import CaseStatus, Direction, InboundKind, ObjectReceipt, Payment, Reference
from gateway.errors import DataError, FileQuarantined, FileRefused
from gateway.formats.kravport_sls import Balance, InboundReader, Settlement
from plugins.intrum import SCHEMA, plugin
from tests.plugins.sls_builders import CORPUS, EXAMPLES, agreement, inbound

AGREEMENTS = (agreement(),)
READER = InboundReader("intrum", SCHEMA)
FILES = {
    "payments.003": InboundKind.PAYMENTS,
    "receipt-invoices.007": InboundKind.RECEIPT,
    "cases.001": InboundKind.CASE_STATUS,
    "snapshot.001": InboundKind.SNAPSHOT,
}


def corpus(name):
    return (CORPUS / name).read_bytes()


def payments(content, agreements=AGREEMENTS):
    stream = plugin.import_payments(inbound(content), agreements)
    return list(stream), stream


def read(content, kind):
    """Read *content* as the host would, whatever it is."""
    file = inbound(content)
    if kind is InboundKind.PAYMENTS:
        return list(plugin.import_payments(file, AGREEMENTS))
    if kind is InboundKind.RECEIPT:
        return plugin.import_receipt(file, AGREEMENTS)
    if kind is InboundKind.CASE_STATUS:
        return list(plugin.import_case_status(file, AGREEMENTS))
    return list(READER.snapshot(file, AGREEMENTS))


# --- right files -----------------------------------------------------------------------------------------------------


def test_payments_are_read_with_their_split():
    rows, stream = payments(corpus("payments.003"))
    assert stream.format == "kravport-sls-1 payments"
    assert rows[0] == Payment(
        1,
        130_050,
        "NOK",
        Direction.CREDIT,
        reference="2345676",
        reference_raw="2345676",
        references=(
            Reference("2345676", "2345676", "kid"),
            Reference("C-1", "C-1", "case"),
            Reference("1001", "1001", "invoice"),
        ),
        booking_date=date(2026, 11, 24),
        payer_name="Tindevik & Sønn",
        payer_account="15030000025",
        text="Faktura 1001",
        key="intrum:4711:P-1",
        claim_id="kp-c-1001",
        case_number="C-1",
        invoice_number="1001",
        principal_minor=125_000,
    )
    unplaced, reversal, only_fees = rows[1:]
    assert (unplaced.posts, unplaced.why_not, unplaced.principal_minor) == (False, "difference.unidentified", 0)
    assert (reversal.is_reversal, reversal.direction, reversal.reverses_key) == (
        True,
        Direction.DEBIT,
        "intrum:4711:P-0",
    )
    assert (reversal.amount_minor, reversal.principal_minor, reversal.posts) == (10_000, 10_000, True)
    assert (only_fees.posts, only_fees.why_not) == (False, "payment.no_principal")
    assert stream.settlements == [
        Settlement("S-1", date(2026, 11, 25), 115_050, 10_000, 2_500, 102_550, "NO9386011117947", "S1-4711")
    ]


def test_a_stream_can_be_read_twice():
    stream = plugin.import_payments(inbound(corpus("payments.003")), AGREEMENTS)
    assert list(stream) == list(stream)
    assert len(stream.settlements) == 1


def test_a_receipt_is_read_object_by_object():
    receipt = plugin.import_receipt(inbound(corpus("receipt-invoices.007")), AGREEMENTS)
    assert (receipt.kind, receipt.sequence, receipt.status) == ("invoices", 7, "partly")
    assert receipt.file_id == "3d0c5c5e-7a11-4b6e-9a4e-000000000007"
    assert receipt.objects == (
        ObjectReceipt("customer", "20001", True),
        ObjectReceipt("invoice", "kp-c-1001", True, "C-000001"),
        ObjectReceipt("payment", "kp-e-11", True),
        ObjectReceipt("invoice", "kp-c-1002", False, "", "OPEN_AMOUNT", "does not follow from the items"),
    )


def test_cases_keep_the_agencys_own_words():
    assert list(plugin.import_case_status(inbound(corpus("cases.001")), AGREEMENTS)) == [
        CaseStatus("C-1", "kp-c-1001", "1001", "closed", "", "paid", date(2026, 11, 24), "BT", "Betalt"),
        CaseStatus(
            "C-2", "", "", "closed", "legal", "written-off", date(2026, 11, 24), "", "(creditLossAmount 780.00 NOK)"
        ),
    ]


def test_a_snapshot_is_read():
    assert list(READER.snapshot(inbound(corpus("snapshot.001")), AGREEMENTS)) == [
        Balance("C-1", "kp-c-1001", "1001", date(2026, 11, 24), "active", -500, 0, 1233)
    ]


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the shared example files are not here")
def test_the_examples_of_the_specification_are_read():
    rows, stream = payments((EXAMPLES / "payments.009").read_bytes())
    assert [row.principal_minor for row in rows] == [2800_00, 0, 100_00]
    assert [settlement.net_minor for settlement in stream.settlements] == [2490_00]
    receipt = read((EXAMPLES / "receipt-invoices.017").read_bytes(), InboundKind.RECEIPT)
    assert [(row.object_id, row.is_accepted) for row in receipt.objects][-2:] == [
        ("10024", False),
        ("kp-7f3a-500125", False),
    ]
    assert read((EXAMPLES / "receipt-updates.042").read_bytes(), InboundKind.RECEIPT).status == "accepted"
    assert [row.state for row in read((EXAMPLES / "cases.009").read_bytes(), InboundKind.CASE_STATUS)] == [
        "closed",
        "disputed",
        "closed",
    ]
    balances = read((EXAMPLES / "snapshot.003").read_bytes(), InboundKind.SNAPSHOT)
    assert [balance.principal_open_minor for balance in balances] == [0, 1500_00]


# --- whose is it -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind"), FILES.items())
def test_a_file_is_identified_by_content(name, kind):
    assert plugin.identify_inbound(inbound(corpus(name), "anything.xml"), AGREEMENTS) is kind


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'receiverId="4711"', b'receiverId="4712"'),
        (b'senderId="SANDBOX"', b'senderId="OTHER"'),
        (b"urn:kravport:sls:1", b"urn:kravport:sls:2"),
        (b'message="payments"', b'message="receipt"'),
        (b"<Payments ", b"<!DOCTYPE Payments><Payments "),
    ],
)
def test_a_file_for_others_is_not_claimed(old, new):
    content = corpus("payments.003")
    assert old in content
    assert plugin.identify_inbound(inbound(content.replace(old, new)), AGREEMENTS) is None


def test_agreements_of_another_agency_are_not_looked_at():
    assert plugin.identify_inbound(inbound(corpus("payments.003")), (agreement(agency_key="lowell"),)) is None


def test_damage_further_down_does_not_hide_whose_it_is():
    content = corpus("payments.003").replace(b"<Settlement ", b"<Settlement <")
    assert plugin.identify_inbound(inbound(content), AGREEMENTS) is InboundKind.PAYMENTS
    with pytest.raises(FileQuarantined):
        payments(content)


# --- files that may not take effect ----------------------------------------------------------------------------------


def quarantined(content, read_it=payments):
    with pytest.raises(FileQuarantined) as stopped:
        read_it(content)
    return {(finding.code, finding.place.partition(" ")[0]) for finding in stopped.value.findings}


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (b'paymentCount="3"', b'paymentCount="2"', "paymentCount"),
        (b'paymentTotal="1600.50"', b'paymentTotal="1600.51"', "paymentTotal"),
        (b'reversalCount="1"', b'reversalCount="0"', "reversalCount"),
        (b'reversalTotal="100.00"', b'reversalTotal="0.00"', "reversalTotal"),
        (b'settlementCount="1"', b'settlementCount="' + b"9" * 5000 + b'"', "settlementCount"),
        (b'settlementNetTotal="1025.50"', b'settlementNetTotal="-1025.50"', "settlementNetTotal"),
    ],
)
def test_a_control_total_that_disagrees_quarantines_the_file(old, new, field):
    content = corpus("payments.003")
    assert content.count(old) == 1
    found = quarantined(content.replace(old, new))
    assert found <= {("file.control_total", f"Control/{field}"), ("file.invalid", "line")}
    assert found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'principal="1250.00"', b'principal="1250.01"'),
        (b'creditorShare="1250.50"', b'creditorShare="1300.51"'),
        (b' reversesPaymentId="P-0"', b""),
        (b'paymentId="P-2"', b'paymentId="P-2" claimId="kp-c-1001"'),
        (b'net="1025.50"', b'net="1025.00"'),
        (b'receivedDate="2026-11-24"', b'receivedDate="2026-02-30"'),
        (b'amount="1300.50"', b'amount="1300.5"'),
    ],
)
def test_a_contradiction_or_invalid_row_quarantines_the_file(old, new):
    content = corpus("payments.003")
    assert old in content
    assert ("file.invalid", "line") in quarantined(content.replace(old, new, 1))


def test_a_file_of_another_ledger_currency_or_mode_is_quarantined():
    content = corpus("payments.003")
    assert quarantined(content.replace(b'ledgerId="4711-NOK"', b'ledgerId="X"')) == {
        ("file.invalid", "Ledger/ledgerId")
    }
    assert quarantined(content.replace(b'currency="NOK"', b'currency="SEK"')) == {
        ("file.unknown_currency", "Ledger/currency")
    }
    assert quarantined(content.replace(b'test="true"', b'test="false"')) == {("file.test", "Identification/test")}


def test_a_doctype_is_refused():
    content = corpus("payments.003").replace(b"<Payments ", b'<!DOCTYPE Payments [<!ENTITY x "y">]><Payments ')
    with pytest.raises(FileRefused) as refused:
        payments(content)
    assert [finding.code for finding in refused.value.findings] == ["file.doctype"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'status="partly"', b'status="accepted"'),
        (b'status="partly"', b'status="rejected"'),
        (b'objectCount="4"', b'objectCount="5"'),
        (b'rejectedCount="1"', b'rejectedCount="0"'),
        (b' reasonCode="OPEN_AMOUNT"', b""),
        (b'message="invoices" fileSequence="007"', b'message="invoices" fileSequence="008"'),
    ],
)
def test_a_receipt_that_contradicts_itself_is_quarantined(old, new):
    content = corpus("receipt-invoices.007")
    assert old in content
    quarantined(content.replace(old, new), lambda changed: read(changed, InboundKind.RECEIPT))


def test_a_case_count_that_disagrees_quarantines_the_file():
    content = corpus("cases.001").replace(b'caseCount="2"', b'caseCount="1"')
    assert quarantined(content, lambda changed: read(changed, InboundKind.CASE_STATUS)) == {
        ("file.control_total", "Control/caseCount")
    }


def test_a_snapshot_total_that_disagrees_quarantines_the_file():
    content = corpus("snapshot.001").replace(b'principalTotal="-5.00"', b'principalTotal="5.00"')
    assert quarantined(content, lambda changed: read(changed, InboundKind.SNAPSHOT)) == {
        ("file.control_total", "Control/principalTotal")
    }


def test_blanks_the_schema_collapses_do_not_disturb():
    content = corpus("payments.003").replace(b'claimId="kp-c-1001"', b'claimId="  kp-c-1001 "')
    content = content.replace(b'receivedDate="2026-11-24"', b'receivedDate=" 2026-11-24 "')
    row = payments(content)[0][0]
    assert (row.claim_id, row.booking_date) == ("kp-c-1001", date(2026, 11, 24))


def test_another_encoding_is_refused():
    text = corpus("payments.003").decode()
    for encoding in ("utf-16", "iso-8859-1"):
        assert quarantined(text.replace("UTF-8", encoding).encode(encoding)) == {("file.invalid", "line")}


# --- any bytes -------------------------------------------------------------------------------------------------------


def mutated(content, dice):
    data = bytearray(content)
    for _ in range(dice.randrange(1, 5)):
        place, kind = dice.randrange(len(data)), dice.randrange(5)
        if kind == 0:
            data[place] = dice.randrange(256)
        elif kind == 1:
            del data[place : place + dice.randrange(1, 40)]
        elif kind == 2:
            data[place:place] = data[place : place + dice.randrange(1, 200)]
        elif kind == 3:
            data[place:place] = dice.choice(
                [b"-", b"9" * 30, b'"', b"<", b"&#0;", b"&amp;", b"\x00", b"\xff", b" ", b"."]
            )
        else:
            del data[place:]
        if not data:
            break
    return bytes(data)


@pytest.mark.parametrize("kind", list(FILES.values()), ids=lambda kind: kind.value)
@pytest.mark.parametrize("name", FILES)
def test_damaged_files_only_ever_raise_data_errors(name, kind):
    dice, refused = random.Random(name + kind.value), 0
    for _ in range(250):
        content = mutated(corpus(name), dice)
        plugin.identify_inbound(inbound(content), AGREEMENTS)
        try:
            read(content, kind)
        except DataError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("updates", [False, True])
def test_damaged_own_files_only_ever_raise_data_errors(updates):
    from tests.plugins.test_intrum_writer import export, payment_claims

    envelope, content = export(payment_claims(), updates=updates)
    dice, refused = random.Random(4711), 0
    for _ in range(300):
        try:
            plugin.verify_envelope(envelope, AGREEMENTS[0], io.BytesIO(mutated(content, dice)))
        except DataError:
            refused += 1
    assert refused > 100


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_no_file_of_ours(content):
    assert plugin.identify_inbound(inbound(content), AGREEMENTS) is None
    for kind in FILES.values():
        with pytest.raises(DataError):
            read(content, kind)
