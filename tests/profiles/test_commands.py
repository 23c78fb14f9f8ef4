"""``kravport profile``: from an empty draft to a confirmed layout, as an operator goes with the agency's document."""

from __future__ import annotations

import json
import os

import pytest

from gateway import cli
from gateway.profiles.shipped import shipped
from tests.profiles.builders import CORPUS


@pytest.fixture
def kravport(tmp_path, monkeypatch, capsys):
    """Run a command in a home and a folder of the test's own; gives (exit code, stdout, stderr)."""
    for name in [name for name in os.environ if name.startswith("KRAVPORT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KRAVPORT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = cli._run(["profile", *arguments])
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


PAPER = ("--document", "Filbeskrivelse", "--version", "3", "--dated", "2026-01-15", "--told-by", "Per, by letter")


def test_the_way_of_a_profile_from_draft_to_confirmation(kravport, tmp_path):
    assert kravport("new", "ours")[0] == 0
    assert kravport("new", "ours")[0] == 1  # never overwritten
    assert kravport("check", "ours.toml")[0] == 0
    code, _, err = kravport("confirm", "ours.toml", *PAPER)
    assert (code, "still asks the agency" in err) == (1, True)
    path = tmp_path / "ours.toml"
    text = path.read_text()
    path.write_text(text[: text.index("ask = [")] + text[text.index("]\n\n[file") + 2 :])
    assert kravport("confirm", "ours.toml", *PAPER)[0] == 0
    assert json.loads(kravport("show", "ours.toml", "--json")[1])["confirmed"] is True
    assert "told by Per, by letter, on Filbeskrivelse 3 of 2026-01-15" in kravport("show", "ours.toml")[1]
    path.write_text(path.read_text() + "# a word\n")
    assert json.loads(kravport("show", "ours.toml", "--json")[1])["confirmed"] is False
    assert kravport("withdraw", "ours.toml")[0] == 1


@pytest.mark.parametrize("like", sorted(shipped()))
def test_a_copy_of_a_shipped_profile_is_right_and_asks_before_it_is_confirmed(kravport, like):
    assert kravport("new", "copy", "--like", like)[0] == 0
    code, out, _ = kravport("check", "copy.toml", "--json")
    answer = json.loads(out)
    assert (code, answer["name"], answer["ok"]) == (0, "copy", True)
    assert answer["questions"]
    assert kravport("confirm", "copy.toml", *PAPER)[0] == 1


def test_check_tells_every_fault_with_file_line_and_key(kravport, tmp_path):
    kravport("new", "ours", "--kind", "xml")
    path = tmp_path / "ours.toml"
    path.write_text(path.read_text().replace("claim.due_date", "claim.due").replace("lf", "cr"))
    code, out, _ = kravport("check", "ours.toml")
    first, second = out.splitlines()
    assert code == 1
    assert first.startswith("ours.toml, line 10, profile.newline: must be one of crlf, lf, none: 'cr'")
    line = (
        path.read_text().splitlines().index(next(row for row in path.read_text().splitlines() if "claim.due" in row))
        + 1
    )
    assert second.startswith(
        f"ours.toml, line {line}, file.claims.element.Claim.attributes[2].from: is no source; there are"
    )
    assert second.endswith(": 'claim.due'")
    assert kravport("check", "nowhere.toml")[:2] == (1, "nowhere.toml: cannot be read: No such file or directory\n")


def test_try_shows_a_sample_field_by_field_and_says_what_does_not_fit(kravport, tmp_path):
    code, out, _ = kravport("try", "nk003-advanced", str(CORPUS / "nk003-advanced.txt"))
    assert code == 0
    assert "2 x Claim" in out
    assert "o  278-286 balance              000125000  (1250.00)" in out
    bad = tmp_path / "bad.txt"
    bad.write_bytes((CORPUS / "fall-nordea.txt").read_bytes().replace(b"0000000009990", b"0000000009991", 1))
    code, out, _ = kravport("try", "fall-nordea", str(bad), "--records", "1")
    assert code == 3
    assert "line 6, total.debit_sum: is a control total that does not agree" in out
    assert "line 6: total Record 9, total" in out
    assert kravport("try", "factonor", str(bad))[0] == 1  # neither of its two files: --file must say
    assert kravport("try", "factonor", str(CORPUS / "factonor-customers.txt"))[0] == 0


def test_document_prints_a_table_of_columns_for_each_record(kravport):
    _, out, _ = kravport("document", "fall-op")
    assert "### Record 9, total" in out
    assert "| 33-38 | `invoices` | a whole number of at most 6 digits | count of `invoice` | debit and credit |" in out
    assert kravport("list")[1].count("\n") == len(shipped()) + 1
