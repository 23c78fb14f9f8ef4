"""What the agency says about its cases. A status never moves money (R-OP-10)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import and_, or_, select, update

from gateway.db import audit
from gateway.db.tables import Claim
from gateway.db.tables import InboundFile as FileRow
from gateway.domain.exchange import Agreement, CaseStatus, Finding, Severity
from gateway.services.cards import finding_json
from gateway.services.house import House


def take(house: House, file: Any, agreement: Agreement, statuses: Iterable[CaseStatus]) -> None:
    """Keep the latest state and words of each case; an unknown case becomes a finding."""
    with house.database.write() as connection:
        now = house.now()
        state = connection.execute(select(FileRow.state).where(FileRow.id == file.id).with_for_update()).scalar_one()
        if state != "reading":
            return
        count, findings = 0, []
        for status in statuses:
            count += 1
            by_case = and_(Claim.case_number == status.case_number, Claim.case_number != "")
            by_claim = and_(Claim.claim_id == status.claim_id, Claim.claim_id != "")
            words = " ".join(part for part in (status.close_code, status.raw_code, status.raw_text) if part)
            changed = connection.execute(
                update(Claim)
                .where(Claim.agreement_id == agreement.agreement_id, or_(by_case, by_claim))
                .values(agency_state=status.state, agency_state_text=words[:250])
                .execution_options(synchronize_session=False)
            )
            if not changed.rowcount:
                findings.append(
                    Finding(Severity.WARNING, "difference.not_in_ledger", status.case_number, status.claim_id)
                )
        values = {"state": "imported", "kind": "case_status", "format": agreement.profile, "transactions": count}
        as_json = [finding_json(finding) for finding in findings[:200]]
        connection.execute(
            update(FileRow).where(FileRow.id == file.id).values(**values, finished_at=now, findings=as_json)
        )
        audit.record(
            connection, file.creditor_id, now, audit.SYSTEM, "cases.taken", "inbound_file", file.id, cases=count
        )
