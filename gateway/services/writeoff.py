"""Writing an invoice off in the books without the agency seeing a payment (R-VL-07, R-VL-09, A-49)."""

from __future__ import annotations

from gateway.db import audit
from gateway.db.ledger_sql import queue_groups, refresh_open
from gateway.domain.instructions import Action
from gateway.errors import Refused
from gateway.services import instructions
from gateway.services.entries import derived_entry, insert_entries
from gateway.services.house import House
from gateway.services.links import group_rows
from gateway.services.marks import locked_entry

WRITTEN_OFF = "invoice.written_off"
"""Action in the audit trail, which numbers the write-offs of an invoice."""


def write_off(
    house: House, entry_id: int, actor: str, *, loss_account: str, text: str = "", tells_agency: bool = False
) -> int:
    """Write off what is open of an invoice; return the id of the new ledger line.

    The line is linked to the invoice and marked *do not transfer* from the first moment: the books show nothing open, the
    agency keeps its claim. It is booked to *loss_account* (Norway 7830); withdrawing the claim is a separate act
    (R-CO-59). *tells_agency* lets the agency know of the loss as information beside (R-VL-12); it goes on collecting.

    Raises:
        Refused: as `instructions.instruct`, when the agency is to be told and cannot be; nothing is booked then.
        Refused: ``group.several_invoices`` (nobody can say what is open of which), ``writeoff.nothing_open``.
        NotFound: no such invoice.
    """
    with house.database.write() as connection:
        invoice = locked_entry(connection, entry_id, "invoice")
        group = group_rows(connection, invoice.group_id)
        if sum(member.kind == "invoice" for member in group) > 1:
            raise Refused("group.several_invoices", numbers=", ".join(m.number for m in group if m.number))
        if invoice.open_minor <= 0:
            raise Refused("writeoff.nothing_open")
        now = house.now()
        earlier = audit.acts(connection, invoice.creditor_id, "entry", invoice.id, [WRITTEN_OFF])
        line = derived_entry(
            invoice, f"write-off-{len(earlier) + 1}", now=now, kind="write_off", amount_minor=-invoice.open_minor, group_id=invoice.group_id,
            counter_account=loss_account, is_bank=False, text=text, payment_reference="", do_not_transfer=True,
            do_not_transfer_by=actor, do_not_transfer_at=now,
        )  # fmt: skip
        (line_id,) = insert_entries(connection, [line])
        refresh_open(connection, [invoice.group_id], now)
        queue_groups(connection, invoice.creditor_id, [invoice.group_id], now)
        if tells_agency:
            instructions.add(house, connection, invoice, Action.WRITTEN_OFF, actor)
        facts = {"amount_minor": invoice.open_minor, "account": loss_account, "line": line_id}
        audit.record(connection, invoice.creditor_id, now, actor, WRITTEN_OFF, "entry", entry_id, **facts)
    return line_id
