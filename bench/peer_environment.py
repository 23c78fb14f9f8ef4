"""An environment of their own for what the benchmarks compare with: peers pull along what the project never installs.

Made once from a lock (``bench/peers*.txt``: versions and hashes) and kept in ``.bench-cache``, which git does not see.
To lock anew, with bench/peers-evening.in as the example:

    uv pip compile peers-evening.in -o peers-evening.txt --generate-hashes --no-emit-index-url --no-annotate \
        --universal --python-version 3.11 --no-emit-package mysqlclient --no-emit-package psycopg2
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import venv
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".bench-cache"
INSTALL_SECONDS = 300
"""A machine without a registry shall not hold the benchmark up for longer."""


class Peers(NamedTuple):
    """Items a second of each peer, or why there are none."""

    rates: dict[str, float]
    absent: str | None = None


def asked(module: str, count: int) -> Peers:
    """Return what *module* (`bench.peers`) measures of the evening's peers with *count* items."""
    python = peer_python("peers-evening.txt")
    if python is None:
        return Peers({}, "not installed")
    done = subprocess.run([str(python), "-m", module, str(count)], check=False, stdout=subprocess.PIPE, cwd=ROOT)
    return Peers({}, "failed") if done.returncode else Peers(json.loads(done.stdout))


def compared(rate: float, limit: float | None, peers: Peers) -> dict[str, Any]:
    """Return our ratio to the limit and to the fastest peer, with the rates of all."""
    best, fastest = max(peers.rates.items(), key=itemgetter(1), default=(None, None))
    return {
        "limit_per_second": round(limit) if limit else None, "of_limit": round(rate / limit, 3) if limit else None,
        "peers_per_second": {name: round(rate) for name, rate in peers.rates.items()}, "peers_absent": peers.absent,
        "best_peer": best, "of_best_peer": round(rate / fastest, 2) if fastest else None,
    }  # fmt: skip


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
