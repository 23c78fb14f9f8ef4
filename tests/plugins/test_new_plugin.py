"""``kravport plugin new``: a package of its own that passes as generated, and a suite that tells a bad plugin from a good one."""

from __future__ import annotations

import dataclasses
import importlib
import os
import random
import subprocess
import sys
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.agencies import HOOK_FOR, Agencies
from gateway.cli.plugins import plugin as command
from gateway.db.tables import Envelope, InboundFile, TransferItem
from gateway.domain.exchange import Finding, InboundKind, Severity
from gateway.errors import DataError, PluginError
from gateway.hookspecs import API_VERSION, AgencyHooks, hookimpl
from gateway.jobs import Desk
from gateway.scaffold import KINDS
from gateway.services import posting, schedule
from gateway.testing.agency_kit import NOW, sample_agreement
from gateway.testing.conformance import FOREIGN, AgencyConformance
from tests.rules.world import ACTOR, World

KEY, PACKAGE = "acme_no", "kravport_acme_no"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The package as ``kravport plugin new`` leaves it."""
    folder = tmp_path_factory.mktemp("new")
    said = CliRunner().invoke(
        command, ["new", KEY, "--title", "Acme Inkasso", "--folder", str(folder)], standalone_mode=False
    )
    assert said.exception is None
    root = folder / "kravport-acme-no"
    assert sorted(said.output.splitlines()) == sorted(str(path) for path in root.rglob("*.*") if path.is_file())
    return root


@pytest.fixture(scope="module")
def installed(project, tmp_path_factory):
    """The package as pip installs it: its folder on the path, its metadata beside it."""
    declared = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    site = tmp_path_factory.mktemp("site")
    metadata = site / f"{PACKAGE}-{declared['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {declared['name']}\nVersion: {declared['version']}\n"
    )
    (points,) = declared["entry-points"].items()
    (metadata / "entry_points.txt").write_text(f"[{points[0]}]\n{KEY} = {points[1][KEY]}\n")
    with pytest.MonkeyPatch.context() as patch:
        for folder in (site, project / "src"):
            patch.syspath_prepend(str(folder))
        yield importlib.import_module(PACKAGE)
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def test_every_kind_passes_its_own_tests_and_the_linters_as_it_is_written(tmp_path):
    """In a process of its own, as whoever has just made one runs them; the test modules of all kinds together."""
    root = Path(__file__).parents[2]
    for kind in KINDS:
        words = ["new", f"acme_{kind}", "--kind", kind, "--folder", str(tmp_path)]
        assert CliRunner().invoke(command, words, standalone_mode=False).exception is None
    sources = [str(path) for path in tmp_path.glob("*/src")]
    assert len(sources) == len(KINDS)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *map(str, tmp_path.glob("*/tests"))],
        check=False, cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sources]), "PYTEST_ADDOPTS": ""},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    assert "skipped" in ran.stdout, "it promises no mark for factoring, and says so"
    for words in (["check"], ["format", "--check"]):
        judged = [sys.executable, "-m", "ruff", *words, "--no-cache", "--quiet", str(tmp_path)]
        ran = subprocess.run(judged, check=False, capture_output=True, text=True)
        assert (ran.returncode, ran.stdout) == (0, "")


@pytest.mark.rule("P18")
def test_it_hands_over_an_evening_and_brings_the_money_back(installed, sqlite_house, clock, tmp_path):
    """The whole way of an invoice through somebody else's package; both ledgers agree at the end."""
    house = dataclasses.replace(sqlite_house, agencies=Agencies.load())
    assert house.agencies.broken == {}
    world = World(house, clock, tmp_path, KEY).start()
    world.customer()
    for number, kroner in (("1001", 1250), ("1002", 300), ("1003", 80)):
        world.invoice(number, kroner)
    world.payment("p1", 250)
    world.link("1001", "p1")
    sandbox = importlib.import_module(f"{PACKAGE}.sandbox").make_sandbox(
        tmp_path / KEY, {"client_number": world.agreement().client_number}
    )

    clock.moment = world.preview().cutoff + timedelta(seconds=5)
    work(world)
    sandbox.work(clock())
    work(world)
    assert [(row.filename, row.state) for row in world.rows(Envelope)] == [("invoices.001", "accepted")]
    assert {row.state for row in world.rows(TransferItem)} == {"accepted"}
    assert balances(world, sandbox) == {"1001": 1000, "1002": 300, "1003": 80}

    sandbox.pay(world.claim("1002").claim_id, 30000, clock().date())
    sandbox.write_payments(clock())
    work(world)
    assert {row.state for row in world.rows(InboundFile)} == {"imported"}
    posting.post(house, [row.id for row in world.payments(state="proposed")], ACTOR)
    assert (world.open("1002"), world.agency_balance("1002")) == (0, 0)

    world.payment("p2", 80)
    world.link("1003", "p2")
    clock.advance(days=1)
    work(world)
    sandbox.work(clock())
    work(world)
    assert [row.filename for row in world.rows(Envelope)] == ["invoices.001", "updates.001"]
    assert balances(world, sandbox) == {"1001": 1000, "1002": 0, "1003": 0}
    assert balances(world, sandbox) == {name: world.agency_balance(name) for name in ("1001", "1002", "1003")}


def work(world):
    """Tick and drain until the files of this evening have gone and the answers have been fetched."""
    for _ in range(3):
        schedule.tick(world.house)
        Desk(world.house, "worker-1").drain()
        world.clock.advance(minutes=16)


