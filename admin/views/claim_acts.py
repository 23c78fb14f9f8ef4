"""What a person can tell the agency about an invoice it has, and the write-off that it must not take for a payment."""

from __future__ import annotations

from abc import abstractmethod
from datetime import date
from typing import Any

from flask import abort, request
from sqlalchemy import Row

from admin.access import person
from admin.base import act, done, go_back, not_found_unless
from admin.language import language
from admin.queries import claims
from admin.texts import text
from gateway.domain.instructions import Action
from gateway.errors import DataError
from gateway.services import instructions, writeoff
from gateway.services.house import House


class ClaimActs:
    """The routes of an invoice's claim; the list of `admin.views.invoices` derives from it."""

    house: House

    @abstractmethod
    def own_entry(self, entry_id: int) -> Row[Any]:
        """Return an entry of a creditor the person may see; 404 otherwise."""

    @act("/<id:entry_id>/instruct", "mark")
    def instruct(self, entry_id: int) -> Any:
        """Withdraw, hold or dispute a claim tonight; or note that the agency was told otherwise (R-OP-03)."""
        self.own_entry(entry_id)
        action, by_hand = _action(request.form.get("action", "")), request.form.get("by_hand") == "1"
        parts = {
            "until": _day(request.form.get("until", "")),
            "reason": request.form.get("reason", ""),
            "by_hand": by_hand,
        }
        instructions.instruct(self.house, entry_id, action, person().email, **parts)  # type: ignore[arg-type]
        done("claim.noted" if by_hand else "claim.goes_tonight")
        return go_back(self)

    @act("/<id:entry_id>/instruct-cancel", "mark")
    def cancel_instruction(self, entry_id: int) -> Any:
        """Take an instruction back that has not gone, or put a refused one aside."""
        self.own_entry(entry_id)
        given = request.form.get("instruction", "")
        wanted = int(given) if given.isdecimal() and len(given) < 19 else 0
        with self.house.database.read() as connection:
            row = not_found_unless(claims.instruction_of(connection, entry_id, wanted))
        instructions.cancel(self.house, row.id, person().email)
        done("claim.cancelled")
        return go_back(self)

    @act("/<id:entry_id>/write-off", "post")
    def write_off(self, entry_id: int) -> Any:
        """Write off what is open, with the mark set; the agency keeps its claim (R-VL-09, R-VL-12)."""
        self.own_entry(entry_id)
        account = request.form.get("account", "").strip()
        if not (account.isdecimal() and len(account) <= 20):
            raise DataError(text(language(), "claim.account_needed"))
        tells = request.form.get("tells_agency") == "1"
        reason = request.form.get("reason", "").strip()[:200]
        writeoff.write_off(self.house, entry_id, person().email, loss_account=account, text=reason, tells_agency=tells)
        done("claim.written_off")
        return go_back(self)


def _action(given: str) -> Action:
    known = {action.value: action for action in claims.CHOICES}
    if given not in known:
        abort(400)
    return known[given]


def _day(given: str) -> date | None:
    if not given.strip():
        return None
    try:
        return date.fromisoformat(given.strip())
    except ValueError:
        raise DataError(text(language(), "claim.no_day", day=given[:20])) from None
