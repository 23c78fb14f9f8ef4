"""The REST API: idempotent on external ids, one tenant per key, and never a surprise in an answer."""

from __future__ import annotations

import io
import itertools
import json

import pytest
from openapi_spec_validator import validate
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from gateway.db.tables import Agreement, AuditEvent, Claim, Customer, IncomingPayment, LedgerEntry
from gateway.services import creditors, posting
from gateway.web import api as api_module
from gateway.web.openapi import NDJSON, OPERATIONS, PREFIX, RESOURCES, openapi_document
from gateway.web.problems import PROBLEMS
from tests.web.conftest import CUSTOMER, INVOICE, PAYMENT, Api, World, make_app, path_of
from tests.web.payments import add_incoming


def entries(world) -> list[tuple[str, str, int, int]]:
    columns = (LedgerEntry.kind, LedgerEntry.external_id, LedgerEntry.amount_minor, LedgerEntry.group_id)
    with world.house.database.read() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(LedgerEntry.id))]


@pytest.fixture
def ledger(world):
    """One customer with one invoice."""
    assert world.api("PUT", "/customers/c-1", CUSTOMER).status_code == 201
    assert world.api("PUT", "/invoices/i-1", INVOICE).status_code == 201
    return world


def lines(*records) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


class TestWriting:
    def test_the_same_again_changes_nothing(self, ledger):
        answer = ledger.api("PUT", "/invoices/i-1", INVOICE)

        assert (answer.status_code, answer.json["result"]) == (200, "unchanged")
        assert len(entries(ledger)) == 1

    def test_what_may_change_changes(self, ledger):
        answer = ledger.api("PUT", "/invoices/i-1", {**INVOICE, "due": "2026-11-30"})

        assert (answer.status_code, answer.json["result"]) == (200, "changed")
        assert ledger.api("GET", "/invoices/i-1").json["due"] == "2026-11-30"

    @pytest.mark.parametrize("changes", [{"amount": "1250.01"}, {"booked": "2026-11-03"}, {"currency": "SEK"}])
    def test_what_is_booked_may_not_change(self, ledger, changes):
        answer = ledger.api("PUT", "/invoices/i-1", {**INVOICE, **changes})

        assert (answer.status_code, answer.json["code"]) == (409, "entry.changed")
        assert ledger.api("GET", "/invoices/i-1").json["amount_minor"] == 125000

    def test_every_kind_of_entry_gets_its_sign(self, ledger):
        bodies = {
            "credit-notes": {**PAYMENT, "credits": ["1001"], "number": "77"},
            "payments": PAYMENT,
            "disbursements": PAYMENT,
            "voucher-lines": {**PAYMENT, "amount": "-250.00"},
            "write-offs": {**PAYMENT},
            "charges": {**PAYMENT, "charge_kind": "reminder-fee"},
            "reversals": {**PAYMENT, "reverses": "payments-1"},
        }
        for segment in ("credit-notes", "write-offs", "charges", "reversals"):
            del bodies[segment]["is_bank"]
        for segment, body in bodies.items():
            assert ledger.api("PUT", f"/{segment}/{segment}-1", body).status_code == 201, segment

        signs = {kind: amount for kind, _, amount, _ in entries(ledger)}
        assert signs == {
            "invoice": 125000, "credit_note": -25000, "payment": -25000, "payment_out": 25000, "other": -25000,
            "write_off": -25000, "charge": 25000, "reversal": 25000,
        }  # fmt: skip

    def test_a_link_lowers_the_open_amount(self, ledger):
        ledger.api("PUT", "/payments/p-1", PAYMENT)
        answer = ledger.api("PUT", "/links/l-1", {"entries": ["i-1", "p-1"]})

        assert answer.status_code in {200, 201}
        assert ledger.api("GET", "/invoices/i-1").json["open_amount"] == "1000.00"
        ledger.api("PUT", "/links/l-1", {"entries": []})
        assert ledger.api("GET", "/invoices/i-1").json["open_amount"] == "1250.00"

    def test_the_id_may_stand_in_the_body(self, ledger):
        assert ledger.api("POST", "/payments", {**PAYMENT, "external_id": "p//9"}).status_code == 201
        assert ledger.api("POST", "/payments", PAYMENT).json["errors"][0]["field"] == "external_id"

    @pytest.mark.parametrize("external_id", ["2026/1001", "æøå 1", "a%b", "0007", "?x=1"])
    def test_ids_are_taken_as_they_are(self, ledger, external_id):
        assert ledger.api("PUT", path_of("invoices", external_id), INVOICE).json["external_id"] == external_id
        assert ledger.api("GET", path_of("invoices", external_id)).json["external_id"] == external_id

    def test_another_source_is_another_record(self, ledger):
        assert ledger.api("PUT", "/customers/c-1", CUSTOMER, X_Source="tripletex").status_code == 201
        assert ledger.api("PUT", "/invoices/i-1", INVOICE, X_Source="tripletex").status_code == 201
        assert ledger.api("GET", "/invoices/i-1?source=tripletex").json["source"] == "tripletex"
        assert len(entries(ledger)) == 2

    @pytest.mark.parametrize("source", ["kravport", "UPPER", "a b", "x" * 50, "../x"])
    def test_a_source_is_a_short_name_and_not_ours(self, ledger, source):
        assert ledger.api("PUT", "/customers/c-1", CUSTOMER, X_Source=source).status_code == 400

    def test_who_did_it_is_in_the_audit_trail(self, ledger):
        query = select(AuditEvent.actor).where(AuditEvent.action == "ledger.ingested")
        with ledger.house.database.read() as connection:
            assert set(connection.execute(query).scalars()) == {"api:accounting"}

    def test_two_at_the_same_moment_are_sorted_out(self, ledger, monkeypatch):
        """What PostgreSQL says when two callers insert the same id at once; the second try finds the row."""
        real, tries = api_module.ingest, itertools.count()

        def first_loses(*args, **kwargs):
            if next(tries) == 0:
                raise IntegrityError("insert", {}, Exception("unique"))
            return real(*args, **kwargs)

        monkeypatch.setattr(api_module, "ingest", first_loses)
        assert ledger.api("PUT", "/invoices/i-1", INVOICE).json["result"] == "unchanged"

    def test_two_that_never_get_through_are_told_to_come_again(self, ledger, monkeypatch):
        def always_loses(*_, **__):
            raise IntegrityError("insert", {}, Exception("unique"))

        monkeypatch.setattr(api_module, "ingest", always_loses)
        assert ledger.api("PUT", "/invoices/i-1", INVOICE).json["code"] == "request.conflict"


