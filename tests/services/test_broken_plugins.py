"""A plugin that raises, lies or hangs: the others go on, somebody is told which and why, and nothing goes twice (P18)."""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
from contextlib import suppress
from decimal import Decimal
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from flask import Flask

from gateway.agencies import Agencies, Patience, calling, loading
from gateway.cli import plugins as cli
from gateway.db.heartbeat import beat
from gateway.db.tables import Envelope, InboundFile, Task, TransferRun
from gateway.domain.exchange import AgencyProfile, Can, Finding, InboundKind, LayoutProfile, Payment, Service, Severity
from gateway.errors import PluginError
from gateway.hookspecs import AgencyHooks, hookimpl
from gateway.jobs import Desk
from gateway.services import plugins, schedule, watch
from gateway.services.house import House
from gateway.web.health import health_blueprint
from plugins.intrum import plugin as intrum
from plugins.lowell import Lowell
from tests.rules.far import store
from tests.rules.world import World

SHORT = Patience(load=0.3, check=0.3, hook=0.3, cooling=0.3)


class Odd(Lowell):
    """Lowell, but for what a test says each hook does instead; *asked* counts the calls."""

    def __init__(self):
        super().__init__()
        self.instead, self.asked = {}, dict.fromkeys(("export_invoice", "deliver", "check_customer"), 0)

    def _do(self, hook, *arguments):
        self.asked[hook] = self.asked.get(hook, 0) + 1
        return self.instead[hook](*arguments) if hook in self.instead else getattr(super(), hook)(*arguments)

    @hookimpl
    def check_customer(self, customer, agreement):
        return self._do("check_customer", customer, agreement)

    @hookimpl
    def export_invoice(self, claims, agreement, seal, sink):
        return self._do("export_invoice", claims, agreement, seal, sink)

    @hookimpl
    def deliver(self, envelope, transport, content, size):
        self.instead.setdefault("deliver", lambda *all_: all_[1].put(all_[0].filename, *all_[2:]))
        return self._do("deliver", envelope, transport, content, size)

    @hookimpl
    def identify_inbound(self, file, agreements):
        return self._do("identify_inbound", file, agreements)

    @hookimpl
    def import_payments(self, file, agreements):
        return self._do("import_payments", file, agreements)

    @hookimpl
    def import_receipt(self, file, agreements):
        return self._do("import_receipt", file, agreements)

    @hookimpl
    def import_case_status(self, file, agreements):
        return self._do("import_case_status", file, agreements)


def hangs(*_):
    """As a socket without a time-out does: no signal and no exception reaches it."""
    threading.Event().wait(20)


def turns_in_circles(*_):
    while True:
        pass


def raises(*_):
    raise ZeroDivisionError("of customer Ola Nordmann")


@pytest.fixture
def odd():
    return Odd()


@pytest.fixture
def sound(odd, house, clock, tmp_path):
    """Sjö AB with Intrum beside Fjord AS with the odd plugin: one invoice each, ready for the evening."""
    house = dataclasses.replace(house, agencies=Agencies([("lowell", odd), ("intrum", intrum)], SHORT))
    fjord = World(house, clock, tmp_path, "lowell").start()
    sjo = World(house, clock, tmp_path, "intrum", country="SE", currency="SEK").start()
    for world in (fjord, sjo):
        world.customer()
        world.invoice("1001", 1250)
    return fjord, sjo


def work(world, **later):
    """Let the scheduler tick and a worker do what is due, as their processes would."""
    world.clock.advance(**later)
    schedule.tick(world.house)
    Desk(world.house, "worker-1").drain()
    beat(world.house.database, "worker-1", world.clock(), **plugins.as_facts(world.house.agencies, world.clock()))


def evening(world):
    world.clock.moment = world.preview().cutoff
    work(world, seconds=5)


