"""The creditor's own bank in the place of an agency, and the agencies' payouts on its statements (R-PM-02, R-OP-04)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, case, func, or_, select, update

from gateway.db.bulk import batches, table_of
from gateway.db.ledger_sql import IN_LIST_MAX
from gateway.db.tables import Agreement as AgreementRow
from gateway.db.tables import Claim, Creditor, FactoringSettings, IncomingPayment
from gateway.domain.exchange import TO_FACTORING, Agreement, Service
from gateway.domain.identifiers import account_key
from gateway.domain.references import PaymentRules, payment_rules
from gateway.errors import NotFound
from gateway.services import twins
from gateway.services.cards import agreement_of

NOBODYS = 0
"""Id of an agreement with nobody: no claim is of it, and what it brings bears no agency's name."""
PAYMENT_PROFILES = "payment_profiles"
"""Setting of an agreement: a list of the unverified payment formats that it takes all the same (`open_payments`).

The creditor's own bank has them in its payment rules.
"""
_P = table_of(IncomingPayment)


def own_bank(connection: Connection, creditor_id: int) -> Agreement:
    """Return the creditor's own bank as if it were an agency without name or claims; raises ``NotFound``."""
    columns = table_of(Creditor).columns
    row = connection.execute(select(*columns).where(columns.id == creditor_id)).one_or_none()
    if row is None:
        raise NotFound(f"no creditor {creditor_id}")
    return Agreement(
        agreement_id=NOBODYS,
        agency_key="",
        creditor_id=creditor_id,
        creditor_name=row.name,
        display_name="",
        client_number="",
        service=Service.LEDGER,
        market=row.country,
        currency=row.currency,
        profile="",
        is_sandbox=False,
        settings={PAYMENT_PROFILES: payment_rules(row.payment_rules).profiles},
    )


def payment_rules_of(connection: Connection, creditor_id: int, agreement_id: int | None) -> PaymentRules:
    """Return what an agreement's payments are judged by: its own rules, else those of the creditor's bank."""
    query = select(Creditor.payment_rules).where(Creditor.id == creditor_id)
    rules = connection.execute(query).scalar_one()
    own = select(AgreementRow.payment_rules).where(AgreementRow.id == agreement_id)
    changed = connection.execute(own).scalar_one_or_none() or {}
    if "check" in changed:  # a check and its lengths are one thing
        rules = {name: value for name, value in rules.items() if name == "tolerance_minor"}
    return payment_rules(rules | changed)


def set_payouts_apart(connection: Connection, file: Any) -> None:
    """Name the agency on money that came from its own account, and leave it to a person: nobody's debt is paid by it.

    Its origin is the agency, so it never becomes a direct payment, whatever a person does with it (R-PM-08).
    """
    query = select(AgreementRow.id, AgreementRow.display_name, AgreementRow.agency_accounts)
    owners = {
        account_key(account): row
        for row in connection.execute(query.where(AgreementRow.creditor_id == file.creditor_id))
        for account in row.agency_accounts
    }
    if not owners:
        return
    mine = (_P.c.file_id == file.id, _P.c.payer_account != "")
    found: dict[Any, list[str]] = {}
    for account in connection.execute(select(_P.c.payer_account).distinct().where(*mine)).scalars():
        if (owner := owners.get(account_key(account))) is not None:
            found.setdefault((owner.id, owner.display_name), []).append(account)
    for (agreement_id, label), accounts in found.items():
        for some in batches(accounts, IN_LIST_MAX):
            payouts = update(_P).where(*mine, _P.c.payer_account.in_(some))
            connection.execute(payouts.values(agreement_id=agreement_id, label=label, **_SET_APART))


def name_factoring(connection: Connection, file: Any) -> Agreement | None:
    """Name the factoring company on money that the bank's file says went to it; return its agreement.

    Its origin is then the agency, which counts it on its claims and is never told of it (R-PM-08). Without one factoring
    company to name, a person must say whose the money is.
    """
    owner = _factoring_company(connection, file.creditor_id)
    named = {"agreement_id": owner.agreement_id, "label": owner.display_name} if owner else _SET_APART
    # The company may have told of the money itself: then that is the question.
    difference = case((_P.c.difference == twins.POSSIBLE, _P.c.difference), else_=TO_FACTORING)
    change = update(_P).where(_P.c.file_id == file.id, _P.c.why_not == TO_FACTORING, _WAITS)
    connection.execute(change.values(**(named | {"difference": difference})))
    return owner


def factoring_with(connection: Connection, payment: Any, entry_id: int) -> dict[str, Any]:
    """Return agreement and label of a payment that went to a factoring company, once its invoice says to which of several.

    Nothing for any other payment, or where none of them has the invoice.
    """
    if payment.why_not != TO_FACTORING:
        return {}
    claim = table_of(Claim).columns
    has = select(claim.agreement_id).where(claim.entry_id == entry_id, claim.state != "withdrawn")
    owners = set(_factoring_companies(connection, payment.creditor_id)) & set(connection.execute(has).scalars())
    if len(owners) != 1:
        return {}
    owner = agreement_of(connection, owners.pop())[0]
    return {"agreement_id": owner.agreement_id, "label": owner.display_name}


def _factoring_company(connection: Connection, creditor_id: int) -> Agreement | None:
    ids = _factoring_companies(connection, creditor_id)
    return agreement_of(connection, ids[0])[0] if len(ids) == 1 else None


def _factoring_companies(connection: Connection, creditor_id: int) -> Sequence[int]:
    """Return the agreements with factoring companies, and with agencies that are treated as such (R-FA-01)."""
    a, settings = AgreementRow, FactoringSettings
    uses = select(settings.creditor_id).where(settings.creditor_id == creditor_id, settings.use_factoring)
    is_factor = or_(a.service == Service.FACTORING.value, and_(a.treated_as_factoring, uses.exists()))
    found = connection.execute(select(a.id).where(a.creditor_id == creditor_id, a.state == "active", is_factor))
    return found.scalars().all()


_WAITS = _P.c.state.in_(("proposed", "unmatched"))
_SET_APART = {
    "suggested_entry_id": func.coalesce(_P.c.entry_id, _P.c.suggested_entry_id),
    "entry_id": None,
    "match_rule": "",
    "state": case((_WAITS, "unmatched"), else_=_P.c.state),
    # Told before in another form: then that is the question (R-PM-10).
    "difference": case(
        (and_(_WAITS, _P.c.difference != twins.POSSIBLE), "payment.agency_payout"), else_=_P.c.difference
    ),
}