class TestRefusing:
    def test_every_fault_with_field_and_value(self, ledger):
        answer = ledger.api("PUT", "/invoices/i-2", {**INVOICE, "colour": "red", "due": "soon", "currency": "kr"})

        assert (answer.status_code, answer.json["code"]) == (422, "record.rejected")
        assert {(e["field"], e["value"]) for e in answer.json["errors"]} == {
            ("colour", "red"), ("due", "soon"), ("currency", "kr"),
        }  # fmt: skip

    def test_an_unknown_customer(self, world):
        answer = world.api("PUT", "/invoices/i-1", INVOICE)

        assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "customer")
        assert entries(world) == []

    @pytest.mark.parametrize(
        "body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"null", b'{"amount": 12.5}', b"{" * 100_000, b"9" * 6000]
    )
    def test_a_body_that_is_no_record(self, ledger, body):
        assert ledger.api("PUT", "/invoices/i-2", body=body).status_code == 422

    def test_a_json_number_is_no_amount(self, ledger):
        body = json.dumps(INVOICE).replace('"1250.00"', "1250.00").encode()
        answer = ledger.api("PUT", "/invoices/i-2", body=body)

        assert answer.status_code == 422
        assert "not a number with decimals" in answer.json["errors"][0]["reason"]

    def test_type_and_id_of_address_and_body_must_agree(self, ledger):
        assert ledger.api("PUT", "/invoices/i-2", {**INVOICE, "type": "payment"}).status_code == 422
        assert ledger.api("PUT", "/invoices/i-2", {**INVOICE, "external_id": "i-3"}).status_code == 422
        assert (
            ledger.api("PUT", "/invoices/i-2", {**INVOICE, "type": "invoice", "external_id": "i-2"}).status_code == 201
        )

    def test_another_media_type(self, ledger):
        answer = ledger.api("PUT", "/invoices/i-2", body=b"a=1", media_type="application/x-www-form-urlencoded")

        assert answer.status_code == 415

    def test_a_body_without_end(self, ledger):
        answer = ledger.api("PUT", "/invoices/i-2", body=b" " * (api_module.RECORD_BYTES_MAX + 1))

        assert (answer.status_code, answer.json["code"]) == (413, "request.too_large")

    @pytest.mark.parametrize(
        ("method", "path", "status", "allow"),
        [("DELETE", "/invoices/i-1", 405, "GET, PUT"), ("PATCH", "/ledger", 405, "POST"), ("GET", "/nothing", 404, None),
         ("POST", "/nothing/at/all", 404, None), ("GET", "/links/l-1", 405, "PUT")],
    )  # fmt: skip
    def test_addresses_and_methods_that_are_not_there(self, ledger, method, path, status, allow):
        answer = ledger.app.test_client().open(PREFIX + path, method=method)

        assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
        assert answer.headers.get("Allow") == allow

    def test_what_goes_wrong_here_says_nothing_of_our_insides(self, ledger, monkeypatch):
        monkeypatch.setattr(api_module, "ingest", lambda *_, **__: 1 / 0)
        answer = ledger.api("PUT", "/invoices/i-1", INVOICE)

        assert (answer.status_code, answer.json["code"]) == (500, "request.failed")
        assert "division" not in answer.text

    @pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "after=-1", "after=1e3", "open=maybe"])
    def test_a_query_that_is_not_understood(self, ledger, query):
        assert ledger.api("GET", f"/invoices?{query}").json["code"] == "request.query"


