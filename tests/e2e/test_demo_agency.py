"""``kravport demo --agency``: the two evenings with any plugin that can, also one that somebody else has just made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import WRONG_USAGE, main
from gateway.cli.plugins import plugin
from gateway.demo.ledger import creditors_of, first_day, told_by
from gateway.domain.exchange import Can
from gateway.errors import DataError
from plugins.esp import plugin as esp
from plugins.intrum import plugin as intrum
from plugins.lowell import plugin as lowell

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("evenings"), pytest.mark.timeout(300)]


def demo(home, agency, path=""):
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli", "demo", "--once", "--json", "--patience", "120", "--agency", agency],
        check=False, capture_output=True, text=True,
        env={k: v for k, v in os.environ.items() if not k.startswith("KRAVPORT_")}
        | {"KRAVPORT_HOME": str(home), "PYTHONPATH": os.pathsep.join(filter(None, (path, str(Path.cwd()))))},
    )  # fmt: skip


def test_a_plugin_of_somebody_elses_lives_through_it(tmp_path):
    """Its files go over real SFTP to its own sandbox, its money comes back, and the ledgers agree claim by claim."""
    made = CliRunner().invoke(plugin, ["new", "acme", "--folder", str(tmp_path)], standalone_mode=False)
    assert made.exception is None
    source = tmp_path / "kravport-acme" / "src"
    metadata = source / "kravport_acme-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: kravport-acme\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text("[kravport.agencies]\nacme = kravport_acme:plugin\n")
    ran = demo(tmp_path / "home", "acme", str(source))
    assert ran.returncode == 0, ran.stderr[-2000:]
    result = json.loads(ran.stdout.splitlines()[-1])
    assert result["ledgers_agree"] is True
    assert result["preview_equals_run"] is True
    assert result["claims_compared"] > 40
    assert result["payments_posted"] == result["payments_imported"] == 7


def test_an_agency_with_an_api_lives_through_it(tmp_path):
    """Real HTTPS, a webhook for each case, and its settlements are acknowledged when they are booked."""
    ran = demo(tmp_path / "home", "kravia")
    assert ran.returncode == 0, ran.stderr[-2000:]
    result = json.loads(ran.stdout.splitlines()[-1])
    assert (result["ledgers_agree"], result["preview_equals_run"], result["echoed"]) == (True, True, 0)
    assert result["claims_compared"] > 40
    assert result["payments_posted"] == result["payments_imported"] == 7


def test_an_agency_that_can_take_nothing_says_so_at_once():
    profile = replace(esp.agency_profile(), can=Can(0))
    with pytest.raises(DataError, match=r"esp takes no invoices yet\. ESP publishes no file format"):
        creditors_of(profile)


def test_another_layout_of_the_agency_has_a_creditor_in_its_market_and_currency():
    [creditor] = creditors_of(intrum.agency_profile(), "ophelos-2025-04-01")
    assert (creditor.country, creditor.currency, creditor.settings["organisation_id"]) == ("NO", "EUR", "DEMO-1")
    assert {record.get("currency", "EUR") for record in told_by(creditor, first_day)} == {"EUR"}
    [own] = creditors_of(intrum.agency_profile(), "kravport-sls-1")
    assert (own.key, own.currency, own.facts) == ("sjo", "SEK", {})
    [finnish] = creditors_of(lowell.agency_profile(), "lowell-fi-assignment-1")
    assert (finnish.country, finnish.settings["subclient_id"]) == ("FI", "123456"), "an example that its schema gives"
    for layout, why in (("of-nobody", "has no layout of-nobody; there is"), ("intrum-fi-type10", "only reads")):
        with pytest.raises(DataError, match=why):
            creditors_of(intrum.agency_profile(), layout)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--agency", "nosuch"], "there is esp, factoring, intrum, kravia, lowell"),
        (["--agency", "esp", "--layout", "nosuch"], "there is kravport-sls-1, nk003-advanced, kravport-pull-1"),
        (["--layout", "kravport-sls-1"], "name the agency, too"),
    ],
)
def test_an_agency_or_layout_that_is_not_there_is_a_wrong_command_line(words, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--once", *words])
    assert ended.value.code == WRONG_USAGE
    assert said in capsys.readouterr().err
