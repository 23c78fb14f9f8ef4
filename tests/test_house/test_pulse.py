"""A process that C code holds up ends, so that it can be started anew; one that is merely busy lives."""

from __future__ import annotations

import subprocess
import sys

BEGIN = "from gateway import pulse; pulse.STOPPED_SECONDS, pulse._WIND_SECONDS = 1, 0.1; pulse.begin(); "


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", BEGIN + program], check=False, capture_output=True, text=True)


def test_a_process_that_no_thread_can_help_ends_with_its_stacks():
    """A regular expression gone astray holds the interpreter's lock; nothing in Python can interrupt it."""
    ended = run("import re\nre.match('(a+)+$', 'a' * 60 + 'b')")
    assert ended.returncode == 1
    assert "Timeout" in ended.stderr
    assert "in match" in ended.stderr


def test_a_busy_process_lives():
    ended = run(
        "import time\nend = time.monotonic() + 1.5\nwhile time.monotonic() < end: sum(range(1000))\nprint('done')"
    )
    assert (ended.returncode, ended.stdout) == (0, "done\n")