class TestKeys:
    @pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer kp_x_y", "Basic kp_x_y", "kp_x_y"])
    def test_no_valid_key_no_answer(self, ledger, header):
        headers = {} if header is None else {"Authorization": header}
        for operation in OPERATIONS:
            path = PREFIX + operation.path.replace("{external_id}", "i-1")
            answer = ledger.app.test_client().open(path, method=operation.method, headers=headers)
            assert (answer.status_code, answer.json["code"]) == (401, "key.missing"), path
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")

    def test_a_nearly_right_key(self, ledger):
        key = creditors.add_api_key(ledger.house, ledger.fjord, "k", ["ledger:read"], "test")

        assert Api(ledger.app, key)("GET", "/invoices").status_code == 200
        for wrong in (key[:-1], key + "x", key.upper(), key.replace("kp_", "")):
            assert Api(ledger.app, wrong)("GET", "/invoices").status_code == 401

    def test_a_revoked_key(self, ledger):
        with ledger.house.database.read() as connection:
            key_id = connection.exec_driver_sql("select min(id) from api_key").scalar_one()
        creditors.revoke_api_key(ledger.house, key_id, "test")

        assert ledger.api("GET", "/invoices").status_code == 401

    def test_scopes(self, ledger):
        reader, writer = (ledger.api_of(ledger.fjord, [f"ledger:{word}"]) for word in ("read", "write"))

        assert reader("GET", "/invoices/i-1").status_code == 200
        assert reader("PUT", "/invoices/i-1", INVOICE).json["code"] == "key.scope"
        assert writer("GET", "/invoices/i-1").status_code == 403
        assert writer("PUT", "/invoices/i-1", INVOICE).status_code == 200

    def test_creditors_see_nothing_of_each_other(self, ledger):
        """P19: another tenant's ids look exactly like ids that do not exist."""
        theirs, nobodys = (ledger.others_api("GET", f"/invoices/{name}") for name in ("i-1", "i-none"))

        assert (theirs.status_code, theirs.json) == (404, nobodys.json)
        assert ledger.others_api("GET", "/invoices").json["items"] == []
        assert ledger.others_api("PUT", "/invoices/i-9", INVOICE).status_code == 422  # c-1 is not their customer
        assert ledger.others_api("PUT", "/customers/c-1", CUSTOMER).status_code == 201
        assert ledger.others_api("PUT", "/links/l", {"entries": ["i-1"]}).status_code == 422


