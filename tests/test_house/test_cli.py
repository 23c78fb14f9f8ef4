"""The operator's command: help, exit codes, one line instead of a stack trace, JSON for programs."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from gateway import cli
from gateway.demo import ledger
from gateway.testing.camt_files import CamtEntry, CamtPayment, camt_file
from gateway.testing.payment_files import OcrPayment, ocr_file
from gateway.testing.total_in_files import TotalInPayment, total_in_file


@pytest.fixture
def kravport(tmp_path, monkeypatch, capsys):
    """Run a command in a home of the test's own; gives (exit code, stdout, stderr)."""
    import os

    for name in [name for name in os.environ if name.startswith("KRAVPORT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KRAVPORT_HOME", str(tmp_path / "home"))

    def run(*arguments):
        code = cli._run([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def lines(tmp_path):
    def write(*records):
        path = tmp_path / f"ledger-{len(list(tmp_path.iterdir()))}.jsonl"
        path.write_bytes(b"".join(ledger.lines(list(records))))
        return path

    return write


CARD = {"type": "customer", "external_id": "C1", "customer_number": "1", "name": "Alver AS", "kind": "company"}
INVOICE = {
    "type": "invoice", "external_id": "I1", "customer": "C1", "number": "1", "amount": "125.00", "currency": "NOK",
    "booked": "2026-11-20", "due": "2026-12-04",
}  # fmt: skip


@pytest.mark.parametrize("command", [[], *([name] for name in cli._COMMANDS)])
def test_every_command_has_help(kravport, command):
    code, out, _ = kravport(*command, "--help")
    assert code == 0
    assert "Usage: kravport" in out
    summary = [line for line in out.splitlines()[1:] if line.strip()]
    assert len(summary[0].strip()) > 20


def test_subcommands_have_help_too(kravport):
    for group, command in (("keys", "add"), ("users", "add"), ("agreements", "create"), ("creditors", "list")):
        code, out, _ = kravport(group, command, "--help")
        assert (code, "Options:" in out) == (0, True)


@pytest.mark.parametrize("arguments", [["nonsense"], ["ingest"], ["transfer"], ["explain"], ["keys", "revoke", "x"]])
def test_a_wrong_command_line_is_64(kravport, arguments):
    code, _, err = kravport(*arguments)
    assert code == 64
    assert "Error" in err


def test_a_wrong_setting_is_78_and_named(kravport, monkeypatch):
    monkeypatch.setenv("KRAVPORT_PORT", "http")
    code, out, err = kravport("creditors", "list")
    assert (code, out) == (78, "")
    assert err.startswith("kravport: KRAVPORT_PORT")
    assert len(err.splitlines()) == 1


def test_a_database_that_is_away_is_one_line(kravport, monkeypatch):
    monkeypatch.setenv("KRAVPORT_DATABASE_URL", "postgresql://nobody:hemmelig@127.0.0.1:1/none")
    monkeypatch.setenv("KRAVPORT_SECRET_KEY", "x" * 40)
    code, _, err = kravport("creditors", "list")
    assert code == 1
    assert len(err.splitlines()) == 1
    assert "hemmelig" not in err


def test_production_is_not_migrated_behind_the_operators_back(kravport, monkeypatch, tmp_path):
    monkeypatch.setenv("KRAVPORT_DATABASE_URL", f"sqlite:///{tmp_path / 'given.sqlite'}")
    monkeypatch.setenv("KRAVPORT_SECRET_KEY", "x" * 40)
    code, _, err = kravport("creditors", "list")
    assert (code, "run 'kravport migrate'" in err) == (78, True)
    assert kravport("migrate", "--check", "--json")[0] == 1
    code, out, _ = kravport("migrate", "--json")
    assert (code, objects(out)[0]["before"]) == (0, "")
    assert kravport("migrate", "--check")[0] == 0
    assert kravport("creditors", "list")[0] == 0


def test_ingest_into_a_fresh_installation(kravport, lines):
    path = lines(CARD, INVOICE)
    code, out, err = kravport("ingest", "--json", path)
    [result] = objects(out)
    assert code == 0
    assert "practice" in err
    assert (result["outcome"], result["created"], result["file"]) == ("taken", 2, str(path))
    code, out, _ = kravport("ingest", "--json", path)
    assert (code, objects(out)[0]["unchanged"], objects(out)[0]["created"]) == (0, 2, 0)


@pytest.mark.parametrize(
    ("language", "wrong_line", "changed"),
    [
        ("en", "line 1 due must be a day, YYYY-MM-DD", "may not change; stored is 12500"),
        ("nb", "line 1 due må være en dag, ÅÅÅÅ-MM-DD", "kan ikke endres; lagret er 12500"),
        ("sv", "line 1 due måste vara en dag, ÅÅÅÅ-MM-DD", "får inte ändras; lagrat är 12500"),
    ],
)
def test_ingest_says_what_is_wrong_in_the_language_asked_for(kravport, lines, language, wrong_line, changed):
    assert kravport("ingest", "--json", lines(CARD, INVOICE))[0] == 0
    files = lines({**INVOICE, "due": "4.12.2026"}), lines({**INVOICE, "amount": "1.00"})
    _, out, _ = kravport("ingest", "--json", "--lang", language, *files)
    malformed, contradicts = objects(out)
    assert wrong_line in malformed["findings"][0]["text"]
    assert contradicts["rejected"][0]["reason"] == changed


def test_ingest_tells_each_file_and_the_worst_decides(kravport, lines, tmp_path):
    good, bad = lines(CARD, INVOICE), lines(CARD, {**INVOICE, "external_id": "I2", "amount": "12,50"})
    other = tmp_path / "scan.pdf"
    other.write_bytes(b"%PDF-1.7 nothing")
    code, out, _ = kravport("ingest", "--json", good, bad, other, tmp_path / "missing.xml")
    results = objects(out)
    assert code == 3
    assert [result["outcome"] for result in results] == ["taken", "refused", "refused", "refused"]
    assert "line 2" in json.dumps(results[1])
    assert "amount" in json.dumps(results[1])


def test_a_rejected_line_takes_the_whole_file_back(kravport, lines):
    kravport("creditors", "add", "fjord", "--name", "Fjord AS", "--organisation-number", "999999905")
    code, out, _ = kravport(
        "ingest", "--json", lines(CARD, INVOICE, {**INVOICE, "external_id": "I2", "customer": "C9"})
    )
    assert code == 3
    assert "C9" in json.dumps(objects(out)[0])
    assert objects(kravport("ingest", "--json", lines(CARD, INVOICE))[1])[0]["created"] == 2


def test_a_changed_amount_is_refused_not_overwritten(kravport, lines):
    kravport("ingest", lines(CARD, INVOICE))
    code, out, _ = kravport("ingest", "--json", lines({**INVOICE, "amount": "126.00"}))
    assert code == 3
    assert "amount" in json.dumps(objects(out)[0])


def test_an_invoice_of_somebody_else_is_refused(kravport, shared):
    files = sorted((shared / "samples" / "accounting").rglob("*.xml"))
    kravport("creditors", "add", "fjord", "--name", "Fjord AS", "--organisation-number", "999999905")
    codes = {kravport("ingest", "--json", path)[0] for path in files[:5]}
    assert codes == {3}


def test_people_read_a_table_programs_read_json(kravport):
    kravport("creditors", "add", "fjord", "--name", "Fjord AS", "--organisation-number", "999999905")
    _, table, _ = kravport("creditors", "list")
    assert table.splitlines()[0].split()[:2] == ["key", "name"]
    [row] = objects(kravport("creditors", "list", "--json")[1])
    assert row["organisation_number"] == "999999905"


def test_a_second_creditor_of_the_same_key_is_refused(kravport):
    arguments = ("creditors", "add", "fjord", "--name", "Fjord AS", "--organisation-number", "999999905")
    assert kravport(*arguments)[0] == 0
    code, _, err = kravport(*arguments)
    assert (code, "exists already" in err) == (1, True)


def test_keys_are_shown_once_listed_without_secret_and_revoked(kravport):
    kravport("creditors", "add", "fjord", "--name", "Fjord AS", "--organisation-number", "999999905")
    _, out, _ = kravport("keys", "add", "ledger", "--json")
    key = objects(out)[0]["key"]
    assert key.startswith("kp_")
    _, listed, _ = kravport("keys", "list", "--json")
    assert key.rpartition("_")[2] not in listed
    assert kravport("keys", "revoke", objects(listed)[0]["id"])[0] == 0
    assert objects(kravport("keys", "list", "--json")[1])[0]["revoked_at"] is not None


def test_users_get_their_password_from_a_file(kravport, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("et langt nok passord\n")
    assert kravport("users", "add", "kari@example.no", "--role", "admin", "--password-file", secret)[0] == 0
    [user] = objects(kravport("users", "list", "--json")[1])
    assert (user["email"], user["roles"]) == ("kari@example.no", ["admin"])
    secret.write_text("kort")
    assert kravport("users", "password", "kari@example.no", "--password-file", secret)[0] == 1
    assert kravport("users", "password", "ola@example.no", "--password-file", secret)[0] == 1


def test_an_agreement_from_draft_to_preview(kravport, lines, tmp_path):
    kravport("creditors", "add", "fjord", "--name", "Fjord AS", "--organisation-number", "999999913")
    address = {"address1": "Vei 1", "postcode": "0001", "city": "Oslo", "country": "NO"}
    card = {**CARD, **address, "organisation_number": "999999905"}
    transport = json.dumps({"kind": "folder", "root": str(tmp_path / "box")})
    settings = json.dumps({"ledger_id": "L-1", "agency_id": "A-1"})
    code, out, err = kravport(
        "agreements", "create", "lowell", "--client-number", "4711", "--service", "ledger", "--profile",
        "kravport-sls-1", "--transport", transport, "--settings", settings, "--json",
    )  # fmt: skip
    assert code == 0, err
    number = objects(out)[0]["id"]
    assert kravport("agreements", "activate", number)[0] == 0
    assert kravport("agreements", "token", number, "--json")[0] == 0
    kravport("ingest", lines(card, INVOICE))
    code, out, _ = kravport("transfer", "--preview", "--json")
    [plan] = objects(out)
    going = [invoice["invoice_number"] for invoice in plan["invoices"]]
    assert (code, going, plan["held"]) == (0, ["1"], [])
    code, out, _ = kravport("transfer", "--run", "--agreement", number, "--json")
    assert (code, objects(out)[0]["invoices"]) == (0, 1)
    assert "0 invoices" in kravport("transfer", "--preview")[1]


@pytest.mark.parametrize("bad", ["[1]", "not json", "@/nowhere.json"])
def test_settings_that_are_not_an_object_are_a_wrong_command_line(kravport, bad):
    kravport("creditors", "add", "fjord", "--name", "Fjord AS", "--organisation-number", "999999905")
    code, _, _ = kravport("agreements", "change", 1, "--changes", bad)
    assert code == 64


def test_asking_for_what_is_not_there_is_1(kravport):
    for arguments in (
        ("transfer", "--preview"),
        ("transfer", "--run", "--agreement", 9),
        ("agreements", "activate", 9),
        ("replay", 9),
        ("keys", "list", "--creditor", "nobody"),
    ):
        code, _, err = kravport(*arguments)
        assert (code, len(err.splitlines())) == (1, 1), arguments


def test_watch_and_verify_are_quiet_when_all_is_well(kravport, lines):
    kravport("ingest", lines(CARD, INVOICE))
    assert kravport("watch") == (0, "no alarms\n", "")
    code, out, _ = kravport("verify", "--json")
    assert code == 0
    assert {row["creditor"]: row["is_intact"] for row in objects(out)} == {"(installation)": True, "practice": True}


def test_verify_finds_a_changed_row(kravport, lines, tmp_path):
    import sqlite3

    kravport("ingest", lines(CARD, INVOICE))
    with sqlite3.connect(tmp_path / "home" / "kravport.sqlite") as connection:
        connection.execute("update audit_event set actor = 'nobody' where creditor_id <> 0 and number = 1")
    connection.close()
    code, out, _ = kravport("verify", "--json")
    assert code == 1
    assert next(row for row in objects(out) if row["creditor"] == "practice")["reason"] == "row was changed"


def test_plugins_are_listed_with_their_limits(kravport):
    code, out, _ = kravport("plugins", "--json")
    assert code == 0
    assert {row["key"] for row in objects(out)} >= {"intrum", "lowell", "factoring", "esp"}
    assert all(row["problem"] == "" for row in objects(out))


def test_doctor_names_what_is_missing(kravport):
    code, out, _ = kravport("doctor", "--json")
    found = {row["check"]: row["ok"] for row in objects(out)}
    assert code == 1
    assert found["python"] is True
    assert found["plugin intrum"] is True
    assert found["scheduler"] is False


def test_explain_says_verdict_by_exit_code(kravport, tmp_path):
    scan = tmp_path / "x.pdf"
    scan.write_bytes(b"%PDF-1.7")
    code, out, _ = kravport("explain", scan, "--json")
    assert code == 3
    assert json.loads(out)["findings"]
    assert kravport("explain", tmp_path / "missing")[0] == 1


def test_explain_over_the_sample_payment_files(kravport, shared):
    files = [path for path in sorted((shared / "samples" / "payments").rglob("*")) if path.is_file()]
    assert len(files) > 10
    for path in files[:12]:
        code, out, err = kravport("explain", path, "--json")
        assert (code in {0, 2, 3}, err) == (True, ""), path
        assert {"format", "transactions", "totals", "payments", "findings"} <= set(json.loads(out))


def test_a_file_of_the_own_bank_is_taken_once_and_its_payments_are_matched(kravport, lines, tmp_path):
    invoice = {**INVOICE, "payment_reference": "1000000000017"}
    kravport("ingest", lines(CARD, invoice))
    path = tmp_path / "OCR.dat"
    path.write_bytes(ocr_file([[OcrPayment(125_00, "1000000000017")]]))
    code, out, _ = kravport("bank-file", path, "--json")
    assert (code, json.loads(out)["state"], json.loads(out)["transactions"]) == (0, "imported", 1)
    assert json.loads(kravport("bank-file", path, "--json")[1])["duplicate"] is True
    path.write_bytes(path.read_bytes()[:-90])
    assert kravport("bank-file", path)[0] in {2, 3}
    assert kravport("bank-file", tmp_path / "missing")[0] == 1


def test_the_command_is_installed_and_quick_to_answer():
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "--version"], capture_output=True, text=True, check=True, timeout=30
    )
    assert "0.1.0" in done.stdout


def test_exit_codes_are_documented(kravport):
    _, out, _ = kravport("--help")
    for code in ("0 done", "1 failed", "2 held", "3 refused", "64", "78"):
        assert code in " ".join(out.split())


def test_progress_shows_files_that_wait_and_nothing_else(kravport, tmp_path):
    from gateway.cli.common import opened_house
    from gateway.services import inbound

    assert kravport("progress") == (0, "no file is being read\n", "")
    kravport("ingest", _empty_ledger(tmp_path))
    with opened_house() as house:
        stored = inbound.store_own(house, 1, "file", "large.xml", io.BytesIO(b"bytes"))
    code, out, _ = kravport("progress", "--json")
    (row,) = objects(out)
    assert code == 0
    assert (row["inbound_file_id"], row["creditor"], row["filename"], row["size"]) == (
        stored.inbound_file_id, "practice", "large.xml", 5,
    )  # fmt: skip
    assert (row["stage"], row["percent"], row["rows"]) == ("waiting", None, 0)
    assert "large.xml" in kravport("progress", "--creditor", "practice")[1]
    with opened_house() as house:
        inbound.process(house, stored.inbound_file_id)
    assert kravport("progress", "--json")[1] == ""


def _empty_ledger(folder):
    path = folder / "card.jsonl"
    path.write_bytes(b"".join(ledger.lines([CARD])))
    return path


@pytest.mark.rule("R-OP-01")
def test_what_the_creditor_agreed_with_its_bank_is_said_by_command(kravport, tmp_path):
    kravport("creditors", "add", "fjord", "--name", "Fjord AS", "--organisation-number", "999999905")
    options = ("--check", "mod10", "--length", "13", "--tolerance", "100", "--profile", "total_in-unverified")
    [told] = objects(kravport("creditors", "bank", "fjord", *options, "--json")[1])
    assert told["payment_rules"] == {
        "check": "mod10", "lengths": [13], "tolerance_minor": 100, "profiles": ["total_in-unverified"],
    }  # fmt: skip
    path = tmp_path / "TIN.txt"
    path.write_bytes(total_in_file([[TotalInPayment(12_500, "17", "00000000000000001")]]))
    assert kravport("bank-file", path)[0] == 0
    assert "nothing agreed" in kravport("creditors", "bank", "fjord")[1]
    path.write_bytes(total_in_file([[TotalInPayment(12_600, "17", "00000000000000002")]]))
    assert kravport("bank-file", path)[0] == 3
    assert kravport("creditors", "bank", "fjord", "--length", "13")[0] == 1


@pytest.fixture
def told_twice(kravport, lines, tmp_path):
    """Two invoices, a payment of the first with its reference, and the same money told once more by another file."""
    kid = "1000000000017"
    kravport(
        "ingest", lines(CARD, INVOICE | {"payment_reference": kid}, INVOICE | {"external_id": "I2", "number": "2"})
    )
    for name, data in (
        ("OCR.dat", ocr_file([[OcrPayment(12_500, kid)]])),
        ("camt.xml", camt_file([CamtEntry((CamtPayment(12_500, kid, payer="86011117947"),))])),
    ):
        (tmp_path / name).write_bytes(data)
        assert kravport("bank-file", tmp_path / name)[0] == 0
    rows = objects(kravport("payments", "list", "--json")[1])
    return sorted(row["id"] for row in rows)


@pytest.mark.rule("R-PM-03", "R-PM-10", "R-OP-08")
def test_payments_are_matched_posted_and_taken_back_by_command(kravport, told_twice):
    first, second = told_twice
    [shown] = objects(kravport("payments", "show", second, "--json")[1])
    assert (shown["difference"], shown["twin_id"], shown["suggested"]) == ("payment.possible_duplicate", first, "1")
    assert f"as payment {first}" in shown["why"]
    assert kravport("payments", "same", second) == (
        0, f"payment {second}: set aside, the same as an earlier payment\n", "",
    )  # fmt: skip
    text = kravport("payments", "show", first)[1]
    assert "match_rule: payment_reference" in text
    assert "seen: '1000000000017' (payment_reference 1) is the payment_reference of 1" in text
    assert kravport("payments", "post", first)[:2] == (0, f"payment {first}: posted\n")
    code, _, err = kravport("payments", "post", first)
    assert (code, err) == (1, f"payment {first}: The payment is posted already.\n")
    assert kravport("payments", "unmatch", first)[0] == 0
    assert kravport("payments", "match", first, "2")[0] == 0
    [shown] = objects(kravport("payments", "show", first, "--json")[1])
    assert (shown["state"], shown["belongs_to"], shown["match_rule"]) == ("proposed", "2", "person")
    assert kravport("payments", "match", first, "99")[0] == 1
    assert kravport("payments", "unmatch", second, first)[0] == 0
    assert kravport("payments", "another", second, first)[0] == 1
    states = {row["id"]: row["state"] for row in objects(kravport("payments", "list", "--json")[1])}
    assert states == {first: "unmatched", second: "proposed"}
    assert "waits again" in kravport("payments", "unmatch", second)[1]
    assert "difference.unidentified" in kravport("payments", "list")[1]
    assert kravport("payments", "show", 10**6)[0] == 1
