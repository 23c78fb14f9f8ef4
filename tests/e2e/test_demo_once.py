"""Show 1 and 3 of the issue: one command, one evening, the same on both databases; counted by others than ourselves."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing

import pytest

from tests.e2e.conftest import REQUIRED

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("evenings"), pytest.mark.timeout(300)]


def rows(path, query):
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def test_the_last_line_has_every_number_and_none_is_trivial(embedded):
    result = embedded.result
    assert [name for name in REQUIRED if name not in result] == []
    counts = {name: result[name] for name in REQUIRED if isinstance(result[name], int)}
    assert all(count > 0 for count in counts.values()), counts
    assert len(result["held"]) > 5
    assert all(set(one) == {"code", "count"} and one["count"] > 0 for one in result["held"])
    assert result["ledgers_agree"] is True
    assert result["preview_equals_run"] is True


def test_the_agencies_ledgers_hold_what_we_say_we_sent(embedded):
    """Counted in the sandboxes' own databases, which share no code with ours."""
    sandbox = embedded.home / "sandbox"
    taken = sum(
        rows(sandbox / key / "state.sqlite", "select count(*) from claim")[0][0] for key in ("lowell", "intrum")
    )
    factored = rows(sandbox / "factoring" / "state.sqlite", "select count(*) from item where is_credit = 0")[0][0]
    refused = sum(item[7] == "rejected" and item[3] == "invoice" for item in embedded.state["items"])
    assert taken + factored == embedded.result["claims_compared"]
    assert embedded.result["exported"] == taken + factored + refused


def test_every_payment_an_agency_made_arrived_once(embedded):
    sandbox = embedded.home / "sandbox"
    paid = sum(rows(sandbox / key / "state.sqlite", "select count(*) from payment")[0][0]
               for key in ("lowell", "intrum", "factoring"))  # fmt: skip
    assert paid == embedded.result["payments_imported"] == len(embedded.state["payments"])


def test_the_counts_agree_with_the_tables_asked_in_plain_sql(embedded):
    database, result = embedded.home / "kravport.sqlite", embedded.result

    def count(query):
        return rows(database, f"select count(*) from {query}")[0][0]

    assert result["exported"] == count("transfer_item where kind = 'invoice'")
    assert result["items_exported"] == count("transfer_item where kind <> 'invoice'")
    assert result["delivered"] == count("envelope where delivered_at is not null") == count("envelope")
    assert result["payments_posted"] == count("incoming_payment where state = 'posted'")
    assert result["invoices_closed"] == count("ledger_entry where kind = 'invoice' and closed_at is not null")
    assert result["receipts_rejected"] == count("transfer_item where state = 'rejected'")


def test_closed_invoices_are_those_whose_group_sums_to_zero_or_less(embedded):
    open_sums, closed = Counter(), {}
    for name, kind, _number, amount, _currency, _open, is_closed, group, *_ in embedded.state["entries"]:
        open_sums[group] += amount
        if kind == "invoice":
            closed[name] = (group, is_closed)
    assert {name for name, (group, is_closed) in closed.items() if is_closed} == {
        name for name, (group, _) in closed.items() if open_sums[group] <= 0
    }


def test_nothing_of_the_agencies_own_money_went_back_to_them(embedded):
    from_agency = {entry[0] for entry in embedded.state["entries"] if entry[8] == "agency"}
    assert len(from_agency) > 20
    assert from_agency.isdisjoint(item[1] for item in embedded.state["items"])
    assert embedded.result["echoed"] == 0


def test_excluded_and_held_things_stayed_here(embedded):
    """P15: invoices and the customer marked by a person, and the line the ledger marked."""
    sent = {item[1] for item in embedded.state["items"]}
    marked = {entry[0] for entry in embedded.state["entries"] if entry[9]}
    assert {"sjo/I20012", "vik/I30004", "fjord/V-FLAG"} == marked
    assert sent.isdisjoint(marked | {"sjo/I20009", "sjo/I20010"})


def test_the_two_evenings_tell_later_things_to_who_has_the_claim(embedded):
    kinds = Counter(item[3] for item in embedded.state["items"])
    assert kinds["unlink"] == 1
    assert {"direct_payment", "credit_note", "disbursement", "invoice"} <= set(kinds)


def test_production_gives_the_same_numbers_and_the_same_state(embedded, production):
    """Show 3: PostgreSQL and Redis by two variables, the same JSON; and every row the same, not only the counts."""
    assert production.result == embedded.result
    assert production.state == embedded.state


def test_the_demo_says_that_it_keeps_to_a_schema_of_its_own(production, postgres_url):
    assert "works in schema kravport_demo_" in production.progress
    import psycopg

    with psycopg.connect(postgres_url) as connection:
        left = connection.execute("select count(*) from pg_namespace where nspname like 'kravport_demo%'").fetchone()
    assert left == (0,)


def test_no_national_id_and_no_secret_in_any_log(embedded):
    """P22: every synthetic national id of the demo, every password and token, looked for in everything written."""
    from gateway.demo.office import PASSWORD
    from gateway.demo.people import national_id
    from gateway.demo.stage import sftp_password

    written = "".join(path.read_text() for path in embedded.home.glob("*.log")) + embedded.progress
    written += (embedded.home / "redis" / "server.log").read_text()
    assert len(written) > 1000
    ids = {national_id(country, number) for country in ("NO", "SE") for number in range(60)}
    secrets = {PASSWORD, *(sftp_password(key) for key in ("lowell", "intrum", "factoring")), "whsec_", "kp_"}
    assert [secret for secret in ids | secrets if secret in written] == []