def balances(world, sandbox):
    named = {world.claim(name).claim_id: name for name in ("1001", "1002", "1003")}
    return {named[claim_id]: minor / 100 for claim_id, minor in sandbox.balances().items()}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["Acme"], "is no name for a plugin"),
        (["class"], "is no name for a plugin"),
        (["../up"], "is no name for a plugin"),
        (["acme", "--title", 'A"me'], "is no title"),
        (["acme", "--country", "Norway"], "is no country"),
        (["acme", "--currency", "kr"], "is no currency"),
    ],
)
def test_names_that_cannot_be_are_refused_and_nothing_is_written(tmp_path, words, why):
    said = CliRunner().invoke(command, ["new", *words, "--folder", str(tmp_path)], standalone_mode=False)
    assert isinstance(said.exception, DataError)
    assert why in str(said.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(project):
    said = CliRunner().invoke(command, ["new", KEY, "--folder", str(project.parent)], standalone_mode=False)
    assert "nothing was written" in str(said.exception)


# --- the suite: what it must not let pass ----------------------------------------------------------------------------


def collects(module):
    class Collects(type(module.plugin)):
        @hookimpl
        def export_invoice(self, claims, agreement, seal, sink):
            return super().export_invoice(list(claims), agreement, seal, sink)

    return Collects()


def cuts(module):
    class Cuts(type(module.plugin)):
        @hookimpl
        def check_customer(self, customer, agreement):
            return ()

        @hookimpl
        def export_invoice(self, claims, agreement, seal, sink):
            short = (c._replace(customer=c.customer._replace(name=c.customer.name[:39])) for c in claims)
            return super().export_invoice(short, agreement, seal, sink)

    return Cuts()


def throws_dice(module):
    class ThrowsDice(type(module.plugin)):
        @hookimpl
        def export_invoice(self, claims, agreement, seal, sink):
            ids = {kind: str(random.random()) for kind in seal.file_ids}
            return super().export_invoice(claims, agreement, dataclasses.replace(seal, file_ids=ids), sink)

    return ThrowsDice()


def believes(module):
    class Believes(type(module.plugin)):
        @hookimpl
        def verify_envelope(self, envelope, agreement, source):
            return envelope.totals

    return Believes()


def grabs(module):
    class Grabs(type(module.plugin)):
        @hookimpl
        def identify_inbound(self, file, agreements):
            return InboundKind.PAYMENTS

    return Grabs()


def crashes(module):
    class Crashes(type(module.plugin)):
        @hookimpl
        def identify_inbound(self, file, agreements):
            return super().identify_inbound(file, agreements) if file.head[0] else None

    return Crashes()


def mumbles(module):
    class Mumbles(type(module.plugin)):
        @hookimpl
        def check_customer(self, customer, agreement):
            return (Finding(Severity.WARNING, "acme.own_code"),)

    return Mumbles()


def counts_from_one(module):
    class CountsFromOne(type(module.plugin)):
        @hookimpl
        def import_payments(self, file, agreements):
            stream = super().import_payments(file, agreements)
            stream._payment = lambda position, row, currency: (
                type(stream)._payment(stream, position, row, currency)._replace(key="same")
            )
            return stream

    return CountsFromOne()


MUTANTS = [
    (collects, "test_claims_are_written_while_they_are_read", {}),
    (cuts, "test_nothing_is_cut", {"field": "name"}),
    (throws_dice, "test_the_same_claims_make_the_same_bytes", {}),
    (believes, "test_a_damaged_file_is_not_taken_for_whole", {}),
    (grabs, "test_other_peoples_files_are_left_to_them", {"content": FOREIGN[4]}),
    (crashes, "test_other_peoples_files_are_left_to_them", {"content": FOREIGN[0]}),
    (mumbles, "test_findings_can_be_told_to_a_person", {}),
    (counts_from_one, "test_payments_are_read_whole_and_have_an_identity", {}),
]


@pytest.mark.parametrize(("mutant", "test", "more"), MUTANTS, ids=[mutant.__name__ for mutant, *_ in MUTANTS])
def test_the_suite_finds_what_is_wrong(installed, tmp_path, mutant, test, more):
    """And finds nothing wrong with the same plugin unspoilt, so that it is the fault it found."""
    for spoilt in (False, True):

        class Suite(AgencyConformance):
            plugin = mutant(installed) if spoilt else installed.plugin

        agency = Agencies([(KEY, Suite.plugin)])[KEY]
        agreement = sample_agreement(agency.profile, {})
        given = {"agency": agency, "agreement": agreement, **more}
        if test == "test_payments_are_read_whole_and_have_an_identity":
            given["answered"] = first_evening(Suite(), agency, agreement, tmp_path / str(spoilt))
        if spoilt:
            with pytest.raises((AssertionError, PluginError, pytest.fail.Exception)):
                getattr(Suite(), test)(**given)
        else:
            getattr(Suite(), test)(**given)


def first_evening(suite, agency, agreement, root):
    sandbox = importlib.import_module(f"{PACKAGE}.sandbox").make_sandbox(root, {"client_number": "4711"})
    claims = suite.claims(agency, agreement, 3)
    for name, content in suite.made(agency, agreement, claims)[1].files.items():
        (root / "upload" / name).write_bytes(content)
    sandbox.work(NOW)
    return sandbox, root, claims


@pytest.mark.rule("P19")
def test_the_guide_names_every_hook_and_ability():
    guide = (Path(__file__).parents[2] / "docs" / "write-a-plugin.md").read_text(encoding="utf-8")
    hooks = [name for name, member in vars(AgencyHooks).items() if hasattr(member, "kravport_spec")]
    assert len(hooks) > 10
    assert [name for name in hooks if f"| `{name}` |" not in guide] == []
    assert [ability.name for ability in HOOK_FOR if f"`{ability.name}`" not in guide] == []
    assert f'api_version = "{API_VERSION}"' in guide
