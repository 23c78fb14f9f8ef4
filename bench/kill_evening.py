"""Kill -9 at random moments of the demo evening, and compare the end with an evening that nobody disturbed.

``python -m bench.kill_evening [--kills 50] [--seed 1]``. Web, worker, scheduler and the embedded queue server are hit;
the supervisor starts them again. Exit code 0 when the business state at the end is the same, row by row.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

PAUSE_SECONDS = (0.3, 2.7)
PATIENCE_SECONDS = 150
RUN_SECONDS_MAX = 280


@dataclass
class Evening:
    """One demo evening: its end state, its last line, and who was killed how often."""

    state: dict
    result: dict
    kills: Counter = field(default_factory=Counter)
    seconds: float = 0.0


def live_through(home: Path, seed: int | None = None) -> Evening:
    """Run the demo in *home*; with a *seed*, kill its processes at moments that the seed decides."""
    state_file, log = home / "state.json", home / "demo.err"
    home.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "gateway.cli", "demo", "--once", "--json", "--state", str(state_file)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KRAVPORT_")}
    environment["KRAVPORT_HOME"] = str(home)
    started, kills = time.monotonic(), Counter()
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [*command, "--patience", str(PATIENCE_SECONDS)], env=environment, stdout=subprocess.PIPE, stderr=errors
        ) as demo,
    ):
        if seed is not None:
            kills = _harass(demo, home / "demo", random.Random(seed), started)
        output, _ = demo.communicate(timeout=RUN_SECONDS_MAX)
    if demo.returncode != 0:
        raise SystemExit(f"seed {seed}: the demo ended with {demo.returncode}\n{log.read_text()[-3000:]}")
    result = json.loads(output.decode().strip().splitlines()[-1])
    return Evening(json.loads(state_file.read_text()), result, kills, time.monotonic() - started)


def differences(calm: Evening, disturbed: Evening) -> list[str]:
    """Return the rows that only one of two end states has."""
    found = []
    for name, rows in calm.state.items():
        ours, theirs = ({json.dumps(row) for row in state} for state in (rows, disturbed.state[name]))
        found += [f"{name} missing: {row}" for row in sorted(ours - theirs)]
        found += [f"{name} extra: {row}" for row in sorted(theirs - ours)]
        if len(rows) != len(disturbed.state[name]):
            found.append(f"{name}: {len(rows)} rows, {len(disturbed.state[name])} after kills")
    return found


def _harass(demo: subprocess.Popen, home: Path, dice: random.Random, started: float) -> Counter:
    kills: Counter = Counter()
    while demo.poll() is None and time.monotonic() - started < RUN_SECONDS_MAX:
        time.sleep(dice.uniform(*PAUSE_SECONDS))
        victims = processes_of(home)
        if victims:
            name, pid = dice.choice(sorted(victims.items()))
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            kills[name] += 1
    return kills


def processes_of(home: Path) -> dict[str, int]:
    """Return name and pid of the supervisor's children; nobody else's process can be among them."""
    supervisor = next(
        (pid for pid, words in _commands() if words[-1:] == ["run"] and variable_of(pid, "KRAVPORT_HOME") == str(home)),
        None,
    )
    if supervisor is None:
        return {}
    children = {pid: words for pid, words in _commands() if _parent(pid) == supervisor}
    return {
        variable_of(pid, "KRAVPORT_WORKER_NAME") if "gateway.cli" in words else "redis": pid
        for pid, words in children.items()
        if words
    }


def _commands() -> list[tuple[int, list[str]]]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.append((int(entry.name), entry.joinpath("cmdline").read_text().rstrip("\0").split("\0")))
            except OSError:
                continue
    return found


def variable_of(pid: int, name: str) -> str:
    """Return what a variable of the environment was when a process started; empty where there is none."""
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    return next((v.partition(b"=")[2].decode() for v in variables if v.startswith(f"{name}=".encode())), "")


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def main() -> int:
    """Harass evenings, one seed after the other, until enough was killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="at least this many kills over all evenings")
    parser.add_argument("--seed", type=int, default=1, help="first seed; the next evening takes the next")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kravport-kills-") as folder:
        calm = live_through(Path(folder) / "calm")
        print(f"undisturbed: {calm.seconds:.0f} s")
        total, seed = 0, wanted.seed
        while total < wanted.kills:
            evening = live_through(Path(folder) / f"seed-{seed}", seed)
            total += sum(evening.kills.values())
            found = differences(calm, evening)
            print(f"seed {seed}: {sum(evening.kills.values())} kills {dict(evening.kills)} in {evening.seconds:.0f} s, "
                  f"{len(found)} differences")  # fmt: skip
            if found:
                print("\n".join(found[:20]))
                return 1
            seed += 1
    print(f"{total} kills, end state the same")
    return 0


if __name__ == "__main__":
    sys.exit(main())