class TestBulk:
    RECORDS = (
        {"type": "customer", "external_id": "c-1", **CUSTOMER},
        {"type": "invoice", "external_id": "i-1", **INVOICE},
        {"type": "payment", "external_id": "p-1", **PAYMENT},
        {"type": "link", "external_id": "l-1", "entries": ["i-1", "p-1"]},
    )

    def load(self, world, body, **headers):
        return world.api("POST", "/ledger", body=body, media_type=NDJSON, **headers)

    def test_counts_and_effect(self, world):
        answer = self.load(world, lines(*self.RECORDS))

        assert answer.status_code == 200
        assert (answer.json["customers"], answer.json["entries"], answer.json["links"]) == (1, 2, 1)
        assert world.api("GET", "/invoices/i-1").json["open_amount_minor"] == 100000

    def test_the_same_load_again_changes_nothing(self, world):
        first, before = self.load(world, lines(*self.RECORDS)), entries(world)
        again = self.load(world, lines(*self.RECORDS))

        assert (again.json["created"], again.json["changed"]) == (0, 0)
        assert (again.json["sha256"], entries(world)) == (first.json["sha256"], before)

    def test_one_bad_line_and_nothing_is_taken(self, world):
        bad = {"type": "invoice", "external_id": "i-2", **INVOICE, "amount": "12,50"}
        answer = self.load(world, lines(*self.RECORDS, bad))

        assert answer.status_code == 422
        assert answer.json["errors"] == [
            {"place": "line 5", "field": "amount", "reason": answer.json["errors"][0]["reason"], "value": "12,50"}
        ]
        assert entries(world) == []

    def test_faults_of_the_ledger_name_their_line_too(self, world):
        stranger = {"type": "invoice", "external_id": "i-2", **INVOICE, "customer": "c-9"}
        answer = self.load(world, lines(*self.RECORDS, stranger))

        assert answer.status_code == 422
        assert (answer.json["errors"][0]["place"], answer.json["errors"][0]["value"]) == ("line 5", "c-9")
        assert entries(world) == []

    def test_a_changed_amount_is_a_conflict(self, world):
        self.load(world, lines(*self.RECORDS))
        changed = {"type": "invoice", "external_id": "i-1", **INVOICE, "amount": "1.00"}

        assert self.load(world, lines(changed)).json["code"] == "entry.changed"

    def test_another_media_type_and_too_much(self, world):
        assert world.api("POST", "/ledger", body=b"{}").status_code == 415
        small = World.__new__(World)
        small.app = make_app(world.house, bulk=100)
        api = Api(small.app, creditors.add_api_key(world.house, world.fjord, "k", ["ledger:write"], "test"))
        assert api("POST", "/ledger", body=lines(*self.RECORDS), media_type=NDJSON).status_code == 413

    def test_nothing_is_taken_of_a_load_that_breaks_off(self, world):
        """The caller announced more than it sent."""
        key = creditors.add_api_key(world.house, world.fjord, "k", ["ledger:write"], "test")
        body = lines(*self.RECORDS)
        answer = world.app.test_client().post(
            f"{PREFIX}/ledger",
            input_stream=io.BytesIO(body),
            headers={"Authorization": f"Bearer {key}", "Content-Type": NDJSON},
            environ_overrides={"CONTENT_LENGTH": str(len(body) + 1)},
        )

        assert answer.status_code == 400
        assert entries(world) == []


