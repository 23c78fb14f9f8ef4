"""The agencies to practise with, as one process: real SFTP and HTTPS servers, and plugins' own sandboxes behind them.

``kravport sandbox CONFIG`` runs it. The process never asks Kravport anything: it sees files arrive over SFTP, answers in
the same mailboxes, and pushes what it was told to push to a webhook, signed. Orders such as "let this debtor pay" come
as files in ``orders`` of an agency's folder and are answered by a file beside them.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import asyncssh
import requests
import structlog
from jsonschema import Draft202012Validator
from standardwebhooks.webhooks import Webhook

from gateway import clock
from gateway.demo.misbehaviour import API, LINE, POST, Postman, checked_ways
from gateway.errors import ConfigurationError, GatewayError
from gateway.hookspecs import ENTRY_POINT_GROUP
from gateway.testing.api_sandbox import ApiSandbox, Pusher, Served, serving

_log = structlog.get_logger()

LOOK_SECONDS = 0.1
PUSH_SECONDS = 10
STRIKES_PERCENT = 25
READY = "ready.json"
METHODS = frozenset(
    {
        "pay",
        "overpay",
        "pay_unallocated",
        "reverse",
        "refuse",
        "accept",
        "lose_receipts",
        "repeat_receipt",
        "skip_number",
        "write_payments",
        "write_ocr_giro",
        "write_camt054",
        "balances",
    }
)
"""What an order may ask for, beside what the agency names in its own ``orders``; an order is a file and not a program."""
_TEXT = {"type": "string", "minLength": 1}
_TROUBLE = {
    "type": "object",
    "required": ["ways"],
    "properties": {"seed": {"type": "integer"}, "ways": {"type": "array"}},
}
_AGENCY = {
    "type": "object",
    "additionalProperties": False,
    "required": ["key", "password", "facts"],
    "properties": {
        "key": _TEXT,
        "password": _TEXT,
        "facts": {"type": "object"},
        "pushes": {"type": "array", "items": _TEXT},
        "misbehaviour": {"oneOf": [_TROUBLE, {"type": "null"}]},
    },
}
_CONFIG = Draft202012Validator(
    {
        "type": "object",
        "required": ["root", "agencies"],
        "properties": {"root": _TEXT, "agencies": {"type": "array", "items": _AGENCY}},
    }
)


@dataclass(slots=True)
class Mailbox:
    """One agency's folder: ``upload`` and ``download`` over SFTP, ``orders`` and ``outgoing`` for us alone."""

    key: str
    root: Path
    password: str
    agency: Any
    pushes: tuple[str, ...]
    line: frozenset[str] = frozenset()
    dice: random.Random = field(default_factory=random.Random)
    pushing: set[str] = field(default_factory=set)
    api: ApiSandbox | None = None
    pusher: Pusher | None = None
    is_posting: bool = False

    def work(self) -> None:
        """Let the agency work; take out of the mailbox what is pushed instead, before SFTP can show it to anybody."""
        self.agency.work(clock.now())
        self._do_orders()
        self.agency.work(clock.now())
        for path in sorted((self.root / "download").iterdir()):
            if path.name.startswith(self.pushes):
                path.replace(self.root / "outgoing" / path.name)

    def strikes(self, way: str) -> bool:
        """Whether the line misbehaves in this *way* now."""
        return way in self.line and self.dice.randrange(100) < STRIKES_PERCENT

    def to_push(self) -> list[Path]:
        """Return files that wait for the webhook and are not on their way."""
        waiting = sorted((self.root / "outgoing").iterdir())
        return [path for path in waiting if path.name not in self.pushing and not path.name.endswith(".part")]

    def _do_orders(self) -> None:
        for path in sorted((self.root / "orders").glob("*.json")):
            answer = path.with_suffix(".done")
            if not answer.exists():
                _write(answer, self._obey(json.loads(path.read_text())))

    def _obey(self, calls: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        results: list[Any] = []
        for call in calls:
            if call["method"] not in METHODS | getattr(self.agency, "orders", frozenset()):
                return {"error": f"no order {call['method']!r}", "results": results}
            arguments = [_argument(value) for value in call.get("args", ())]
            named = {name: _argument(value) for name, value in call.get("kwargs", {}).items()}
            try:
                results.append(getattr(self.agency, call["method"])(*arguments, **named))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                return {"error": f"{call['method']}: {error}", "results": results}
        return {"error": "", "results": results}


def serve(config: Path) -> None:
    """Run the sandboxes of *config* until stopped; docs/sandboxes.md says what stands in it, and what in ``ready.json``.

    A strange host key is shown to all, since they share the port.

    Raises:
        ConfigurationError: the file is not as it should be, or a plugin has no sandbox.
    """
    root, boxes = mailboxes(config)
    asyncio.run(_serve(root, boxes))


def mailboxes(config: Path) -> tuple[Path, Mapping[str, Mailbox]]:
    """Return the folder of all sandboxes of *config*, and each of them in its mailbox by its key; raises as `serve`."""
    try:
        wanted = json.loads(config.read_text(encoding="utf-8"))
        faults = sorted(error.message for error in _CONFIG.iter_errors(wanted))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{config}: {error}") from error
    if faults:
        raise ConfigurationError(f"{config}: {'; '.join(faults)}")
    root = Path(wanted["root"])
    return root, {agency["key"]: _mailbox(root, agency) for agency in wanted["agencies"]}


def _mailbox(root: Path, wanted: Mapping[str, Any]) -> Mailbox:
    key, folder = wanted["key"], root / wanted["key"]
    for name in ("upload", "download", "orders", "outgoing"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    trouble = wanted.get("misbehaviour")
    ways = checked_ways(trouble["ways"]) if trouble else frozenset[str]()
    seed = trouble.get("seed", 1) if trouble else 1
    dice = random.Random(seed)  # noqa: S311  # guards nothing
    agency = _agency(key, folder, wanted["facts"], ways, dice)
    api = getattr(agency, "api", None)
    # Nobody looks into the mailbox of an agency with an API: what its bank writes is pushed.
    pushes = ("",) if api else tuple(wanted.get("pushes", ()))
    box = Mailbox(key, folder, wanted["password"], agency, pushes, ways & LINE, dice, api=api)
    if box.api:
        box.api.misbehave(ways & API, seed)
        box.pusher = Pusher(box.api)
    return box


def _agency(key: str, folder: Path, facts: Mapping[str, Any], ways: frozenset[str], dice: random.Random) -> Any:
    make = maker_of(key)
    try:
        if ways & POST:
            return Postman(lambda inner: make(inner, facts), folder, ways & POST, dice)
        return make(folder, facts)
    except (KeyError, TypeError, ValueError, GatewayError) as error:
        raise ConfigurationError(f"sandbox {key}: its facts do not do: {error}") from error


def maker_of(key: str) -> Callable[[Path, Mapping[str, Any]], Any]:
    """Find ``make_sandbox`` beside the plugin that is registered as *key*: the gateway itself imports no plugin.

    Raises:
        ConfigurationError: there is no such plugin, or it ships no sandbox.
    """
    for entry in entry_points(group=ENTRY_POINT_GROUP, name=key):
        try:
            maker: Callable[[Path, Mapping[str, Any]], Any] = import_module(f"{entry.module}.sandbox").make_sandbox
        except (ImportError, AttributeError) as error:
            raise ConfigurationError(f"plugin {key!r} ships no sandbox: {error}") from error
        return maker
    raise ConfigurationError(f"no agency plugin {key!r}")


async def _serve(root: Path, boxes: Mapping[str, Mailbox]) -> None:
    with ExitStack() as doors:
        served = {
            key: doors.enter_context(serving(box.api, root / "tls" / key)) for key, box in boxes.items() if box.api
        }
        await _serve_mailboxes(root, boxes, served)


async def _serve_mailboxes(root: Path, boxes: Mapping[str, Mailbox], served: Mapping[str, Served]) -> None:
    host_key = _host_key(root / "host-key")
    async with await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[host_key],
        server_factory=lambda: _Door(boxes),
        sftp_factory=lambda channel: _Folder(channel, boxes),
        allow_scp=False,
    ) as server:
        public = host_key.export_public_key().decode().strip()
        https = {key: {**door._asdict(), **_way_in(boxes[key], door)} for key, door in served.items()}
        _write(root / READY, {"port": server.get_port(), "host_key": public, "pid": os.getpid(), "https": https})
        _log.info("sandbox agencies ready", port=server.get_port(), agencies=sorted(boxes))
        stranger = asyncssh.generate_private_key("ssh-ed25519")
        async with asyncio.TaskGroup() as pushes:
            while True:
                is_strange = any(box.strikes("wrong_host_key") for box in boxes.values())
                if is_strange or any("wrong_host_key" in box.line for box in boxes.values()):
                    server.update(server_host_keys=[stranger if is_strange else host_key])
                for box in boxes.values():
                    box.work()
                    for path in box.to_push():
                        box.pushing.add(path.name)
                        pushes.create_task(_push(box, path))
                    if box.pusher and not box.is_posting:
                        box.is_posting = True
                        pushes.create_task(_post_webhooks(box, box.pusher))
                await asyncio.sleep(LOOK_SECONDS)


class _Door(asyncssh.SSHServer):
    """Lets each agency's client in with its password."""

    def __init__(self, boxes: Mapping[str, Mailbox]) -> None:
        self._boxes = boxes

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return username in self._boxes and self._boxes[username].password == password


class _Folder(asyncssh.SFTPServer):
    """Shows a client its own mailbox and nothing above it."""

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], boxes: Mapping[str, Mailbox]) -> None:
        self._box = boxes[channel.get_extra_info("username")]
        super().__init__(channel, chroot=os.fsencode(self._box.root))

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Rename; on a bad line nobody hears that it was done."""
        super().rename(oldpath, newpath)
        self._fall_silent()

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        """As `rename`."""
        super().posix_rename(oldpath, newpath)
        self._fall_silent()

    def _fall_silent(self) -> None:
        if self._box.strikes("timeout_after_commit"):
            self.connection.abort()


def _way_in(box: Mailbox, door: Served) -> Mapping[str, Any]:
    return box.api.way_in(door.address, door.ca_pem) if box.api else {}


async def _push(box: Mailbox, path: Path) -> None:
    """Push one file until it is taken; the id stays the same, so that a repeated push is known as one."""
    try:
        if not await asyncio.to_thread(_post, box, path):
            await asyncio.sleep(LOOK_SECONDS * 5)
    finally:
        box.pushing.discard(path.name)


async def _post_webhooks(box: Mailbox, pusher: Pusher) -> None:
    """Post what an API has queued; what was not taken is offered again after a moment."""
    try:
        if not await asyncio.to_thread(pusher.work, clock.now()):
            await asyncio.sleep(LOOK_SECONDS * 5)
    finally:
        box.is_posting = False


def _post(box: Mailbox, path: Path) -> bool:
    webhook = json.loads((box.root / "webhook.json").read_text())
    content = path.read_bytes()
    message_id, moment = f"msg_{box.key}_{sha256(content).hexdigest()[:24]}", clock.now()
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(webhook["secret"]).sign(message_id, moment, content.decode()),
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f'attachment; filename="{path.name}"',
    }
    try:
        answer = requests.post(webhook["url"], data=content, headers=headers, timeout=PUSH_SECONDS)
    except requests.RequestException as error:
        _log.info("webhook unreachable", agency=box.key, file=path.name, error=type(error).__name__)
        return False
    _log.info("pushed", agency=box.key, file=path.name, status=answer.status_code)
    if answer.ok:
        path.unlink()
    return answer.ok


def _argument(value: Any) -> Any:
    """Read the two kinds of value that JSON lacks: ``{"date": "2026-11-23"}`` and ``"@now"``."""
    if isinstance(value, dict) and set(value) == {"date"}:
        return date.fromisoformat(value["date"])
    return clock.now() if value == "@now" else value


def _host_key(file: Path) -> asyncssh.SSHKey:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(file)
        file.chmod(0o600)
    return asyncssh.read_private_key(file)


def _write(file: Path, content: object) -> None:
    fresh = file.with_name(f"{file.name}.part")
    fresh.write_text(json.dumps(content, default=_as_text))
    fresh.replace(file)


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
