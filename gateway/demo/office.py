"""Setting the demo's installation up, and what its bookkeepers do by hand: always through the services."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import requests
from sqlalchemy import select

from gateway.db.tables import Agreement, Customer, IncomingPayment, LedgerEntry
from gateway.demo import sandboxes
from gateway.demo.documents import issued
from gateway.demo.ledger import DemoCreditor, Record, first_day, lines, told_by
from gateway.demo.stage import DemoStuck, Stage, sftp_password
from gateway.domain.exchange import Severity
from gateway.domain.transport import PULL, is_pull
from gateway.formats import pull
from gateway.services import agreements, creditors, customers, links, marks, people, posting
from gateway.testing.pull_agency import ACCESS

EMAIL, PASSWORD = "demo@kravport.example", "kravport demo 2026"
"""Log-in of the demo's panel; it listens on this machine only and holds invented data."""
BOOKKEEPER = EMAIL
SOURCE = "demo"


@dataclass(frozen=True, slots=True)
class Desk:
    """One creditor of the demo as it was set up: ids, and the key of its accounting system."""

    creditor: DemoCreditor
    creditor_id: int
    agreement_id: int
    api_key: str


def open_desks(stage: Stage, wanted: Iterable[DemoCreditor]) -> list[Desk]:
    """Add creditors, keys, agreements and the person who looks at them."""
    desks = [_open_desk(stage, creditor) for creditor in wanted]
    people.add_user(stage.house, EMAIL, PASSWORD, people.ROLES, [], "nb", "demo", name="Demo")
    return desks


def _open_desk(stage: Stage, creditor: DemoCreditor) -> Desk:
    house, actor = stage.house, "demo"
    creditor_id = creditors.add_creditor(
        house,
        key=creditor.key,
        name=creditor.name,
        organisation_number=creditor.organisation_number,
        country=creditor.country,
        currency=creditor.currency,
        time_zone=creditor.time_zone,
        language=creditor.language,
        actor=actor,
    )
    api_key = creditors.add_api_key(house, creditor_id, "demo ledger", creditors.SCOPES, actor)
    agreement_id = _agree(stage, creditor, creditor_id)
    if creditor.treated_as_factoring or creditor.service == "factoring":
        faults = agreements.save_factoring_settings(
            house,
            creditor_id,
            {
                "use_factoring": True,
                "customer_number": creditor.client_number,
                "name": "Sandbox Factor AS",
                "address": "Prøveveien 99, 0001 Oslo",
                "account_number": creditor.payment_account,
                "invoice_text": "Fakturaen er overdratt. Betal kun til oppgitt konto.",
            },
            actor,
        )
        if any(fault.severity is Severity.BLOCKING for fault in faults):
            raise DemoStuck(f"{creditor.name}: factoring settings are not taken: {faults}")
    agreements.activate(house, agreement_id, actor)
    return Desk(creditor, creditor_id, agreement_id, api_key)


def _agree(stage: Stage, creditor: DemoCreditor, creditor_id: int) -> int:
    house, actor, key = stage.house, "demo", creditor.agency_key
    transport, given = _way_in(stage, creditor)
    agreement_id = agreements.create_agreement(
        house,
        creditor_id,
        agency_key=key,
        client_number=creditor.client_number,
        service=creditor.service,
        currency=creditor.currency,
        market=creditor.country,
        profile=creditor.profile,
        settings=creditor.settings,
        transport=transport,
        payment_account=creditor.payment_account,
        posts_automatically=creditor.posts_automatically,
        treated_as_factoring=creditor.treated_as_factoring,
        actor=actor,
    )
    for name, value in given.items():
        agreements.set_secret(house, agreement_id, name, value, actor)
    _let_in(stage, key, agreement_id, fetches=is_pull(transport))
    return agreement_id


def _let_in(stage: Stage, key: str, agreement_id: int, *, fetches: bool) -> None:
    """Tell the agency where to push, and with which secret; one that fetches gets a key."""
    secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    agreements.set_secret(stage.house, agreement_id, "webhook_secret", secret, "demo")
    token = agreements.new_webhook_token(stage.house, agreement_id, "demo")
    told = {"webhook.json": {"url": f"{stage.address}/webhooks/{key}/{token}", "secret": secret}}
    if fetches:
        api_key = creditors.add_agency_key(stage.house, agreement_id, "demo agency", "demo")
        told[ACCESS] = {"url": stage.address, "key": api_key}
    for name, content in told.items():
        file = stage.sandbox_root / key / name
        file.touch(0o600)
        file.write_text(json.dumps(content))


def _way_in(stage: Stage, creditor: DemoCreditor) -> tuple[dict[str, Any], Mapping[str, str]]:
    """Return an agreement's way to a sandbox, its API where it has one, and the secrets that let it in."""
    if creditor.profile == pull.PROFILE:
        return {"kind": PULL}, {}
    agency_key = creditor.agency_key
    ready = json.loads((stage.sandbox_root / sandboxes.READY).read_text())
    door = ready["https"].get(agency_key)
    if door:
        return door["transport"], door["secrets"]
    mailbox = {"upload": "/upload", "download": "/download"}
    server = {"host": "127.0.0.1", "port": ready["port"], "user": agency_key, "host_key": ready["host_key"]}
    return {"kind": "sftp", **server, **mailbox}, {"sftp_password": sftp_password(agency_key)}