class TestLanguage:
    """People read these answers in the logs of their systems; the codes are for programs (L5)."""

    @pytest.mark.parametrize(
        ("asked", "reason"),
        [
            ("", "is missing"),
            ("fi", "is missing"),
            ("nb-NO,nb;q=0.9,en;q=0.1", "mangler"),
            ("nn", "mangler"),
            ("sv", "saknas"),
            ("en, sv;q=0.5", "is missing"),
        ],
    )
    def test_faults_are_told_in_the_language_asked_for(self, world, asked, reason):
        card = {name: value for name, value in CUSTOMER.items() if name != "name"}
        answer = world.api("PUT", "/customers/c-1", card, Accept_Language=asked)

        assert answer.status_code == 422
        assert answer.json["errors"] == [{"place": "body", "field": "name", "reason": reason, "value": ""}]

    def test_so_are_those_that_only_the_books_know(self, ledger):
        other = {**INVOICE, "amount": "1.00"}
        answer = ledger.api("PUT", "/invoices/i-1", other, Accept_Language="sv")

        assert (answer.status_code, answer.json["code"]) == (409, "entry.changed")
        assert answer.json["errors"][0]["reason"] == "får inte ändras; lagrat är 125000"


class TestReading:
    def test_state_of_a_transferred_invoice(self, ledger):
        agreement_id, _ = ledger.agreement()
        with ledger.house.database.write() as connection:
            entry_id = connection.execute(select(LedgerEntry.id)).scalar_one()
            connection.execute(
                insert(Claim).values(
                    agreement_id=agreement_id, entry_id=entry_id, claim_id="K1", reminder_number="7", state="accepted",
                    case_number="S-99", agency_state="open", told_minor=125000, agency_paid_minor=25000,
                    first_sent_at=ledger.house.now(),
                )
            )  # fmt: skip
        found = ledger.api("GET", "/invoices/i-1").json

        assert (found["number"], found["customer"], found["customer_number"]) == ("1001", "c-1", "10001")
        assert found["claims"] == [
            {
                "agency": "lowell", "display_name": "Lowell", "client_number": "0042", "claim_id": "K1", "reminder_number": "7",
                "case_number": "S-99", "state": "accepted", "agency_state": "open", "agency_balance": "1000.00",
                "first_sent_at": "2026-11-23T16:30:00+00:00",
            }
        ]  # fmt: skip

    def test_an_exclusion_shows(self, ledger):
        with ledger.house.database.write() as connection:
            connection.execute(update(Customer).values(do_not_transfer=True))

        found = ledger.api("GET", "/invoices/i-1").json
        assert (found["do_not_transfer"], found["customer_do_not_transfer"]) == (False, True)
        ledger.api("PUT", "/invoices/i-1", {**INVOICE, "do_not_transfer": True})
        assert ledger.api("GET", "/invoices/i-1").json["do_not_transfer"] is True

    def test_only_invoices_are_invoices(self, ledger):
        ledger.api("PUT", "/payments/p-1", PAYMENT)

        assert ledger.api("GET", "/invoices/p-1").status_code == 404

    def test_pages_show_everything_once_while_rows_are_added(self, ledger):
        for number in range(2, 8):
            ledger.api("PUT", f"/invoices/i-{number}", {**INVOICE, "number": str(number)})
        seen, after = [], "0"
        while after is not None:
            page = ledger.api("GET", f"/invoices?limit=3&after={after}").json
            seen += [item["external_id"] for item in page["items"]]
            after = page["next"]
            if len(seen) == 3:
                ledger.api("PUT", "/invoices/i-8", {**INVOICE, "number": "8"})

        assert seen == [f"i-{number}" for number in range(1, 9)]

    def test_open_and_closed(self, ledger):
        ledger.api("PUT", "/invoices/i-2", {**INVOICE, "number": "1002"})
        ledger.api("PUT", "/payments/p-1", {**PAYMENT, "amount": "1250.00"})
        ledger.api("PUT", "/links/l-1", {"entries": ["i-2", "p-1"]})

        for flag, ids in (("true", ["i-1"]), ("false", ["i-2"])):
            assert [i["external_id"] for i in ledger.api("GET", f"/invoices?open={flag}").json["items"]] == ids

    def test_incoming_payments(self, ledger):
        agreement_id, _ = ledger.agreement()
        add_incoming(ledger.house, ledger.fjord, agreement_id, count=3)

        page = ledger.api("GET", "/payments?limit=2&state=unmatched").json
        rest = ledger.api("GET", f"/payments?limit=2&after={page['next']}").json
        assert [p["reference"] for p in page["items"] + rest["items"]] == ["1", "2", "3"]
        assert (page["items"][0]["amount"], page["items"][0]["label"]) == ("10.00", "Lowell")
        assert rest["next"] is None
        assert ledger.api("GET", "/payments?state=posted").json["items"] == []
        assert ledger.others_api("GET", "/payments").json["items"] == []

    def test_a_posted_payment_names_what_to_book_until_the_books_tell_of_it(self, ledger):
        agreement_id, _ = ledger.agreement()
        add_incoming(ledger.house, ledger.fjord, agreement_id, count=1)
        with ledger.house.database.write() as connection:
            invoice = connection.execute(select(LedgerEntry.id)).scalar_one()
            values = {"state": "proposed", "entry_id": invoice, "posts": True, "principal_minor": 130_000}
            connection.execute(update(IncomingPayment).values(**values))
            payment_id = connection.execute(select(IncomingPayment.id)).scalar_one()
        posting.post(ledger.house, [payment_id], "kari@fjord.example")

        def postings():
            (payment,) = ledger.api("GET", "/payments?state=posted").json["items"]
            return payment["postings"]

        linked, surplus = postings()
        assert (linked["invoice"], linked["amount"], surplus["invoice"]) == ("i-1", "-1250.00", None)
        booked = PAYMENT | {"amount": "1250.00", "back_reference": linked["back_reference"]}
        assert ledger.api("PUT", "/payments/v-152", booked).status_code == 200
        assert postings() == [surplus]
        assert ledger.api("GET", "/invoices/i-1").json["open_amount_minor"] == 0


