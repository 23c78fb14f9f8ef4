"""The same camt files through a reader made from the schema by others: amounts, directions, references and names agree.

It builds the whole tree and knows no meaning, so that only what stands in one element each is compared; a file that is
not valid by the schema it refuses, which is a test of the generator too.
"""

from __future__ import annotations

from decimal import Decimal
from importlib import import_module

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.testing.camt_files import MESSAGES, CamtShape, camt_file, random_camt_entries
from tests.formats.reading import read

models = pytest.importorskip("pyiso20022.camt")
parsers = pytest.importorskip("xsdata.formats.dataclass.parsers")
SNAKE = {
    "BkToCstmrDbtCdtNtfctn": "bk_to_cstmr_dbt_cdt_ntfctn",
    "BkToCstmrStmt": "bk_to_cstmr_stmt",
    "Ntfctn": "ntfctn",
    "Stmt": "stmt",
}


def entries_of(data: bytes, shape: CamtShape):
    """Return the entries as the other reader has them; it raises on anything the schema does not know."""
    module = f"{shape.message.replace('.', '_')}_001_{shape.version}"
    document = import_module(f"pyiso20022.camt.{module}").Document
    tree = parsers.XmlParser().from_bytes(data, document)
    message, part = (SNAKE[name] for name in MESSAGES[shape.message])
    return [entry for section in getattr(getattr(tree, message), part) for entry in section.ntry]


def facts_of(entry, detail, version: str):
    """Return what is compared of one transaction."""
    amount = detail.amt_dtls.tx_amt.amt if version == "02" else detail.amt
    direction = getattr(detail, "cdt_dbt_ind", None) or entry.cdt_dbt_ind
    party = detail.rltd_pties.dbtr
    structured = detail.rmt_inf.strd if detail.rmt_inf else []
    references = [strd.cdtr_ref_inf.ref for strd in structured if strd.cdtr_ref_inf]
    documents = [doc.nb for strd in structured for doc in strd.rfrd_doc_inf]
    return (
        Decimal(amount.value),
        amount.ccy,
        direction.value,
        (party.pty if hasattr(party, "pty") else party).nm,
        (references + documents + [""])[0],
        bool(entry.rvsl_ind or detail.rtr_inf),
        entry.sts.cd if hasattr(entry.sts, "cd") else entry.sts.value,
    )


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 10**6),
    st.builds(
        CamtShape,
        message=st.sampled_from(["camt.054", "camt.053"]),
        version=st.sampled_from(["02", "04", "08", "12"]),
        prefix=st.sampled_from(["", "n"]),
        has_balances=st.just(True),
    ),
)
def test_another_reader_finds_the_same_payments(seed, shape):
    shape = shape if shape.message == "camt.053" else CamtShape(version=shape.version, prefix=shape.prefix)
    entries = random_camt_entries(seed, 20)
    if shape.version == "02":  # its transactions have no direction of their own
        entries = [e for e in entries if len({e.signed_minor >= 0, *(p.is_credit for p in e.payments)}) == 1]
    data = camt_file(entries, shape)
    theirs = [
        facts_of(entry, detail, shape.version)
        for entry in entries_of(data, shape)
        for details in entry.ntry_dtls
        for detail in details.tx_dtls
    ]
    ours = [
        (
            Decimal(p.amount_minor) / 100,
            p.currency,
            "CRDT" if p.direction.value == "credit" else "DBIT",
            p.payer_name,
            p.reference,
            p.is_reversal,
            p.status,
        )
        for p in read(data).payments
    ]
    assert ours == theirs
