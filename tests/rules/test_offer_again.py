"""A file refused whole is not lost: a person offers it again, and the agency gets each claim once."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from gateway.db.tables import Envelope
from gateway.domain.exchange import Receipt
from gateway.domain.ledger import EntryKind
from gateway.errors import Refused
from gateway.services import receipts
from tests.rules.world import ACTOR, World


def _refuse_file(world: World) -> int:
    """Let the agency refuse the newest file whole, as after a gap in the counters."""
    columns = Envelope.__table__.columns
    with world.house.database.write() as connection:
        row = connection.execute(select(*columns).order_by(columns.id.desc()).limit(1)).one()
        agreement = receipts.agreement_of(connection, world.agreement_id)[0]
        receipt = Receipt(row.kind, row.sequence, row.file_id, "rejected", "SEQUENCE_GAP", "expected 005", ())
        receipts._apply(connection, agreement, row, receipt, world.clock(), nets=False)
    return row.id


@pytest.mark.rule("R-OP-12")
def test_r_op_12_a_file_refused_whole_waits_for_a_person_and_then_goes_once(fjord):
    fjord.customer()
    fjord.invoice("1001", 100)
    fjord.evening()
    envelope_id = _refuse_file(fjord)
    assert fjord.evening().held["1001"] == {"receipt.rejected"}, "nobody has said that the cause is gone"
    with pytest.raises(Refused):
        receipts.offer_again(fjord.house, envelope_id, ACTOR, " ")
    assert receipts.offer_again(fjord.house, envelope_id, ACTOR, "counters agreed with the agency") == 1
    assert fjord.evening().sent == {"1001"}
    assert fjord.evening().sent == set()


def test_a_charge_taken_back_does_not_lower_the_principal(fjord):
    fjord.customer()
    fjord.invoice("1001", 100)
    fjord.item("fee", EntryKind.CHARGE, 38, charge_kind="reminder-fee")
    fjord.item("fee back", EntryKind.CHARGE, -38, charge_kind="reminder-fee")
    fjord.link("1001", "fee", "fee back")
    evening = fjord.evening()
    assert evening.held["fee back"] == {"item.not_carried"}
    assert fjord.agency_balance("1001") == 100
