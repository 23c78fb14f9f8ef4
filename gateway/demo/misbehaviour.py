"""An agency that misbehaves on the way: what really happens to files between two firms, switched on and repeatable.

Nothing here knows an agency. `Postman` stands between a sandbox and the mailbox the gateway sees; `FlakyLine` between the
gateway and a mailbox. What an agency refuses is its own affair: sandboxes have ``refuse`` for that.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from gateway.domain.transport import Transport, Waiting
from gateway.errors import ConfigurationError, DeliveryError, DeliveryInDoubt

POST = frozenset({"duplicate", "late", "wrong_order", "truncated"})
"""What happens to answers: they come twice; hours or a day late; later ones first; cut off, and whole some hours after."""
LINE = frozenset({"timeout_after_commit", "wrong_host_key"})
"""What happens on the line: the file is there and nobody says so; the server shows another key for a while."""
API = frozenset(
    {
        "timeout_after_commit",
        "connection_refused_before",
        "server_error",
        "rate_limited",
        "expired_token",
        "truncated_answer",
        "slow",
        "wrong_certificate",
        "duplicate_webhook",
        "late_webhook",
        "wrong_order_webhook",
    }
)
"""What happens to calls of an API and to its webhooks (`gateway.testing.api_sandbox`): done and not answered; dropped before
anything is done; 500 before or after, 503 before; 429; a token refused before its end; an answer that breaks off; one that comes late;
the certificate of a stranger; webhooks twice, hours late, later ones first."""
WAYS = POST | LINE | API
_MOMENT = "%Y%m%d%H%M%S"
_TOLD = ("webhook.json", "pull.json")
"""Files by which an agency is told where to push and where to ask; they lie in its outer folder."""


class Postman:
    """A sandbox agency whose post is carried badly. What it is asked otherwise, it answers as the agency does.

    It keeps what it holds back in a folder of its own, so that a killed sandbox loses nothing.

    Args:
        make: makes the agency in a folder.
        outer: the mailbox the gateway sees: ``upload`` and ``download`` lie in it.
        ways: what may happen, of `POST`.
        dice: decides; the same seed makes the same trouble for the same post.
    """

    def __init__(self, make: Callable[[Path], Any], outer: Path, ways: Collection[str], dice: random.Random) -> None:
        self.ways, self.happened = frozenset(ways), Counter[str]()
        self._outer, self._inner, self._held = outer, outer / "agency", outer / "held"
        for folder in (outer / "upload", outer / "download", self._inner, self._held):
            folder.mkdir(parents=True, exist_ok=True)
        for name in _TOLD:
            if not (self._inner / name).is_symlink():
                (self._inner / name).symlink_to(Path("..") / name)
        self._agency, self._dice, self._number = make(self._inner), dice, 0
        (self._inner / "download").mkdir(exist_ok=True)  # an agency that has an API alone makes none

    def __getattr__(self, name: str) -> Any:
        return getattr(self._agency, name)

    def work(self, now: datetime) -> int:
        """Bring the agency its post, let it work, and carry its answers as well as may be."""
        for path in sorted((self._outer / "upload").iterdir()):
            if not path.name.startswith(".") and not path.name.endswith(".part"):
                path.replace(self._inner / "upload" / path.name)
        done: int = self._agency.work(now)
        for path in sorted((self._inner / "download").iterdir()):
            self._post(path, now)
        self._release(now)
        return done

    def waits(self) -> int:
        """Return how many letters are on their way."""
        return sum(1 for _ in self._held.iterdir())

    def _post(self, path: Path, now: datetime) -> None:
        due, content = now, path.read_bytes()
        if self._strikes("late"):
            due += timedelta(minutes=self._dice.randrange(60, 30 * 60))
        elif self._strikes("wrong_order"):
            due += timedelta(minutes=self._dice.randrange(1, 90))
        if self._strikes("truncated"):
            self._hold(path.name, content[: self._dice.randrange(len(content))], due)
            due += timedelta(minutes=self._dice.randrange(60, 240))
        self._hold(path.name, content, due)
        if self._strikes("duplicate"):
            self._hold(path.name, content, due + timedelta(minutes=self._dice.randrange(600)))
        path.unlink()

    def _hold(self, name: str, content: bytes, due: datetime) -> None:
        self._number += 1
        held = self._held / f"{due.astimezone(UTC):{_MOMENT}}.{self._number:06d}.{name}"
        part = self._outer / f"{held.name}.part"
        part.write_bytes(content)
        part.replace(held)

    def _release(self, now: datetime) -> None:
        """Put what is due where the gateway sees it; a name that still lies there is waited for."""
        for held in sorted(self._held.iterdir()):
            due, _, name = held.name.split(".", 2)
            target = self._outer / "download" / name
            if due <= f"{now.astimezone(UTC):{_MOMENT}}" and not target.exists():
                held.replace(target)

    def _strikes(self, way: str) -> bool:
        struck = way in self.ways and self._dice.random() * 100 < 30
        self.happened[way] += struck
        return struck


class FlakyLine:
    """A transport on a line that breaks after the far side has the file, or leads to somebody else's door."""

    def __init__(
        self, transport: Transport, ways: Collection[str], dice: random.Random, happened: Counter[str]
    ) -> None:
        self._transport, self._ways, self._dice, self._happened = transport, ways, dice, happened

    def put(self, filename: str, content: BinaryIO, size: int) -> str:
        """Upload; perhaps nobody hears that it arrived."""
        self._knock()
        name = self._transport.put(filename, content, size)
        if self._strikes("timeout_after_commit"):
            raise DeliveryInDoubt(f"{filename}: no answer after the last byte")
        return name

    def waiting(self) -> Sequence[Waiting]:
        """Return what waits."""
        self._knock()
        return self._transport.waiting()

    def get(self, filename: str, into: BinaryIO) -> None:
        """Copy one waiting file."""
        self._transport.get(filename, into)

    def remove(self, filename: str) -> None:
        """Take a file out of the mailbox."""
        self._transport.remove(filename)

    def read_back(self, filename: str, into: BinaryIO) -> bool:
        """Copy a file we delivered earlier."""
        self._knock()
        return self._transport.read_back(filename, into)

    def _knock(self) -> None:
        if self._strikes("wrong_host_key"):
            raise DeliveryError("the server shows another host key")

    def _strikes(self, way: str) -> bool:
        struck = way in self._ways and self._dice.random() * 100 < 25
        self._happened[way] += struck
        return struck


def checked_ways(wanted: object) -> frozenset[str]:
    """Return *wanted* as a set of `WAYS`; raises ``ConfigurationError`` for one that does not exist."""
    ways = frozenset(wanted) if isinstance(wanted, list) else frozenset()
    if not ways or ways - WAYS:
        unknown = ", ".join(sorted(map(str, ways - WAYS))) or "none"
        raise ConfigurationError(f"misbehaviour {unknown}: there is {', '.join(sorted(WAYS))}")
    return ways
