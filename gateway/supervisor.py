"""``kravport run``: queue server, web, workers and scheduler as child processes; whatever dies is started again.

The supervisor does no work of its own, so it has nothing to lose: it may be killed at any moment, its children die with
it, and the next start finds everything in the database.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType

import structlog

from gateway.config import Settings
from gateway.errors import ConfigurationError
from gateway.queueing import die_with_parent, start_embedded

_log = structlog.get_logger()

BACKOFF_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0)
"""Pauses before the first, second … restart of a process that dies again and again."""
STEADY_SECONDS = 30
"""A process that lived this long starts with the shortest pause again."""
STOP_SECONDS = 20
"""How long a worker may finish the task in its hands after a polite request; a kill after that is survived."""
_LOOK_SECONDS = 0.1


@dataclass
class _Child:
    """One process that must be alive."""

    name: str
    start: Callable[[], subprocess.Popen[bytes] | None]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    deaths: int = 0
    restart_at: float = 0.0
    stops_last: bool = field(default=False, kw_only=True)


class Supervisor:
    """Keeps the processes of one installation alive.

    Args:
        settings: of this installation; handed to the children as environment variables.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._is_stopping = False
        self._children = [*self._queue_server(), *(self._program(name, *words) for name, words in _programs(settings))]

    @property
    def processes(self) -> Mapping[str, int]:
        """Name and process id of each child that is alive."""
        return {child.name: child.process.pid for child in self._children if child.process and _is_alive(child.process)}

    def start(self) -> None:
        """Start everything; raises ``ConfigurationError`` when the queue server cannot start.

        Once is no proof: a server killed in the tenth of a second before its first answer starts the next time.
        """
        for child in self._children:
            for pause in BACKOFF_SECONDS:
                try:
                    self._start(child)
                    break
                except ConfigurationError as error:
                    _log.warning("process does not start", process=child.name, error=str(error))
                    time.sleep(pause)
            else:
                self._start(child)

    def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Start everything and keep it alive until SIGINT or SIGTERM; then stop it cleanly."""
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.signal(signal.SIGINT, self._ask_to_stop)
        try:
            self.start()
            on_ready()
            while not self._is_stopping:
                self.revive()
                time.sleep(_LOOK_SECONDS)
        finally:
            self.stop()

    def revive(self) -> None:
        """Start again what has died and whose pause is over."""
        for child in self._children:
            if child.process is not None and not _is_alive(child.process):
                self._note_death(child, child.process)
            if child.process is None and child.restart_at and time.monotonic() >= child.restart_at:
                self._start_again(child)

    def stop(self) -> None:
        """Ask all to stop, wait, kill the rest; the queue server goes last, because workers say goodbye to it."""
        for last in (False, True):
            group = [c.process for c in self._children if c.process is not None and c.stops_last is last]
            _stop_all(group)
        for child in self._children:
            child.process = None

    def _note_death(self, child: _Child, process: subprocess.Popen[bytes]) -> None:
        lived = time.monotonic() - child.started_at
        child.deaths = 1 if lived >= STEADY_SECONDS else child.deaths + 1
        pause = BACKOFF_SECONDS[min(child.deaths, len(BACKOFF_SECONDS)) - 1]
        child.restart_at = time.monotonic() + pause
        child.process = None
        _log.warning("process died", process=child.name, exit_code=process.returncode, restart_in_seconds=pause)

    def _start_again(self, child: _Child) -> None:
        try:
            self._start(child)
        except (ConfigurationError, OSError) as error:
            child.restart_at = time.monotonic() + BACKOFF_SECONDS[-1]
            _log.error("process does not start", process=child.name, error=str(error))

    def _start(self, child: _Child) -> None:
        child.restart_at = 0.0
        child.process = child.start()
        child.started_at = time.monotonic()
        if child.process is None:
            # The queue server of an earlier life still answers: adopted now, looked at again soon, since it is not
            # our child and may end at any time.
            child.restart_at = time.monotonic() + BACKOFF_SECONDS[-1]

    def _queue_server(self) -> list[_Child]:
        if self._settings.redis_url:
            return []
        return [_Child("redis", lambda: start_embedded(self._settings.home), stops_last=True)]

    def _program(self, name: str, *words: str) -> _Child:
        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(  # noqa: S603  # our own program
                [sys.executable, "-m", "gateway.cli", *words],
                env={**os.environ, **self._settings.as_environment(), "KRAVPORT_WORKER_NAME": name},
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which then stops all in order
                preexec_fn=die_with_parent(),  # noqa: PLW1509  # this process has one thread
            )

        return _Child(name, start)

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._is_stopping = True


def _programs(settings: Settings) -> list[tuple[str, tuple[str, ...]]]:
    workers = [(f"worker-{number}", ("worker",)) for number in range(1, settings.workers + 1)]
    return [("web", ("web",)), *workers, ("scheduler", ("scheduler",))]


def _is_alive(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is None


def _stop_all(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
