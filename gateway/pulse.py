"""The last net of a process: it ends when its own watch could not be wound up for a minute and a half.

Some C code keeps the interpreter's lock while it runs, a regular expression that goes astray for one, and then no thread
of Python can do anything about it. ``faulthandler`` waits in C. Whoever started the process starts it anew; the database
undoes what was open, and the outbox counts the death (ADR 0027).
"""

from __future__ import annotations

import faulthandler
import threading
import time

STOPPED_SECONDS = 90
"""Longer than anything of ours keeps the lock, under any load that still lets a lease of 60 seconds be renewed."""
_WIND_SECONDS = 10


def begin() -> None:
    """Keep this process under watch from now on; its last words are the stacks of its threads, on standard error."""

    def wind() -> None:
        while True:
            faulthandler.dump_traceback_later(STOPPED_SECONDS, exit=True)
            time.sleep(_WIND_SECONDS)

    threading.Thread(target=wind, name="pulse", daemon=True).start()