def went(world) -> list[str]:
    """Names of the files at the far side."""
    folder = world.root / world.agency / "upload"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def health(house):
    app = Flask(__name__)
    app.register_blueprint(health_blueprint(house, lambda: True))
    answer = app.test_client().get("/health")
    return answer.status_code, answer.json["components"]["plugins"]["agencies"]


def elsewhere(world):
    """The house as a web process sees it, which has not asked the plugin anything."""
    return dataclasses.replace(world.house, agencies=Agencies([("lowell", Odd()), ("intrum", intrum)]))


BROKEN = [
    (raises, "raised ZeroDivisionError"),
    (lambda *_: None, "a plugin must return tuple, got NoneType"),
    (lambda *_: ("invoices.001",), "a plugin must return Envelope, got str"),
    (lambda *_: (), "did not read all claims it was handed"),
    (lambda claims, *_: tuple(claims)[:0], "wrote other totals than it was handed"),
    (hangs, "no answer in 0.3 seconds"),
    (turns_in_circles, "no answer in 0.3 seconds"),
]


@pytest.mark.rule("P18")
@pytest.mark.parametrize(("does", "why"), BROKEN, ids=lambda value: getattr(value, "__name__", None))
def test_a_broken_export_stops_its_own_evening_only(sound, odd, does, why):
    fjord, sjo = sound
    odd.instead["export_invoice"] = does
    evening(sjo)
    assert (went(fjord), went(sjo)) == ([], ["invoices.001"])
    assert fjord.rows(TransferRun, TransferRun.agreement_id == fjord.agreement_id) == []

    code, known = health(elsewhere(fjord))
    assert (code, known["intrum"]) == (503, {"state": "ok"})
    assert known["lowell"]["state"] == "faulty"
    assert known["lowell"]["hooks"]["export_invoice"]["reason"] == why
    assert "Nordmann" not in str(known), "the health page is open to anyone"
    told = [alarm.values for alarm in watch.alarms(elsewhere(fjord)) if alarm.code == "plugin.broken"]
    assert told == [{"agency": "lowell", "reason": f"export_invoice: {why}"}]

    del odd.instead["export_invoice"]
    threading.Event().wait(SHORT.cooling)
    work(fjord, minutes=1)
    assert (went(fjord), went(sjo)) == (["invoices.001"], ["invoices.001"])
    assert health(elsewhere(fjord))[1]["lowell"] == {"state": "ok"}
    assert len(fjord.rows(Envelope)) == 2


@pytest.mark.rule("P18")
def test_a_silent_plugin_is_left_alone_for_a_while(sound, odd):
    fjord, sjo = sound
    odd.instead["export_invoice"] = hangs
    fjord.house.agencies["lowell"]._patience = dataclasses.replace(SHORT, cooling=60)
    evening(sjo)
    for _ in range(5):
        work(fjord, minutes=40)
    assert odd.asked["export_invoice"] == 1
    (task,) = fjord.rows(Task, Task.topic == "run", Task.ref_id == fjord.agreement_id)
    assert "did not answer" in task.last_error
    assert task.state == "pending"


@pytest.mark.rule("P18")
def test_a_hook_that_fails_again_and_again_is_left_alone_and_the_others_are_not(sound, odd):
    fjord, sjo = sound
    odd.instead["export_invoice"] = raises
    fjord.house.agencies["lowell"]._patience = dataclasses.replace(SHORT, cooling=60)
    evening(sjo)
    for _ in range(8):
        work(fjord, hours=2)
    assert odd.asked["export_invoice"] == 5
    fjord.customer("10002")
    assert odd.asked["check_customer"] == 2


@pytest.mark.rule("P18")
def test_a_huge_answer_is_no_answer(sound, odd):
    fjord, _ = sound
    odd.instead["check_customer"] = lambda *_: (Finding(Severity.INFO, "layout.does_not_fit"),) * 1001
    fjord.customer("10002")
    told = health(fjord.house)[1]["lowell"]["hooks"]["check_customer"]["reason"]
    assert told == "a plugin must return at most 1000 of Finding, got 1001"


