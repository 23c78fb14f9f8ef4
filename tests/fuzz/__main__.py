"""``python -m tests.fuzz --minutes 10 --format camt``: fuzz for long, keep what breaks. ``make fuzz`` is the same."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import click

from tests.fuzz.campaign import CRASHERS, fault_of, fuzz, keep, minimised
from tests.fuzz.judge import check_flat
from tests.fuzz.mutation import MAX_BYTES
from tests.fuzz.targets import TARGETS, Target
from tests.fuzz.watch import bound_process

WORK = Path(__file__).parents[2] / "var" / "fuzz"
"""Inputs that reached something new stay here, so that the next run goes on where the last one stopped."""

INTERRUPTED = 72
"""What libFuzzer's process returns when a person stops it."""

_STATS = {"executed_units": "executions", "new_units_added": "new inputs kept", "peak_rss_mb": "MiB at the peak"}


@click.command(help=__doc__)
@click.option("--minutes", default=10.0, show_default=True, help="for each format")
@click.option("--format", "names", multiple=True, type=click.Choice(sorted(TARGETS)), help="one of them; else all")
@click.option("--seed", default=1, show_default=True)
@click.option("--plain", is_flag=True, help="by chance alone, without atheris")
def main(minutes: float, names: tuple[str, ...], seed: int, *, plain: bool) -> None:
    """Fuzz each target in turn; exit 1 where anything broke."""
    is_guided = not plain and importlib.util.find_spec("atheris") is not None
    if not is_guided and not plain:
        click.echo("atheris is not installed here: fuzzing by chance and outcome, without sight of the code", err=True)
    broken = 0
    bound_process()
    for name in names or TARGETS:
        folder = WORK / name
        told, found = (_guided if is_guided else _by_chance)(name, folder, minutes, seed)
        click.echo(f"{name}: {told}; {len(found)} findings")
        for fault, data in found.items():
            broken += 1
            click.echo(f"  {fault}: {keep_smallest(name, fault, data)}")
    sys.exit(1 if broken else 0)


def keep_smallest(name: str, fault: str, data: bytes) -> str:
    """Make *data* as small as still breaks by *fault* and keep it under ``tests/corpus``; return where, or what to do."""
    target: Target = TARGETS[name]
    run = target.judge
    if not _breaks(run, data, fault):
        if not _breaks(lambda given: check_flat(given, target.way), data, fault):
            return "could not be repeated in this process; see " + str(keep(WORK / name / "found", fault, data))
        return "a large input: " + str(keep(WORK / name / "found", fault, data))
    return str(keep(CRASHERS / name, fault, minimised(run, data, fault)).relative_to(CRASHERS.parents[2]))


def _breaks(run, data: bytes, fault: str) -> bool:
    found = fault_of(run, data)
    return found is not None and found[0] == fault


def _by_chance(name: str, folder: Path, minutes: float, seed: int) -> tuple[str, dict[str, bytes]]:
    del folder
    end = time.monotonic() + 60 * minutes
    report = fuzz(TARGETS[name], seed, lambda _: time.monotonic() > end)
    return str(report).rpartition(", ")[0], report.failures


def _guided(name: str, folder: Path, minutes: float, seed: int) -> tuple[str, dict[str, bytes]]:
    shutil.rmtree(folder / "found", ignore_errors=True)
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for data in TARGETS[name].seeds():
        (corpus / f"seed-{sha256(data).hexdigest()[:16]}").write_bytes(data)
    options = [
        str(corpus), f"-max_total_time={max(1, round(60 * minutes))}", f"-max_len={MAX_BYTES}", f"-seed={seed}",
        "-timeout=120", "-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={folder}/",
    ]  # fmt: skip
    command = [sys.executable, "-m", "tests.fuzz.guided", name, str(folder), *options]
    log = folder / "log.txt"
    with log.open("wb") as out:
        code = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False).returncode
    if code == INTERRUPTED:
        raise click.Abort
    found = {
        path.with_suffix(".txt").read_text().partition("\n")[0]: path.read_bytes()
        for path in folder.glob("found/*.bin")
    }
    if code:
        raise click.ClickException(f"the process that fuzzes {name} ended with {code}; {log} says why")
    return _told(log.read_text(errors="replace")), found


def _told(log: str) -> str:
    """Return libFuzzer's figures in words."""
    told = [
        f"{found[1]} {words}"
        for name, words in _STATS.items()
        if (found := re.search(rf"stat::\w*{name}:\s*(\d+)", log))
    ]
    covered = re.findall(r"cov: (\d+) ft: (\d+)", log)
    if covered:
        told.append(f"edges {covered[0][0]} at first, {covered[-1][0]} at last (features {covered[-1][1]})")
    return ", ".join(told)


if __name__ == "__main__":
    main()
