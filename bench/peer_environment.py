"""An environment of their own for what the benchmarks compare with: peers pull along what the project never installs.

Made once from a lock (``bench/peers*.txt``: versions and hashes) and kept in ``.bench-cache``, which git does not see.
To lock anew, with bench/peers-evening.in as the example:

    uv pip compile peers-evening.in -o peers-evening.txt --generate-hashes --no-emit-index-url --no-annotate \
        --universal --python-version 3.11 --no-emit-package mysqlclient --no-emit-package psycopg2
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".bench-cache"
INSTALL_SECONDS = 300
"""A machine without a registry shall not hold the benchmark up for longer."""


@cache
def peer_python(lock: str) -> Path | None:
    """Return the interpreter that has what ``bench/LOCK`` pins, or None where that cannot be installed."""
    pinned = ROOT / "bench" / lock
    version = hashlib.sha256(pinned.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = CACHE / f"{pinned.stem}-{version}"
    python, complete = folder / "bin" / "python", folder / "complete"
    if complete.exists():
        return python
    for old in CACHE.glob(f"{pinned.stem}-{'[0-9a-f]' * 12}"):
        shutil.rmtree(old)
    print(f"installing the peers of bench/{lock}", file=sys.stderr)
    if not _installed(folder, python, pinned):
        shutil.rmtree(folder, ignore_errors=True)
        return None
    complete.touch()
    return python


def _installed(folder: Path, python: Path, pinned: Path) -> bool:
    # Without dependencies, as a lock may leave out what a peer asks for and the benchmark does not use.
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"]
    try:
        venv.create(folder, with_pip=True)
        # What pip says goes to stderr: stdout may be the JSON of the benchmark.
        command += ["--no-deps", "--require-hashes", "-r", str(pinned)]
        subprocess.run(command, check=True, timeout=INSTALL_SECONDS, stdout=sys.stderr)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"peers not installed: {error}", file=sys.stderr)
        return False
    return True
