"""Read before you send (R-OP-05): what agency and bank have told by now is in the books before the run is built."""

from __future__ import annotations

from datetime import date

import structlog
from sqlalchemy import and_, or_, select

from gateway.db.tables import Agreement, InboundFile, Task
from gateway.errors import Busy
from gateway.services import inbound, mailbox, transfer
from gateway.services.house import House

_log = structlog.get_logger()


def make_evening(house: House, agreement_id: int, business_date: date) -> transfer.RunResult:
    """Fetch and read what waits in the agreement's mailbox, then make the run of *business_date*.

    Each step is a transaction of its own and may be repeated. A mailbox that cannot be reached, or a file that no reader
    survives, does not stop the evening: the claims go all the same, and both are tried again within minutes. Errors are
    those of `run_evening`, and `Busy` while a large file of the agreement is being read, or about to be: that is not done
    here, where other creditors' evenings wait.
    """
    try:
        mailbox.fetch(house, agreement_id)
    except Exception as error:  # noqa: BLE001  # whatever keeps the mailbox shut, the evening is not put off for it
        _log.warning("mailbox unreachable before the run", agreement=agreement_id, error=str(error))
    mine = select(Agreement.creditor_id).where(Agreement.id == agreement_id).scalar_subquery()
    of_bank = and_(InboundFile.agreement_id.is_(None), InboundFile.creditor_id == mine)
    waiting = select(InboundFile.id).where(
        or_(InboundFile.agreement_id == agreement_id, of_bank), InboundFile.state.in_(("stored", "reading"))
    )
    reading = and_(Task.topic == "read", Task.ref_id == InboundFile.id, Task.lane == "large")
    first_try = or_(Task.state == "leased", and_(Task.state == "pending", Task.attempts == 0))
    with house.database.read() as connection:
        large = connection.execute(waiting.join(Task, reading).where(first_try).limit(1)).scalar_one_or_none()
        file_ids = connection.execute(waiting.order_by(InboundFile.id)).scalars().all()
    if large is not None:
        raise Busy(f"file {large} is read first")
    for file_id in file_ids:
        try:
            inbound.process(house, file_id)
        except Busy:
            raise
        except Exception:  # noqa: BLE001  # its own promise "read" is tried again and shown; a bad file stops nobody
            _log.exception("file not read before the run", agreement=agreement_id, file=file_id)
    return transfer.run_evening(house, agreement_id, business_date)
