"""An agency by a profile alone: its files stay in the sandbox until an operator confirms these very bytes (R-OP-18)."""

from __future__ import annotations

import dataclasses
from datetime import date

import pytest
from sqlalchemy import select

from gateway.agencies import Agencies
from gateway.db.tables import AuditEvent, Envelope
from gateway.domain.exchange import AgencyProfile, Can, Service
from gateway.errors import DataError, NotFound, Refused
from gateway.hookspecs import AgencyHooks, hookimpl
from gateway.profiles import ProfileFile, export, layout_profile, load, loads, verify
from gateway.profiles.shipped import shipped
from gateway.services import agreements, confirmations, delivery
from tests.profiles.builders import SMALL
from tests.rules.world import ACTOR, World

PAPER = {"document": "File description", "version": "2.1", "dated": date(2026, 10, 1), "told_by": "Kari, by letter"}


class PaperAgency(AgencyHooks):
    """All that a plugin needs whose files are a profile's."""

    api_version = "1.0"

    def __init__(self, content):
        self.profile = loads(content)
        self.file = ProfileFile(self.profile, "claims")

    @hookimpl
    def agency_profile(self):
        return AgencyProfile(
            key="paper", name="Paper", markets=frozenset({"NO"}), currencies=frozenset({"NOK"}),
            services=frozenset({Service.LEDGER}), can=Can.EXPORT_INVOICE, layouts=(layout_profile(self.profile),),
            delivery_is_idempotent=False, settings_schema={"type": "object"},
        )  # fmt: skip

    @hookimpl
    def export_invoice(self, claims, agreement, seal, sink):
        return export(self.file, claims, agreement, seal, sink)

    @hookimpl
    def verify_envelope(self, envelope, agreement, source):
        return verify(self.file, envelope, source)


def world_of(house, clock, tmp_path, content, environment="production"):
    taught = dataclasses.replace(house, agencies=Agencies((("paper", PaperAgency(content)),)))
    assert taught.agencies.broken == {}
    return World(taught, clock, tmp_path, "paper", options={"environment": environment})


def confirmed(house, content, **changes):
    return confirmations.confirm(house, loads(content), content, **(PAPER | changes), actor=ACTOR)


@pytest.mark.rule("R-OP-18")
def test_r_op_18_a_profile_goes_to_production_when_its_bytes_are_confirmed_and_not_before(house, clock, tmp_path):
    content = SMALL.encode()
    world = world_of(house, clock, tmp_path, content).start_draft()
    with pytest.raises(Refused) as refused:
        agreements.activate(world.house, world.agreement_id, ACTOR)
    assert refused.value.code == "delivery.unconfirmed_profile"
    confirmed(world.house, content)
    agreements.activate(world.house, world.agreement_id, ACTOR)
    world.customer()
    world.invoice("1001", 1250)
    world.evening()
    (envelope,) = world.rows(Envelope)
    delivery.deliver(world.house, envelope.id)
    ((name, sent),) = {path.name: path.read_bytes() for path in (tmp_path / "paper").rglob("claims.*")}.items()
    assert (name, sent) == ("claims.001", b"10000100100000125000\n99000000100000125000\n")


@pytest.mark.rule("R-OP-18")
def test_r_op_18_an_edit_takes_the_confirmation_away_also_after_sealing(house, clock, tmp_path):
    content = SMALL.encode()
    world = world_of(house, clock, tmp_path, content).start_draft()
    confirmed(world.house, content)
    agreements.activate(world.house, world.agreement_id, ACTOR)
    world.customer()
    world.invoice("1001", 1250)
    world.evening()
    (envelope,) = world.rows(Envelope)
    edited = world_of(house, clock, tmp_path, content + b"# one word more\n").house
    with pytest.raises(DataError, match="R-OP-18"):
        delivery.deliver(edited, envelope.id)
    confirmations.withdraw(world.house, loads(content), ACTOR)
    with pytest.raises(DataError, match="R-OP-18"):
        delivery.deliver(world.house, envelope.id)
    assert list((tmp_path / "paper").rglob("claims.*")) == []


@pytest.mark.rule("R-OP-18")
def test_r_op_18_a_confirmation_is_audited_with_who_what_and_on_which_paper(house):
    content = SMALL.encode()
    number = confirmed(house, content)
    with house.database.read() as connection:
        found = confirmations.confirmation_of(connection, loads(content).sha256)
        event = connection.execute(select(AuditEvent).where(AuditEvent.action == "profile.confirmed")).mappings().one()
    assert (found.id, found.document, found.document_date, found.confirmed_by) == (
        number, "File description", date(2026, 10, 1), ACTOR,
    )  # fmt: skip
    assert (event["actor"], event["object_id"], event["facts"]["told_by"]) == (ACTOR, "small", "Kari, by letter")
    with pytest.raises(DataError, match="confirmed already"):
        confirmed(house, content)
    confirmations.withdraw(house, loads(content), ACTOR)
    with pytest.raises(NotFound):
        confirmations.withdraw(house, loads(content), ACTOR)
    assert confirmed(house, content) > number


@pytest.mark.rule("R-OP-18")
@pytest.mark.parametrize(
    ("content", "changes", "told"),
    [
        (SMALL.encode(), {"document": " "}, "document must be said"),
        (SMALL.encode(), {"told_by": ""}, "told by must be said"),
        (SMALL.encode(), {"dated": date(2027, 1, 1)}, "lies in the future"),
        (SMALL.replace('encoding = "ascii"', 'ask = ["Which charset?"]').encode(), {}, "Which charset"),
        (shipped()["kravport-sls-1"].read_bytes(), {}, "nobody's layout"),
        (shipped()["fall-nordea"].read_bytes(), {}, "still asks the agency"),
    ],
)
def test_r_op_18_what_is_not_known_cannot_be_confirmed(sqlite_house, content, changes, told):
    with pytest.raises(DataError, match=told):
        confirmed(sqlite_house, content, **changes)


def test_a_finished_file_is_read_back_with_its_totals(tmp_path):
    """`verify` finds in the bytes what the export says it wrote, for a layout with items in every form."""
    from tests.plugins import sls_builders as sls

    kinds = {"direct_payment": "credit", "credit_note": "credit", "disbursement": "debit", "voucher_line": "debit"}
    items = [
        sls.item(f"i-{kind}", sls.LinkKind(kind), sls.Direction(side), 7_00, number="5") for kind, side in kinds.items()
    ]
    items.append(sls.item("i-fee", sls.LinkKind.CHARGE, sls.Direction.DEBIT, 38_00, charge_kind="reminder-fee"))
    file, sink = ProfileFile(load(shipped()["kravport-sls-1"]), "invoices"), sls.MemorySink()
    (envelope,) = export(file, [sls.claim(items=items)], sls.agreement(), sls.seal(), sink)
    path = tmp_path / "file"
    path.write_bytes(sink.files[envelope.filename])
    with path.open("rb") as source:
        assert verify(file, envelope, source) == envelope.totals == (1, 5, 1264_00, 14_00, 38_00, 0)