def send_ledger(stage: Stage, desk: Desk, records: list[Record]) -> None:
    """Tell the ledger: invoices as UBL files where the layout hands those over, all else over the REST API."""
    creditor = desk.creditor
    layout = stage.house.agencies[creditor.agency_key].profile.layout(creditor.profile)
    if layout is not None and layout.needs_documents:
        told = issued(creditor, told_by(creditor, first_day), records)
        stage.ingest(creditor.key, SOURCE, told.documents)
        records = told.records
    _push(stage, desk, records)


def _push(stage: Stage, desk: Desk, records: list[Record]) -> None:
    """Push records as the accounting system does; again until they are taken, which changes nothing."""
    body = b"".join(lines(records))
    headers = {
        "Authorization": f"Bearer {desk.api_key}",
        "Content-Type": "application/x-ndjson",
        "X-Source": SOURCE,
    }
    deadline = time.monotonic() + stage.patience_seconds
    while True:
        try:
            answer = requests.post(f"{stage.address}/api/v1/ledger", data=body, headers=headers, timeout=30)
        except requests.RequestException as error:
            fault = type(error).__name__
        else:
            if answer.ok:
                return
            fault = f"{answer.status_code} {answer.text[:500]}"
            if answer.status_code < 500:
                raise DemoStuck(f"{desk.creditor.name}: the ledger was not taken: {fault}")
        if time.monotonic() > deadline:
            raise DemoStuck(f"{desk.creditor.name}: the ledger was not taken: {fault}")
        time.sleep(0.2)


def set_marks(stage: Stage, desks: dict[str, Desk]) -> None:
    """Mark two invoices and a customer *do not transfer*, as a bookkeeper does in the panel."""
    for key, number in (("sjo", "20012"), ("vik", "30004")):
        if key in desks:
            marks.mark_invoice(stage.house, invoice_id(stage, desks[key], number), True, BOOKKEEPER)
    if "sjo" in desks:
        marks.mark_customer(stage.house, customer_id(stage, desks["sjo"], "3004"), True, BOOKKEEPER)


def mend(stage: Stage, desks: dict[str, Desk]) -> None:
    """What the bookkeepers do on the second day: mend cards, divide the payment that holds two invoices together."""
    if "sjo" in desks:
        card = customer_id(stage, desks["sjo"], "3019")
        customers.correct_customer(stage.house, card, {"postcode": "111 11"}, BOOKKEEPER)
    if "fjord" not in desks:
        return
    address = {"address1": "Prøveveien 28", "postcode": "0001", "city": "Oslo"}
    customers.correct_customer(stage.house, customer_id(stage, desks["fjord"], "2027"), address, BOOKKEEPER)
    first, second = (invoice_id(stage, desks["fjord"], number) for number in ("10007", "10008"))
    with stage.house.database.read() as connection:
        group_id = connection.execute(select(LedgerEntry.group_id).where(LedgerEntry.id == first)).scalar_one()
        query = select(LedgerEntry.id).where(LedgerEntry.group_id == group_id, LedgerEntry.kind == "payment")
        payment = connection.execute(query).scalar_one()
    links.split_payment(stage.house, payment, {first: 30_000, second: 45_000}, BOOKKEEPER)


def post_what_waits(stage: Stage, desks: Iterable[Desk]) -> int:
    """Post every proposed payment, as a bookkeeper does who has looked through the list; return how many."""
    ids = [desk.creditor_id for desk in desks]
    p = IncomingPayment
    with stage.house.database.read() as connection:
        query = select(p.id).where(p.creditor_id.in_(ids), p.state == "proposed", p.posts).order_by(p.id)
        waiting = connection.execute(query).scalars().all()
    return len(posting.post(stage.house, waiting, BOOKKEEPER).posted)


def invoice_id(stage: Stage, desk: Desk, number: str) -> int:
    """Return the id of a creditor's invoice."""
    e = LedgerEntry
    query = select(e.id).where(e.creditor_id == desk.creditor_id, e.kind == "invoice", e.number == number)
    with stage.house.database.read() as connection:
        return connection.execute(query).scalar_one()


def customer_id(stage: Stage, desk: Desk, number: str) -> int:
    """Return the id of a creditor's customer."""
    c = Customer
    with stage.house.database.read() as connection:
        query = select(c.id).where(c.creditor_id == desk.creditor_id, c.customer_number == number)
        return connection.execute(query).scalar_one()


def next_run(stage: Stage, desk: Desk) -> object:
    """Return when the agreement's next evening is."""
    with stage.house.database.read() as connection:
        return connection.execute(select(Agreement.next_run_at).where(Agreement.id == desk.agreement_id)).scalar_one()