@pytest.mark.rule("P4", "P18")
@pytest.mark.parametrize("does", [raises, hangs, lambda *_: 7], ids=["raises", "hangs", "returns a number"])
@pytest.mark.parametrize("arrived", [True, False])
def test_a_delivery_that_breaks_half_way_is_never_repeated_blindly(sound, odd, does, arrived):
    fjord, _ = sound
    puts = []

    def deliver(envelope, transport, content, size):
        if arrived:
            puts.append(transport.put(envelope.filename, content, size))
        return does()

    odd.instead["deliver"] = deliver
    evening(fjord)
    (envelope,) = fjord.rows(Envelope, Envelope.agreement_id == fjord.agreement_id)
    assert envelope.state == "in_doubt"
    assert went(fjord) == (["invoices.001"] if arrived else [])

    del odd.instead["deliver"]
    threading.Event().wait(SHORT.cooling)
    work(fjord, seconds=5)  # read back: there, or absent from a mailbox that keeps its files
    work(fjord, seconds=5)
    assert fjord.row(Envelope, envelope.id).state == "delivered"
    assert went(fjord) == ["invoices.001"]
    assert odd.asked["deliver"] == (1 if arrived else 2)


@pytest.mark.rule("P4")
def test_nobody_uploads_after_the_caller_has_left(sound, odd):
    """A thread that wakes up late finds the way to the mailbox shut: its file has long been sent by somebody else."""
    fjord, _ = sound
    wakes, ended = threading.Event(), []

    def deliver(envelope, transport, content, size):
        with suppress(BaseException):  # the exception that waits for it: a plugin may swallow it, and get no further
            wakes.wait(20)
        try:
            return transport.put("late." + envelope.filename, content, size)
        except BaseException as error:
            ended.append(type(error).__name__)
            raise

    odd.instead["deliver"] = deliver
    evening(fjord)
    wakes.set()
    for _ in range(100):
        if ended:
            break
        threading.Event().wait(0.02)
    assert ended == ["_Left"]
    assert went(fjord) == []


@pytest.mark.rule("P18")
@pytest.mark.parametrize("does", [raises, hangs, lambda *_: [None]])
def test_the_ledger_is_taken_whatever_the_check_of_cards_does(sound, odd, does):
    fjord, _ = sound
    odd.instead["check_customer"] = does
    fjord.customer("10002")
    fjord.invoice("1002", 300, "c10002")
    assert fjord.entry("1002").open_minor == 30000
    assert health(fjord.house)[1]["lowell"]["hooks"].keys() == {"check_customer"}


class Stream:
    format = "odd 1"

    def __init__(self, *payments):
        self.payments, self.findings = payments, []

    def __iter__(self):
        yield from self.payments


def payment(**changes):
    return Payment(1, 100_00, "NOK", "credit")._replace(**changes)


@pytest.mark.rule("P18")
@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (None, "raised TypeError"),
        (Stream("100 kroner"), "a plugin must return Payment, got str"),
        (Stream(payment(amount_minor=Decimal("100.00"))), "Payment.amount_minor must be int, got Decimal"),
        (Stream(payment(amount_minor=True)), "Payment.amount_minor must be int, got bool"),
        (Stream(payment()), "Payment.direction must be Direction, got str"),
    ],
)
def test_payments_of_another_type_take_no_effect(sound, odd, stream, why):
    fjord, _ = sound
    odd.instead |= {"identify_inbound": lambda *_: InboundKind.PAYMENTS, "import_payments": lambda *_: stream}
    stored = store(fjord, "odd.1", b"odd")
    work(fjord, seconds=1)
    assert fjord.row(InboundFile, stored.inbound_file_id).state == "quarantined"
    assert fjord.payments() == []
    assert health(fjord.house)[1]["lowell"]["hooks"]["import_payments"]["reason"] == why