class TestDocument:
    def test_it_is_a_valid_openapi_document(self):
        validate(json.loads(json.dumps(dict(openapi_document()))))

    def test_it_is_served_as_it_is(self, world):
        answer = world.app.test_client().get(f"{PREFIX}/openapi.json")

        assert answer.json == json.loads(json.dumps(dict(openapi_document())))

    def test_routes_and_document_are_the_same(self, world):
        routes = {
            (method, rule.rule.replace("<path:", "{").replace(">", "}"))
            for rule in world.app.url_map.iter_rules()
            if rule.rule.startswith(PREFIX) and not rule.rule.endswith(("openapi.json", "<path:rest>"))
            for method in rule.methods - {"HEAD", "OPTIONS"}
        }
        described = {(m.upper(), path) for path, methods in openapi_document()["paths"].items() for m in methods}

        assert routes == described
        assert len(routes) == 2 * len(RESOURCES) + 10

    def test_every_problem_is_described(self):
        operation = openapi_document()["paths"][f"{PREFIX}/ledger"]["post"]

        for code, (status, _) in PROBLEMS.items():
            assert f"`{code}`" in operation["responses"][str(status)]["description"]


def test_on_both_databases(house):
    """Once through on SQLite and PostgreSQL: write, link, read, page."""
    world = World(house)
    body = lines(*TestBulk.RECORDS)

    for _ in range(2):
        assert world.api("POST", "/ledger", body=body, media_type=NDJSON).status_code == 200
    assert world.api("GET", "/invoices/i-1").json["open_amount"] == "1000.00"
    assert len(world.api("GET", "/invoices?open=true").json["items"]) == 1
    assert world.api("GET", "/payments").json["items"] == []
    with house.database.read() as connection:
        assert connection.execute(select(Agreement.id)).all() == []