@pytest.mark.rule("P18")
def test_a_file_waits_for_a_plugin_that_does_not_answer(sound, odd):
    fjord, _ = sound
    content = (b"<x/>", b"")
    odd.instead["identify_inbound"] = hangs
    stored = store(fjord, "odd.2", content[0])
    work(fjord, seconds=1)
    assert fjord.row(InboundFile, stored.inbound_file_id).state == "reading"
    del odd.instead["identify_inbound"]
    threading.Event().wait(SHORT.cooling)
    work(fjord, minutes=1)
    assert fjord.row(InboundFile, stored.inbound_file_id).state == "refused"  # read at last: it is no payment file


INSTALLED = {
    "sound": "from tests.services.test_broken_plugins import Sound\nplugin = Sound()\n",
    "explodes": "raise RuntimeError('no licence')\n",
    "leaves": "raise SystemExit(3)\n",
    "sleeps": "import threading\nthreading.Event().wait(20)\n",
    "stranger": "plugin = object()\n",
    "future": "from tests.services.test_broken_plugins import Sound\nplugin = Sound()\nplugin.api_version = '2.0'\n",
    "silent": "from tests.services.test_broken_plugins import Sound\nplugin = Sound()\nplugin.api_version = ''\n",
}


class Sound(AgencyHooks):
    """The least a plugin can be; its key is the name of the module that made it."""

    api_version = "1.0"

    def __init__(self):
        self.key = sys._getframe(1).f_globals["__name__"].removeprefix("kravport_")

    @hookimpl
    def agency_profile(self):
        return AgencyProfile(
            self.key, "Third Party", frozenset({"DK"}), frozenset({"DKK"}), frozenset({Service.LEDGER}), Can(0),
            (LayoutProfile("their-1", "Their own", "their own document", confirmed=True),), delivery_is_idempotent=False,
        )  # fmt: skip


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Packages as pip leaves them: a module each, and metadata that names its entry point."""
    for key, source in INSTALLED.items():
        (tmp_path / f"kravport_{key}.py").write_text(source)
        folder = tmp_path / f"kravport_{key}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: kravport-{key}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[kravport.agencies]\n{key} = kravport_{key}:plugin\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for key in INSTALLED:
        sys.modules.pop(f"kravport_{key}", None)


@pytest.mark.rule("P18")
def test_what_cannot_be_loaded_is_named_and_all_else_is_there(installed):
    agencies = Agencies.load(SHORT)
    assert agencies.loaded.keys() == {"intrum", "lowell", "factoring", "esp", "kravia", "sound"}
    assert agencies.broken == {
        "explodes": "cannot be imported: RuntimeError: no licence",
        "leaves": "cannot be imported: SystemExit: 3",
        "sleeps": "cannot be imported: no answer in 0.3 seconds",
        "stranger": "is object, not AgencyHooks",
        "future": "was built for boundary 2.0; this Kravport speaks 1.1 and must be updated first",
        "silent": 'does not say which boundary it was built for; today\'s is api_version = "1.1"',
    }


@pytest.mark.rule("P18")
def test_a_third_partys_plugin_is_in_the_list_and_the_broken_ones_with_their_reasons(installed, monkeypatch, tmp_path):
    monkeypatch.setattr(loading, "Patience", lambda: SHORT)
    monkeypatch.setenv("KRAVPORT_HOME", str(tmp_path / "home"))
    said = CliRunner().invoke(cli.plugins, ["--json"], standalone_mode=False)
    rows = {row["key"]: row for row in map(json.loads, said.output.splitlines())}
    assert said.return_value == 1
    assert (rows["sound"]["state"], rows["sound"]["countries"], rows["sound"]["services"]) == ("ok", ["DK"], ["ledger"])
    assert rows["sound"]["layouts"][0]["confirmed"] is True
    assert rows["explodes"]["problem"] == "cannot be imported: RuntimeError: no licence"
    shown = CliRunner().invoke(cli.plugins, [], standalone_mode=False).output
    assert "explodes: DID NOT LOAD: cannot be imported: RuntimeError: no licence" in shown
    assert "sound: Third Party; boundary 1.0" in shown
    assert not (tmp_path / "home" / "kravport.sqlite").exists(), "looking made a database"


@pytest.mark.parametrize(
    ("built_for", "says"),
    [
        ("3.2", ""), ("3.0", ""), ("3.9", "may lack"), ("2.7", "Build it anew"),
        ("4.0", "must be updated first"), ("1.9", "no longer kept"), ("3", "does not say"), (3.2, "does not say"),
    ],
)  # fmt: skip
def test_the_version_a_plugin_was_built_for(built_for, says):
    """The host speaks 3.2 and keeps 2: newer majors and forgotten ones are refused, old ones and newer minors warned."""
    is_refused = built_for in {"4.0", "1.9", "3", 3.2}
    try:
        told = loading.judged_version(built_for, "3.2", 2)
    except PluginError as error:
        assert is_refused
        told = str(error)
    else:
        assert not is_refused
    assert says in told
    assert bool(says) == bool(told)


@pytest.mark.rule("P18")
def test_warnings_are_shown_where_the_plugin_is_listed(clock, sqlite_database):
    older = Sound.__new__(Sound)
    older.key, older.api_version = "older", "1.7"
    house = House(sqlite_database, Agencies([("older", older)]), None, lambda: None, clock)
    assert health(house)[1]["older"] == {
        "state": "ok",
        "warnings": ["was built for boundary 1.7; this Kravport speaks 1.1 and may lack what it counts on"],
    }


def test_hooks_that_would_never_be_called_are_refused():
    class Misspelt(Sound):
        @hookimpl
        def export_invoces(self, claims):
            return ()

    class Unmarked(Sound):
        def check_claim(self, claim, agreement):
            return ()

    class WrongSignature(Sound):
        @hookimpl
        def check_claim(self, invoice):
            return ()

    for kind, why in (
        (Misspelt, "export_invoces: there is no such hook"),
        (Unmarked, "check_claim: lacks @hookimpl"),
        (WrongSignature, "Plugin 'third' for hook 'check_claim'"),
    ):
        plugin = kind.__new__(kind)
        plugin.key = "third"
        assert Agencies([("third", plugin)]).broken["third"].startswith(why)


@pytest.mark.rule("P18")
def test_a_name_that_two_packages_claim_is_nobodys(tmp_path, monkeypatch):
    """Money is addressed by this name: which of the two would get it must not hang on the order of a folder."""
    folder = tmp_path / "impostor-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: impostor\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[kravport.agencies]\nintrum = impostor:plugin\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    agencies = Agencies.load(SHORT)
    assert agencies.broken == {"intrum": "two packages claim this name: impostor:plugin, plugins.intrum:plugin"}
    assert "lowell" in agencies.loaded


def test_each_claim_taken_is_a_sign_of_life(monkeypatch):
    """An evening may take long; only silence is held against a plugin. Once left, it gets nothing more."""
    moment = [0]
    monkeypatch.setattr(calling, "time", SimpleNamespace(monotonic=lambda: moment[0]))
    gate = calling.Gate()
    claims = gate.handing(["one", "two", "three"])
    moment[0] = 25
    assert next(claims) == "one"
    moment[0] = 50
    assert gate.close_if_silent(30) == 5
    with gate.passed():
        assert gate.close_if_silent(30) == 30, "inside the host nobody is silent"
    moment[0] = 79
    assert gate.close_if_silent(30) == 1
    moment[0] = 80
    assert gate.close_if_silent(30) == 0
    with pytest.raises(calling._Left):
        next(claims)
    with pytest.raises(calling._Left), gate.passed():
        pytest.fail("the gate is closed")
